package podexec

import (
	"sync"
)

// owner is whose session it is: the issuer and subject of a login.
type owner struct{ issuer, subject string }

// caps counts live sessions. A slot is reserved before anything else is done
// for a session and freed once.
type caps struct {
	mu        sync.Mutex
	byOwner   map[owner]int
	byCluster map[string]int
}

func newCaps() *caps {
	return &caps{byOwner: map[owner]int{}, byCluster: map[string]int{}}
}

// The caps, in the words of log and metrics.
const (
	capUser    = "user"
	capCluster = "cluster"
)

// capHit says which cap is reached, and how many sessions there were at that
// moment: of the user in all clusters, and in the cluster of all users.
type capHit struct {
	which           string // empty: none
	ofUser, ofWhole int
}

// reserve takes a slot under both limits at once, or says which is reached.
func (c *caps) reserve(who owner, cluster string, perUser, perCluster int) (free func(), hit capHit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	hit = capHit{ofUser: c.byOwner[who], ofWhole: c.byCluster[cluster]}
	switch {
	case hit.ofUser >= perUser:
		hit.which = capUser
		return nil, hit
	case hit.ofWhole >= perCluster:
		hit.which = capCluster
		return nil, hit
	}
	c.byOwner[who]++
	c.byCluster[cluster]++
	return sync.OnceFunc(func() { c.free(who, cluster) }), hit
}

func (c *caps) free(who owner, cluster string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byOwner[who]--; c.byOwner[who] == 0 {
		delete(c.byOwner, who)
	}
	if c.byCluster[cluster]--; c.byCluster[cluster] == 0 {
		delete(c.byCluster, cluster)
	}
}
