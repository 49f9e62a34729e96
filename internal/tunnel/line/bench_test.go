package line

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

// ends are the connections that are compared: TLS alone, a WebSocket on it, and a
// line on that. The first of each dials.
func ends(b *testing.B) map[string][2]net.Conn {
	s := newSockets(b)
	s.carrier.URL.Host = s.server.Listener.Addr().String() // past the bad network
	near, far := s.line(b)
	socket, accepted := s.carriers(b)
	l, err := tls.Listen("tcp", "127.0.0.1:0", s.server.TLS)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	dialled := make(chan net.Conn, 1)
	go func() {
		c, err := tls.Dial("tcp", l.Addr().String(), s.carrier.TLS)
		if err != nil {
			b.Error(err)
		}
		dialled <- c
	}()
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.(*tls.Conn).Handshake(); err != nil {
		b.Fatal(err)
	}
	d := <-dialled
	b.Cleanup(func() { c.Close(); d.Close() })
	return map[string][2]net.Conn{"line": {near, far}, "carrier": {socket, accepted}, "tls": {d, c}}
}

// cpu is what this process has used, in nanoseconds: a busy machine changes it less
// than it does the clock.
func cpu() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkBulk is how fast writes of a multiplexer's frames go one way; read its figures against each
// other, and not by themselves.
func BenchmarkBulk(b *testing.B) {
	pairs := ends(b)
	for _, size := range []int{WholeWrite, 16 << 10, 64 << 10} {
		for name, pair := range pairs {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				p := make([]byte, size)
				b.SetBytes(int64(len(p)))
				b.ReportAllocs()
				done := make(chan error, 1)
				go func() {
					_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{io.LimitReader(pair[1], int64(b.N)*int64(len(p)))}, make([]byte, 64<<10))
					done <- err
				}()
				acks := make(chan struct{})
				go func() { // somebody always reads
					defer close(acks)
					_, _ = pair[0].Read(make([]byte, 1))
				}()
				before := cpu()
				for range b.N {
					if _, err := pair[0].Write(p); err != nil {
						b.Fatal(err)
					}
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(float64(cpu()-before)/float64(b.N*size)*(1<<30)/1e9, "cpu-s/GiB")
				if _, err := pair[1].Write([]byte("!")); err != nil {
					b.Fatal(err)
				}
				<-acks
			})
		}
	}
}

// BenchmarkEcho is one keystroke there and back.
func BenchmarkEcho(b *testing.B) {
	for name, pair := range ends(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p, q := make([]byte, 30), make([]byte, 30)
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range b.N {
					_, _ = io.ReadFull(pair[1], q)
					_, _ = pair[1].Write(q)
				}
			}()
			for range b.N {
				_, _ = pair[0].Write(p)
				_, _ = io.ReadFull(pair[0], p)
			}
			<-done
		})
	}
}
