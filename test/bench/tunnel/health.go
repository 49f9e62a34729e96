package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/badnet"
	"github.com/periscope-console/periscope/internal/tunnel"
)

const (
	// healthLimit is where the wait for what comes ends, and then counts: the
	// reference needs 55 to 60 s.
	healthLimit = 70 * time.Second
	// The networks fail between settle and settle + spread: a sign of life goes out
	// each 5 s, and they fail at any time since the last.
	settle = time.Second
	spread = 5 * time.Second
	// attempt bounds one try at a new stream, and look is how often a link's state
	// is asked.
	attempt = 250 * time.Millisecond
	look    = 5 * time.Millisecond
	// typingPace is between two keystrokes on a link that dies.
	typingPace = 50 * time.Millisecond
)

// healthRows are measured all at once, each run over a link of its own.
var healthRows = []row{{
	number: 9, title: "a network that is gone without a word",
	measures: []measure{
		{name: "an idle link's dead peer noticed", unit: "s", absolute: 15},
		{name: "the same while somebody types", unit: "s", absolute: 15},
		{name: "a new stream beside a black hole", unit: "s", absolute: 1},
	},
}}

// trial is one way to take a measure: its network fails after some time, and the
// time is said that passed from then.
type trial func(ctx context.Context, s *site, after time.Duration) (time.Duration, error)

// trials are in the order of the row's measures.
var trials = []trial{noticeIdle, noticeWhileTyping, comeBack}

// site is one link, through a network of its own.
type site struct {
	end
	watched watched
	net     *badnet.Proxy
	typing  sync.WaitGroup
}

// ward is a server with many links.
type ward struct {
	http   *httptest.Server
	routes *http.ServeMux
	echo   net.Listener
	trust  *tls.Config
	ctx    context.Context // of the agents
	stop   context.CancelFunc
	agents sync.WaitGroup
	sites  []*site
}

// measureHealth takes the samples of healthRows: as many links as pairs for each
// measure and system, all of them at the same time.
func measureHealth(ctx context.Context, o options) (samples, error) {
	w, err := newWard(ctx)
	if err != nil {
		return nil, err
	}
	defer w.close()
	fmt.Fprintf(os.Stderr, "row  9  %s, at most %v ", healthRows[0].title, settle+spread+healthLimit)
	begun := time.Now()
	all, err := w.measure(ctx, o)
	fmt.Fprintf(os.Stderr, " %.0f s\n", time.Since(begun).Seconds())
	return all, err
}

func newWard(ctx context.Context) (w *ward, err error) {
	w = &ward{routes: http.NewServeMux()}
	if w.echo, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go serveAll(w.echo)
	w.http = httptest.NewUnstartedServer(w.routes)
	w.http.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.http.StartTLS()
	w.ctx, w.stop = context.WithCancel(ctx)
	w.trust, err = trust(w.http.Certificate().Raw)
	return w, err
}

// close ends the links by their networks, since some wait for nothing else.
func (w *ward) close() {
	w.stop()
	for _, s := range w.sites {
		_ = s.net.Close()
		s.typing.Wait()
	}
	w.agents.Wait()
	w.http.CloseClientConnections()
	w.http.Close()
	_ = w.echo.Close()
}

// link makes a site whose link stands.
func (w *ward) link(ctx context.Context, name string) (*site, error) {
	srv := systems[name].server().(watched)
	path := "/" + name + "/" + strconv.Itoa(len(w.sites))
	w.routes.Handle(path, srv)
	proxy, err := badnet.Listen(w.http.Listener.Addr().String())
	if err != nil {
		return nil, err
	}
	s := &site{end: end{srv, w.echo.Addr().String()}, watched: srv, net: proxy}
	w.sites = append(w.sites, s)
	w.agents.Go(func() { w.keep(systems[name], &url.URL{Scheme: "wss", Host: proxy.Addr(), Path: path}) })
	ctx, cancel := context.WithTimeout(ctx, linkLimit)
	defer cancel()
	select {
	case <-srv.linked():
		return s, s.carries(ctx)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no link: %w", name, context.Cause(ctx))
	}
}

// keep has an agent that dials again as soon as it knows that its link is gone.
func (w *ward) keep(s system, u *url.URL) {
	for w.ctx.Err() == nil {
		_ = s.agent(w.ctx, u, w.trust.Clone()) // it ends with its link
		select {
		case <-w.ctx.Done():
		case <-time.After(attempt): // a server that refuses is not asked without end
		}
	}
}

// visit is one sample to take.
type visit struct {
	measure, system string
	site            *site
	trial           trial
	after           time.Duration
}

// measure has all links first and then lets each network fail at its time.
func (w *ward) measure(ctx context.Context, o options) (samples, error) {
	visits, err := w.visits(ctx, o)
	if err != nil {
		return nil, err
	}
	took, failed := make([]time.Duration, len(visits)), make([]error, len(visits))
	var all sync.WaitGroup
	for i, v := range visits {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, v.after+healthLimit)
			defer cancel()
			took[i], failed[i] = v.trial(ctx, v.site, v.after)
		})
	}
	all.Wait()
	got := samples{}
	for i, v := range visits {
		got.add(v.measure, v.system, took[i].Seconds())
	}
	return got, errors.Join(failed...)
}

// visits are those of every system that can be asked.
func (w *ward) visits(ctx context.Context, o options) (visits []visit, err error) {
	for range o.pairs {
		after := settle + rand.N(spread)
		for k, t := range trials {
			for _, name := range o.systems {
				if _, ok := systems[name].server().(watched); !ok {
					continue
				}
				s, err := w.link(ctx, name)
				if err != nil {
					return nil, err
				}
				visits = append(visits, visit{healthRows[0].measures[k].name, name, s, t, after})
			}
		}
		fmt.Fprint(os.Stderr, ".")
	}
	return visits, nil
}

// carries tries new streams until one has a byte echoed.
func (s *site) carries(ctx context.Context) error {
	for {
		once, cancel := context.WithTimeout(ctx, attempt)
		err := s.try(once)
		if err != nil {
			<-once.Done() // some fail at once
		}
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// try opens a stream and has a byte echoed.
func (s *site) try(ctx context.Context) error {
	c, err := s.open(ctx, tunnel.Interactive, s.target)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := c.Write([]byte{serviceEcho, 'k'}); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

// notice makes the network a black hole and says how long the server took to know.
func (s *site) notice(ctx context.Context) time.Duration {
	s.net.SetAll(badnet.Faults{Hold: true})
	begun := time.Now()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for s.watched.alive() && ctx.Err() == nil {
		<-tick.C
	}
	return time.Since(begun)
}

func noticeIdle(ctx context.Context, s *site, after time.Duration) (time.Duration, error) {
	if err := pause(ctx, after); err != nil {
		return 0, err
	}
	return s.notice(ctx), nil
}

func noticeWhileTyping(ctx context.Context, s *site, after time.Duration) (time.Duration, error) {
	c, err := s.service(ctx, tunnel.Interactive, serviceEcho)
	if err != nil {
		return 0, err
	}
	typing, stop := context.WithCancel(ctx)
	defer stop()
	s.typing.Go(func() { _, _ = drain(c) })
	s.typing.Go(func() { typeUntil(typing, c) })
	if err := pause(ctx, after); err != nil {
		return 0, err
	}
	return s.notice(ctx), nil
}

func typeUntil(ctx context.Context, c net.Conn) {
	defer c.Close()
	tick := time.NewTicker(typingPace)
	defer tick.Stop()
	for ctx.Err() == nil {
		if _, err := c.Write([]byte{'k'}); err != nil {
			return
		}
		<-tick.C
	}
}

// comeBack takes the agent to another network and says how long it took until a new
// stream carried a byte there and back, the agent's dialling included. The server's
// old connection is a black hole meanwhile.
func comeBack(ctx context.Context, s *site, after time.Duration) (time.Duration, error) {
	if err := pause(ctx, after); err != nil {
		return 0, err
	}
	s.net.Strand()
	begun := time.Now()
	_ = s.carries(ctx) // a failure has taken as long as it may
	return time.Since(begun), nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
