// Package quota bounds how often the same client may ask for something that costs
// before anybody knows who it is: a login, a token, a registration; and how often the
// same is told by whoever refuses somebody again and again.
//
// It owns the buckets: one for each client address, as many as there is room for,
// and one for all strangers together; and those of what is told. It does not own where
// an address comes from or how a refusal is told. It starts no goroutines; it is safe
// for any of them.
//
// A flood from one address uses that address up alone. A flood from very many
// addresses is held by the bucket of all strangers, and so can keep strangers
// waiting; but not those from whose address somebody has been logged in lately,
// whom it neither pushes out of the memory nor asks to share that bucket.
package quota

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An IPv6 client is its /64: that is what one line gets, and every address in it
// is its owner's to use.
const bitsIPv6 = 64

// Options of a Quota. All are needed.
type Options struct {
	// PerClient and Total are how many requests a minute one client and all
	// strangers together may make; so many may also come at once.
	PerClient, Total int
	// Clients bounds how many strangers, and as many acquaintances, are remembered.
	// Whoever was seen longest ago is forgotten first.
	Clients int
}

// Quota counts requests.
type Quota struct {
	mu            sync.Mutex // guards what follows
	total         *rate.Limiter
	strangers     memory[netip.Prefix, rate.Limiter]
	acquaintances memory[netip.Prefix, rate.Limiter]
}

// New makes a Quota that is wholly unused.
func New(o Options) *Quota {
	own := func() *rate.Limiter { return bucket(o.PerClient) }
	return &Quota{
		total:     bucket(o.Total),
		strangers: newMemory[netip.Prefix](o.Clients, own), acquaintances: newMemory[netip.Prefix](o.Clients, own),
	}
}

func bucket(perMinute int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(perMinute)/60), perMinute)
}

// Take counts a request of that client. Where it may not be made now, wait is how
// long until it may; else 0.
func (q *Quota) Take(a netip.Addr) (wait time.Duration) {
	now, who := time.Now(), ClientOf(a)
	q.mu.Lock()
	defer q.mu.Unlock()
	if known := q.acquaintances.find(who); known != nil {
		return take(known, now)
	}
	own := q.strangers.add(who)
	first, wait := reserve(own, now)
	if wait > 0 {
		return wait
	}
	if wait = take(q.total, now); wait > 0 {
		first.CancelAt(now)
	}
	return wait
}

// Know says that somebody is logged in from that address.
func (q *Quota) Know(a netip.Addr) {
	who := ClientOf(a)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.acquaintances.add(who)
}

// take is 0 and counts, or the time to wait and does not.
func take(l *rate.Limiter, now time.Time) time.Duration {
	_, wait := reserve(l, now)
	return wait
}

func reserve(l *rate.Limiter, now time.Time) (*rate.Reservation, time.Duration) {
	r := l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return r, wait
}

// ClientOf is what an address is counted as. The zero Prefix stands for all without one.
func ClientOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = bitsIPv6
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// memory is what is kept of those seen last.
type memory[K comparable, V any] struct {
	most  int
	fresh func() *V
	order *list.List // of *kept[K, V], the one seen last in front
	byKey map[K]*list.Element
}

type kept[K comparable, V any] struct {
	key   K
	value *V
}

func newMemory[K comparable, V any](most int, fresh func() *V) memory[K, V] {
	return memory[K, V]{most: most, fresh: fresh, order: list.New(), byKey: map[K]*list.Element{}}
}

// find is nil for what is not remembered.
func (m memory[K, V]) find(key K) *V {
	e := m.byKey[key]
	if e == nil {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*kept[K, V]).value
}

// add remembers the key, in place of the one seen longest ago where it is full.
func (m memory[K, V]) add(key K) *V {
	if known := m.find(key); known != nil {
		return known
	}
	if m.order.Len() >= m.most {
		oldest := m.order.Back()
		delete(m.byKey, oldest.Value.(*kept[K, V]).key)
		m.order.Remove(oldest)
	}
	k := &kept[K, V]{key: key, value: m.fresh()}
	m.byKey[key] = m.order.PushFront(k)
	return k.value
}
