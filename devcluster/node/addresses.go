package node

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

const (
	// The second octets of pod addresses: 127.0 is everybody's.
	firstAddresses = 10
	lastAddresses  = 254
)

// addresses are the loopback addresses 127.octet.*.* for the pods of one node.
type addresses struct {
	octet int
	claim net.Listener
}

// claimAddresses takes the first ones, from that octet on, that no other node of
// this network has. The claim is an abstract socket: like loopback it belongs to
// the network namespace, and it is free when the process is gone, however it went.
func claimAddresses(from int) (addresses, error) {
	for i := range lastAddresses {
		octet := (from+i-1)%lastAddresses + 1
		claim, err := net.Listen("unix", fmt.Sprintf("@devcluster-pods-127.%d", octet))
		if err == nil {
			return addresses{octet, claim}, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return addresses{}, fmt.Errorf("loopback addresses for pods cannot be claimed: %w", err)
		}
	}
	return addresses{}, errors.New("other clusters on this machine have all loopback addresses for pods: stop one of them")
}

func (a addresses) release() { a.claim.Close() }
