package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/periscope-console/periscope/internal/kubetest"
	"github.com/periscope-console/periscope/internal/podexec/transport"
)

func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

type cg struct {
	cfg     *rest.Config
	ns, pod string
}

func (c cg) url(tty bool, cmd ...string) string {
	u, _ := url.Parse(c.cfg.Host)
	u = u.JoinPath("api/v1/namespaces", c.ns, "pods", c.pod, "exec")
	u.RawQuery = url.Values{"command": cmd, "container": {"main"}, "stdin": {"true"}, "stdout": {"true"}, "stderr": {fmt.Sprint(!tty)}, "tty": {fmt.Sprint(tty)}}.Encode()
	return u.String()
}

type counter struct{ n, calls int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); c.calls++; return len(p), nil }

func TestZZBench(t *testing.T) {
	if os.Getenv("ZZ") == "" {
		t.Skip()
	}
	c := kubetest.Shared(t)
	ns := c.Namespace(t)
	pod := c.Pod(t, ns).Name
	ref := cg{c.Config, ns, pod}
	d := transport.New(transport.WebSocket)
	req := func(tty bool, cmd ...string) transport.Request {
		return transport.Request{Namespace: ns, Pod: pod, Container: "main", Command: cmd, Stdin: true, TTY: tty}
	}
	oursBulk := func(tty bool, cmd ...string) (int64, int64) {
		s, err := d.Dial(context.Background(), c.Config, req(tty, cmd...))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var n, calls int64
		p := make([]byte, 32<<10)
		for {
			m, _, err := s.Read(p)
			if err != nil {
				break
			}
			n += int64(m)
			calls++
		}
		return n, calls
	}
	refBulk := func(tty bool, cmd ...string) (int64, int64) {
		e, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", ref.url(tty, cmd...))
		if err != nil {
			t.Fatal(err)
		}
		r, w := io.Pipe()
		defer w.Close()
		var out counter
		o := remotecommand.StreamOptions{Stdin: r, Stdout: &out, Tty: tty}
		if !tty {
			o.Stderr = io.Discard
		}
		if err := e.StreamWithContext(context.Background(), o); err != nil {
			t.Log(err)
		}
		return out.n, out.calls
	}
	bulk := func(name string, tty bool, cmd ...string) {
		var rate, cpur []float64
		for range 7 {
			t0, c0 := time.Now(), cpu()
			n, calls := oursBulk(tty, cmd...)
			t1, c1 := time.Now(), cpu()
			m, rcalls := refBulk(tty, cmd...)
			t2, c2 := time.Now(), cpu()
			a, b := float64(n)/t1.Sub(t0).Seconds(), float64(m)/t2.Sub(t1).Seconds()
			ca, cb := (c1-c0).Seconds()/float64(n)*(1<<30), (c2-c1).Seconds()/float64(m)*(1<<30)
			t.Logf("%s: ours %.0f MB/s %.2f cpu-s/GiB %d calls; ref %.0f MB/s %.2f cpu-s/GiB %d calls", name, a/1e6, ca, calls, b/1e6, cb, rcalls)
			rate, cpur = append(rate, a/b), append(cpur, ca/cb)
		}
		slices.Sort(rate)
		slices.Sort(cpur)
		t.Logf("== %s rate ratio %.2f (%.2f–%.2f) cpu ratio %.2f (%.2f–%.2f)", name, rate[3], rate[0], rate[6], cpur[3], cpur[0], cpur[6])
	}
	switch os.Getenv("ZZ") {
	case "bulk":
		bulk("plain", false, "head", "-c", "300000000", "/dev/zero")
	case "ours":
		for range 8 {
			oursBulk(false, "head", "-c", "300000000", "/dev/zero")
		}
	case "tty":
		bulk("tty", true, "head", "-c", "50000000", "/dev/zero")
	case "yes":
		bulk("busybox yes", false, "timeout", "2", "perl", "-e", `while(1){syswrite STDOUT,"y\n"}`)
	case "echo":
		oursEcho := func(n int) []time.Duration {
			s, err := d.Dial(context.Background(), c.Config, req(false, "cat"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var ds []time.Duration
			b, p := []byte("x"), make([]byte, 4096)
			for range n {
				t0 := time.Now()
				_, _ = s.Write(b)
				_, _, _ = s.Read(p)
				ds = append(ds, time.Since(t0))
			}
			return ds
		}
		refEcho := func(n int) []time.Duration {
			e, _ := remotecommand.NewWebSocketExecutor(c.Config, "GET", ref.url(false, "cat"))
			r, w := io.Pipe()
			or, ow := io.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = e.StreamWithContext(context.Background(), remotecommand.StreamOptions{Stdin: r, Stdout: ow, Stderr: io.Discard})
			}()
			var ds []time.Duration
			b, p := []byte("x"), make([]byte, 4096)
			for range n {
				t0 := time.Now()
				_, _ = w.Write(b)
				_, _ = or.Read(p)
				ds = append(ds, time.Since(t0))
			}
			w.Close()
			<-done
			return ds
		}
		var r50, r99 []float64
		for range 9 {
			a, b := oursEcho(1500)[100:], refEcho(1500)[100:]
			slices.Sort(a)
			slices.Sort(b)
			q := func(d []time.Duration, p float64) float64 { return float64(d[int(float64(len(d))*p)].Microseconds()) }
			t.Logf("ours %v/%v ref %v/%v", q(a, .5), q(a, .99), q(b, .5), q(b, .99))
			r50, r99 = append(r50, q(a, .5)/q(b, .5)), append(r99, q(a, .99)/q(b, .99))
		}
		slices.Sort(r50)
		slices.Sort(r99)
		t.Logf("== echo p50 ratio %.2f, p99 ratio %.2f", r50[4], r99[4])
	case "open":
		var rs []float64
		for range 40 {
			t0 := time.Now()
			oursBulk(false, "echo", "x")
			t1 := time.Now()
			refBulk(false, "echo", "x")
			t2 := time.Now()
			rs = append(rs, t1.Sub(t0).Seconds()/t2.Sub(t1).Seconds())
			t.Logf("ours %v ref %v", t1.Sub(t0), t2.Sub(t1))
		}
		slices.Sort(rs)
		t.Logf("== open ratio %.2f", rs[20])
	case "mem":
		kinds := []transport.Kind{transport.WebSocket, transport.SPDY}
		for _, k := range kinds {
			d := transport.New(k)
			const n = 200
			measure := func() (uint64, int) {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc + m.StackInuse, runtime.NumGoroutine()
			}
			m0, g0 := measure()
			var ss []transport.Stream
			for range n {
				s, err := d.Dial(context.Background(), c.Config, req(true, "sh", "-c", "head -c 300000 /dev/zero; cat"))
				if err != nil {
					t.Fatal(err)
				}
				got := 0
				p := make([]byte, 32<<10)
				for got < 300000 {
					m, _, err := s.Read(p)
					if err != nil {
						t.Fatal(err)
					}
					got += m
				}
				ss = append(ss, s)
			}
			m1, g1 := measure()
			t.Logf("== %s: %d bytes, %.1f goroutines each (no reader)", k, (m1-m0)/n, float64(g1-g0)/n)
			for _, s := range ss {
				_ = s.Close()
			}
		}
	}
}
