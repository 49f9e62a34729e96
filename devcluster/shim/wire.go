package shim

import "encoding/json"

// The node speaks to the shim over one SOCK_SEQPACKET pair: a packet is a JSON
// object, with file descriptors beside it. What may be large (environment,
// command) is handed over as a file instead.

// Arg0 is the name under which the program becomes a shim.
const Arg0 = "devcluster-init"

// Descriptors that the node hands to a new shim.
const (
	controlFD = 3
	bootFD    = 4
)

// MaxPacket bounds a packet in both directions, in bytes.
const MaxPacket = 32 << 10

// maxError bounds the text of an error, which may quote a command: six bytes
// for each of it, as JSON may need them, leave room in a packet.
const maxError = 4 << 10

// Boot is what a shim needs before the first process starts.
type Boot struct {
	// Isolated: the shim is process 1 of its own PID and mount namespaces and
	// builds the root file system below. Otherwise it uses the host's.
	Isolated bool
	// Joined: the PID namespace belongs to another container.
	Joined   bool
	Hostname string
	Root     Root
	Mounts   []Mount
	Files    []File
}

// Root says what a container sees as its file system.
type Root struct {
	// Scratch is an existing folder to mount on; what the container writes
	// lives there in memory, at most ScratchSize bytes of it.
	Scratch     string
	ScratchSize int64
	// Folder is the image. Empty: see Bare.
	Folder string
	// Bare: nothing but this program, at ProgramPath. Otherwise the programs
	// of the host.
	Bare bool
	// Foreign: files of the host belong to users this namespace does not know;
	// what must be written to is copied instead of overlaid.
	Foreign bool
}

// ProgramPath is where a bare container finds its only program.
const ProgramPath = "/app"

// Mount is one volume: Source of the host appears at Target.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}

// File is written into the root file system before it is used.
type File struct {
	Path    string
	Content string
}

// Operations of a Request.
const (
	OpStart  = "start"
	OpSignal = "signal"
)

// MainID is the request that starts the container's main process: when that
// process ends, the container ends.
const MainID = 1

// Request goes to the shim. With OpStart travel a file holding a Process and,
// without TTY, the three standard streams.
type Request struct {
	ID     uint64 `json:"id"`
	Op     string `json:"op"`
	Signal int    `json:"signal,omitempty"`
	Group  bool   `json:"group,omitempty"` // signal the whole process group
}

// Process is a command to start.
type Process struct {
	Args []string
	Env  []string
	Dir  string
	TTY  bool
	Rows uint16
	Cols uint16
	UID  uint32
	GID  uint32
	// MakeDir makes Dir when it is missing.
	MakeDir bool
}

// Kinds of a Reply.
const (
	Ready   = "ready"   // the container is set up, or Error says why not
	Started = "started" // with TTY the terminal's master travels along
	Failed  = "failed"  // Error says why, in runc's words
	Exited  = "exited"
)

// Reply comes from the shim.
type Reply struct {
	ID    uint64 `json:"id"`
	Kind  string `json:"kind"`
	PID   int    `json:"pid,omitempty"`
	Code  int    `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

func (r Reply) packet() []byte {
	if len(r.Error) > maxError {
		r.Error = r.Error[:maxError] + "…"
	}
	data, _ := json.Marshal(r) // a Reply always marshals
	return data
}
