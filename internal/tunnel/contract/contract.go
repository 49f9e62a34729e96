// Package contract is what the server and its agents rely on beside the link itself:
// paths, headers, targets of streams, and the bodies of their few requests.
//
// It owns these words and nothing else. It starts no goroutines.
package contract

// Paths of the server that agents ask.
const (
	ConnectPath  = "/api/agents/connect"
	RegisterPath = "/api/agents/register"
)

// Headers by which an agent says what it is when it dials: its version, and whether it
// lets anybody into a container ("false": nobody).
const (
	VersionHeader = "Periscope-Agent-Version"
	ShellsHeader  = "Periscope-Agent-Shells"
)

// Targets of streams. The server opens those to APIServer, each an HTTP connection;
// the agent those to Renewal, where a POST of a RenewalAsk is answered by Certified.
const (
	APIServer = "apiserver"
	Renewal   = "renewal"
)

// RegisterAsk is the body of a registration: a token for a first certificate.
type RegisterAsk struct {
	Token   string `json:"token"`
	Cluster string `json:"cluster"`
	CSR     string `json:"csr"`
}

// RenewalAsk is the body of a renewal: a signing request, in PEM.
type RenewalAsk struct {
	CSR string `json:"csr"`
}

// Certified answers either: a certificate, and the CA to trust for the link, in PEM.
type Certified struct {
	Certificate string `json:"certificate"`
	CA          string `json:"ca"`
}
