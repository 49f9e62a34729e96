package transport

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// TestTheSizeIsSentAgain to a command that goes on, and to none that ends soon after
// its first output: its node may have closed already, and what is sent then costs
// the status that is on its way.
func TestTheSizeIsSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		goesOn time.Duration
		sizes  int
	}{"ends at once": {0, 1}, "ends soon": {sizeAgain / 2, 1}, "goes on": {2 * sizeAgain, 2}} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			p := &peer{Conn: theirs, in: bufio.NewReader(theirs)}
			sizes := make(chan int)
			go func() { sizes <- p.countSizes() }()
			s := newWSStream(&link{body: ours, beat: beat}, shell)
			go func() {
				p.say(1, "output")
				time.Sleep(c.goesOn)
				p.status(exit7)
				p.bye(1000)
			}()
			drain(t, s, 100)
			wantExit(t, s, 7)
			time.Sleep(time.Second)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if n := <-sizes; n != c.sizes {
				t.Errorf("%s: the size was sent %d times, want %d", name, n, c.sizes)
			}
		})
	}
}

// countSizes hears the client out, and counts the sizes that it sends.
func (p *peer) countSizes() (n int) {
	for {
		switch op, payload := p.hear(); {
		case op == 0:
			return n
		case op == wsframe.Binary && payload[0] == 4:
			n++
		}
	}
}
