package podexec

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const echoFigure = "periscope_exec_echo_seconds"

// echoSum is the time of all echoes together.
func (r *rig) echoSum() time.Duration {
	r.t.Helper()
	families, err := r.figures.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == echoFigure {
			sum += f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	return time.Duration(sum * float64(time.Second))
}

func TestEchoIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		conn, s := r.open(true)
		time.Sleep(2 * echoQuiet)
		conn.send(true, "a")
		time.Sleep(40 * time.Millisecond)
		s.feed.Write([]byte("a"))
		synctest.Wait()
		if n, took := r.figure(echoFigure, "c"), r.echoSum(); n != 1 || took < 39*time.Millisecond || took > 41*time.Millisecond {
			t.Errorf("%v echoes in %v, want one of 40 ms", n, took)
		}
		r.leave(conn)
	})
}

// TestWhatIsNoEcho counts nothing that would blame the server for what others do.
func TestWhatIsNoEcho(t *testing.T) {
	cases := map[string]func(*pipeConn, *script){
		"output by itself": func(_ *pipeConn, s *script) { s.feed.Write([]byte("tick")) },
		"a paste": func(c *pipeConn, s *script) {
			c.send(true, strings.Repeat("x", echoStdin+1))
			synctest.Wait()
			s.feed.Write([]byte("x"))
		},
		"typing into a flood": func(c *pipeConn, s *script) {
			s.feed.Write([]byte("y\n"))
			synctest.Wait()
			c.send(true, "a")
			synctest.Wait()
			s.feed.Write([]byte("y\n"))
		},
		"a password": func(c *pipeConn, s *script) {
			c.send(true, "s")
			time.Sleep(echoLimit + time.Second)
			s.feed.Write([]byte("\r\n"))
		},
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				conn, s := r.open(true)
				time.Sleep(2 * echoQuiet)
				do(conn, s)
				synctest.Wait()
				if n := r.figure(echoFigure, "c"); n != 0 {
					t.Errorf("%v echoes were counted", n)
				}
				time.Sleep(2 * echoQuiet)
				conn.send(true, "a")
				synctest.Wait()
				s.feed.Write([]byte("a"))
				synctest.Wait()
				if n := r.figure(echoFigure, "c"); n != 1 {
					t.Errorf("the next keystroke counts %v times", n)
				}
				r.leave(conn)
			})
		})
	}
}

func TestTimingAnEchoCostsNoMemory(t *testing.T) {
	s := &session{echoes: NewMetrics(prometheus.NewRegistry()).echo.WithLabelValues("c")}
	s.clock.base = time.Now().Add(-time.Hour)
	if n := testing.AllocsPerRun(100, func() { s.clock.awaitEcho(1); s.echoed() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestFiguresOfASession follows one session, and one that is refused.
func TestFiguresOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set.MaxSessionsPerUser = 1
		conn, s := r.open(true)
		if _, err := r.ss.Admit(t.Context(), r.request()); err == nil {
			t.Fatal("a second session was let in")
		}
		conn.send(true, "ab")
		s.feed.Write(bytes.Repeat([]byte("x"), 7))
		synctest.Wait()
		r.expect(map[string]float64{"sessions ws": 1, "session_starts_total ws": 1, "open_seconds c": 1,
			"session_ends_total c": 0, "refusals_total E_CAP_USER": 1, "cap_hits_total user": 1, "cap_hits_total cluster": 0})
		r.leave(conn)
		r.expect(map[string]float64{"sessions ws": 0, "session_starts_total c": 1, "session_ends_total client_close": 1,
			"bytes_total stdin": 2, "bytes_total stdout": 7})
	})
}

// expect compares figures, named without periscope_exec_, with a label's value.
func (r *rig) expect(want map[string]float64) {
	r.t.Helper()
	for what, n := range want {
		name, label, _ := strings.Cut(what, " ")
		if got := r.figure("periscope_exec_"+name, label); got != n {
			r.t.Errorf("%s is %v, want %v", what, got, n)
		}
	}
}
