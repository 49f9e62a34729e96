package childtest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// Linux gives ports from 32768 on to whoever asks for any (ip_local_port_range in
// ip(7)), and Kubernetes those from 30000 on to services.
const (
	firstPort = 10_000
	morePorts = 20_000
)

// FreePort is a port of the loopback for a child that must be told one before it
// starts, or that comes back to it: nobody had it just now, and nobody gets it by
// asking for any.
func FreePort() (string, error) {
	var errs []error
	for range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(morePorts))
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
		if err == nil {
			return port, ln.Close()
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}
