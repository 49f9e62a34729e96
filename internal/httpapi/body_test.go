package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/identity/devlogin"
	"github.com/periscope-console/periscope/internal/identity/entry"
)

// oneConn is a listener with one connection.
type oneConn struct{ conn chan net.Conn }

func (l oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conn
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (oneConn) Close() error   { return nil }
func (oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// serveOne serves one connection, and is its client's end.
func serveOne(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	ln := oneConn{make(chan net.Conn, 1)}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(ln) }()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); close(ln.conn); srv.Close() })
	ln.conn <- theirs
	return ours
}

// TestABodyThatNobodyReads does not hold its connection when it does not come: not
// where a request is refused, nor where its route takes no body.
func TestABodyThatNobodyReads(t *testing.T) {
	const asJSON = "Content-Type: application/json\r\n"
	for name, head := range map[string]string{
		"a logout":               "POST /api/auth/logout HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"a login":                "POST /api/auth/dev HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"no JSON":                "POST /api/auth/logout HTTP/1.1\r\nHost: console.example\r\nContent-Type: text/plain\r\n",
		"another host":           "POST /api/auth/logout HTTP/1.1\r\nHost: evil.example\r\n" + asJSON,
		"a crooked path":         "POST /api/../x HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"no login":               "POST /api/me/tokens HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"an unknown path":        "POST /api/none HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"a path of no API":       "POST /none HTTP/1.1\r\nHost: console.example\r\n" + asJSON,
		"a DELETE":               "DELETE /api/me/tokens/x HTTP/1.1\r\nHost: console.example\r\nCookie: s=ada\r\n" + asJSON,
		"a GET":                  "GET /healthz HTTP/1.1\r\nHost: console.example\r\n",
		"at the agents'":         "POST /api/agents/none HTTP/1.1\r\nHost: x\r\n" + asJSON,
		"at the agents' by name": "POST /api/agents/register HTTP/1.1\r\nHost: evil.example\r\n" + asJSON,
	} {
		for _, length := range []string{"Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"} {
			t.Run(name+", "+length[:7], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHandlerWith(t, func(o *Options) { o.Login = ways() })
					switch {
					case strings.Contains(name, "agents'"):
						h = newOffice(t).other
					case name == "a login":
						h = newHandlerWith(t, func(o *Options) { o.Login = devlogin.New(devlogin.Options{CodeRequired: true}).Routes() })
					}
					client := serveOne(t, h)
					begun := time.Now()
					_ = client.SetReadDeadline(begun.Add(2 * bodyTime))
					if _, err := io.WriteString(client, head+length); err != nil {
						t.Fatal(err)
					}
					resp, err := http.ReadResponse(bufio.NewReader(client), nil)
					if took := time.Since(begun); err != nil || took > bodyTime {
						t.Fatalf("%v, %v after %v", resp, err, took)
					}
					_, _ = io.Copy(io.Discard, client)
					if took := time.Since(begun); took > bodyTime+time.Second {
						t.Errorf("%d, and its connection was kept for %v", resp.StatusCode, took)
					}
				})
			})
		}
	}
}

// TestAWrongBodyIsToldWhatIsWrong: the field, what it takes and what it got, without
// giving back all that was sent.
func TestAWrongBodyIsToldWhatIsWrong(t *testing.T) {
	h := newHandler(t)
	long := strings.Repeat("x", 10_000)
	for body, want := range map[string]string{
		`{"verb":"get","resource":"pods"} x`:        "The body holds more than one JSON value. Send one.",
		`{"verb":"get","resource":"pods"}}`:         "The body holds more than one JSON value. Send one.",
		`{"verb":"get","resource":"pods"}]`:         "The body holds more than one JSON value. Send one.",
		`{"verb":"get","resource":"pods"},`:         "The body holds more than one JSON value. Send one.",
		`{"verb":"get","resource":"pods"}` + "\x00": "The body holds more than one JSON value. Send one.",
		`{"verb":1}`: "The field verb takes a text, not the number. See api/openapi.yaml.",
		`{"checks":[{"verb":"get"},{"resource":["x"]}]}`: "The field checks.resource takes a text, not a list. See api/openapi.yaml.",
		`{"checks":{"verb":"get"}}`:                      "The field checks takes a list, not an object. See api/openapi.yaml.",
		`{"checks":[true]}`:                              "The field checks takes an object, not true or false. See api/openapi.yaml.",
		`[]`:                                             "The body takes an object, not a list. See api/openapi.yaml.",
		`"` + long + `"`:                                 "The body takes an object, not a text. See api/openapi.yaml.",
		`{"checkz":[]}`:                                  `This call does not take the field "checkz". See api/openapi.yaml.`,
		`{"` + long + `":1}`:                             `This call does not take the field "` + long[:maxNamed-1] + ". See api/openapi.yaml.",
		`{"a\nb":1}`:                                     `This call does not take the field "a\nb". See api/openapi.yaml.`,
		`{"verb"`:                                        "The body is not the JSON that this call takes. See api/openapi.yaml.",
		``:                                               "The body is not the JSON that this call takes. See api/openapi.yaml.",
		`{"verb":"get","resource":"pods"}` + "\r\n\t \n": "There is no cluster named c here. The list of clusters has the names of those there are.", // blanks are nothing
	} {
		got := do(t, h, ask{method: "POST", path: "/api/clusters/c/can-i", body: body, header: map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}})
		var is ErrorBody
		if err := json.NewDecoder(got.Body).Decode(&is); err != nil || is.Message != want || got.StatusCode != http.StatusBadRequest && got.StatusCode != http.StatusNotFound {
			t.Errorf("%.60q: %d %q, want %q", body, got.StatusCode, is.Message, want)
		}
	}
	for body, want := range map[string]string{
		`{"lifetimeSeconds":99999999999999999999}`:        "a whole number of at most 64 bits, not the number 99999999999999999999.",
		`{"lifetimeSeconds":1.5}`:                         "a whole number of at most 64 bits, not the number 1.5.",
		`{"lifetimeSeconds":` + strings.Repeat("9", 5000): "a whole number of at most 64 bits, not the number " + strings.Repeat("9", maxNamed-7) + ".",
		`{"lifetimeSeconds":"1h"}`:                        "a whole number of at most 64 bits, not a text.",
	} {
		got := do(t, h, ask{method: "POST", path: "/api/auth/tokens", body: strings.TrimSuffix(body, "}") + "}", header: map[string]string{"Cookie": "s=ada", "Content-Type": "application/json"}})
		var is ErrorBody
		if err := json.NewDecoder(got.Body).Decode(&is); err != nil || !strings.Contains(is.Message, "The field lifetimeSeconds takes "+want) || got.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60q: %d %q, want %q", body, got.StatusCode, is.Message, want)
		}
	}
}

// TestTheTimeOfABodyIsItsOwn: what a call does, and what its connection brings later,
// may take longer.
func TestTheTimeOfABodyIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			time.Sleep(2 * bodyTime)
			_, _ = fmt.Fprint(w, err, r.Context().Err())
		}
		taken := make(chan net.Conn, 1)
		client := serveOne(t, newHandlerWith(t, func(o *Options) {
			o.Login = []entry.Route{
				{Method: http.MethodPost, Path: "/api/auth/none", Serve: func(http.ResponseWriter, *http.Request) {}},
				{Method: http.MethodPost, Path: "/api/auth/slow", Serve: slow},
				{Method: http.MethodGet, Path: "/api/auth/slow", Serve: slow},
				{Method: http.MethodPost, Path: "/api/auth/taken", Serve: func(w http.ResponseWriter, _ *http.Request) {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
					}
					taken <- conn
				}},
			}
		}))
		answers := bufio.NewReader(client)
		ask := func(line, body string) string {
			t.Helper()
			_, err := fmt.Fprintf(client, "%s HTTP/1.1\r\nHost: console.example\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", line, len(body), body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s, %v", line, resp.StatusCode, said, err)
			}
			return string(said)
		}
		for _, body := range []string{"{}", ""} {
			ask("POST /api/auth/none", body)
			time.Sleep(2 * bodyTime)
			for _, method := range []string{"POST", "GET"} {
				if said := ask(method+" /api/auth/slow", body); said != "<nil> <nil>" {
					t.Errorf("%s with %q: %s", method, body, said)
				}
			}
		}
		if _, err := io.WriteString(client, "POST /api/auth/taken HTTP/1.1\r\nHost: console.example\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		conn := <-taken
		defer conn.Close()
		time.AfterFunc(2*bodyTime, func() { _, _ = io.WriteString(client, "x") })
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("a connection that was taken over: %v", err)
		}
	})
}
