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

type capHit uint8

const (
	capNone capHit = iota
	capUser
	capCluster
)

// reserve takes a slot under both limits at once, or says which is reached.
func (c *caps) reserve(who owner, cluster string, perUser, perCluster int) (free func(), hit capHit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byOwner[who] >= perUser {
		return nil, capUser
	}
	if c.byCluster[cluster] >= perCluster {
		return nil, capCluster
	}
	c.byOwner[who]++
	c.byCluster[cluster]++
	return sync.OnceFunc(func() { c.free(who, cluster) }), capNone
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

func (c *caps) inCluster(cluster string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byCluster[cluster]
}
