package badnet

import "net"

// Chop makes c read and write at most n bytes at a time, whatever the kernel
// joins: the way to prove a parser against every split.
func Chop(c net.Conn, n int) net.Conn { return &chopped{Conn: c, n: n} }

type chopped struct {
	net.Conn
	n int
}

func (c *chopped) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), c.n)]) }

func (c *chopped) Write(p []byte) (done int, err error) {
	for done < len(p) && err == nil {
		var n int
		n, err = c.Conn.Write(p[done:min(len(p), done+c.n)])
		done += n
	}
	return done, err
}
