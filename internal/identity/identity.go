// Package identity says who acts and as whom Kubernetes sees them.
//
// It owns the Actor, the authorization modes and the pure rule that turns an
// actor into an impersonation. It does not own logins or sessions (its
// subpackages devlogin and websession do) and never touches the network. It
// starts no goroutines.
package identity

import "time"

// Mode is how an actor's rights are found in a cluster.
type Mode string

// The authorization modes. There is no default in this package: config sets
// raw where nothing is written, and shared only where it is written out.
const (
	// Shared gives everybody the server's own rights: no impersonation.
	Shared Mode = "shared"
	// Tier impersonates the user with one group, periscope-tier:<tier>.
	Tier Mode = "tier"
	// Raw impersonates the user with the user's own groups, prefixed.
	Raw Mode = "raw"
)

// MaxAhead is how far the clocks of processes that share a store may differ. What
// is kept from further in the future was written by a clock that was wrong, and
// would hold for as long as it was.
const MaxAhead = 5 * time.Minute

// Actor is a person who has logged in. It is a value: two actors are the same
// person when Issuer and Subject are equal, never when names look alike.
type Actor struct {
	Issuer  string
	Subject string
	// Email is empty unless the login provider has verified it.
	Email string
	// Name is the claim that Policy.UserClaim names, where that is neither sub nor
	// email.
	Name   string
	Groups []string
	// Tier is the highest tier that a group of the actor maps to; mode tier only.
	Tier  string
	Admin bool
	// AuditAll is true of whoever may read everybody's audit events.
	AuditAll bool
	// Token is the id of the personal access token by which the person acts;
	// empty in a browser's login.
	Token string
	// Expires is when the login ends; zero means with the process.
	Expires time.Time
	// As is what Kubernetes sees, worked out once at login by a Policy.
	As Impersonation
}

// Same reports whether both are the same person.
func (a Actor) Same(b Actor) bool { return a.Issuer == b.Issuer && a.Subject == b.Subject }

// Impersonation is the identity that every upstream request of an actor bears.
// The zero value is no identity at all, and kube refuses it; None must be said.
type Impersonation struct {
	// None is true in mode shared: requests run as the server itself.
	None   bool
	User   string
	Groups []string
	// Subject is whose requests they are, in every mode; empty for the server's
	// own. No cluster is sent it: credentials that name their user are made for
	// it, as the role sessions of EKS clusters are.
	Subject string
}
