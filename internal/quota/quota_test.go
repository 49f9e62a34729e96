package quota

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

var (
	ada = netip.MustParseAddr("203.0.113.9")
	bob = netip.MustParseAddr("203.0.113.10")
)

func of(n int) netip.Addr {
	var b [16]byte
	b[0] = 0x20
	binary.BigEndian.PutUint32(b[4:], uint32(n)) // another /64 each
	return netip.AddrFrom16(b)
}

// used is how many requests of a client pass at once.
func used(q *Quota, a netip.Addr) (n int) {
	for q.Take(a) == 0 {
		n++
	}
	return n
}

func TestOneClientUsesUpItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{PerClient: 60, Total: 1000, Clients: 100})
		if n := used(q, ada); n != 60 {
			t.Errorf("%d passed at once", n)
		}
		for range 10_000 {
			q.Take(ada) // what is refused is not counted, neither here nor for all
		}
		wait := q.Take(ada)
		if wait <= 0 || wait > time.Second {
			t.Errorf("wait %v", wait)
		}
		if n := used(q, bob); n != 60 {
			t.Errorf("another client: %d", n)
		}
		time.Sleep(wait)
		if q.Take(ada) != 0 || q.Take(ada) == 0 {
			t.Error("what was told to wait for is not so")
		}
		time.Sleep(time.Hour)
		if n := used(q, ada); n != 60 {
			t.Errorf("an hour later: %d", n)
		}
	})
}

func TestAnIPv6ClientIsItsNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{PerClient: 10, Total: 1000, Clients: 100})
		for _, a := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8::1%eth0", "2001:db8::1%x"} {
			used(q, netip.MustParseAddr(a))
		}
		if n := used(q, netip.MustParseAddr("2001:db8:0:1::1")); n != 10 {
			t.Errorf("the next network: %d", n)
		}
		if q.strangers.order.Len() != 2 {
			t.Errorf("%d clients", q.strangers.order.Len())
		}
		if n := used(q, netip.Addr{}); n != 10 {
			t.Errorf("those without an address: %d", n)
		}
	})
}

// TestAFloodOfAddresses: strangers share one bucket, the memory stays as it is,
// and whoever was logged in gets through.
func TestAFloodOfAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New(Options{PerClient: 10, Total: 500, Clients: 100})
		q.Know(ada)
		passed := 0
		for i := range 50_000 {
			if q.Take(of(i)) == 0 {
				passed++
			}
		}
		if passed != 500 {
			t.Errorf("%d strangers passed", passed)
		}
		if n := q.strangers.order.Len() + len(q.strangers.byKey); n != 200 {
			t.Errorf("%d remembered", n)
		}
		if wait := q.Take(bob); wait <= 0 || wait > time.Second {
			t.Errorf("another stranger waits %v", wait)
		}
		if n := used(q, ada); n != 10 {
			t.Errorf("somebody who was logged in: %d", n)
		}
		for i := range 50_000 {
			q.Know(of(i))
		}
		if n := q.acquaintances.order.Len() + len(q.acquaintances.byKey); n != 200 {
			t.Errorf("%d remembered", n)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	q := New(Options{PerClient: 50, Total: 1_000_000, Clients: 8})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 500 {
				q.Take(of(n % 16))
				q.Know(of(i))
			}
		})
	}
	wg.Wait()
}

func BenchmarkTake(b *testing.B) {
	q := New(Options{PerClient: 120, Total: 3000, Clients: 10_000})
	for i := 0; b.Loop(); i++ {
		q.Take(of(i))
	}
}
