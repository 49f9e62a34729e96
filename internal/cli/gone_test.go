package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/periscope-console/periscope/internal/execclient"
)

// TestAShellThatWasTakenOverIsNotCalledGone: the server refuses it as it refuses one
// that has ended, and only its list knows better, where it may be read.
func TestAShellThatWasTakenOverIsNotCalledGone(t *testing.T) {
	const gone, taken, either = "the shell is gone: the server has ended or forgotten it.", "another window has taken the shell over.", "the shell is gone, or another window has taken it over"
	for name, c := range map[string]struct {
		status       int
		answer, says string
	}{
		"taken over":         {200, `{"sessions":[{"sessionId":"s0","own":true},{"sessionId":"s1","own":true}],"total":2}`, taken},
		"ended":              {200, `{"sessions":[{"sessionId":"s0","own":true}],"total":1}`, gone},
		"somebody else's":    {200, `{"sessions":[{"sessionId":"s1","own":false}],"total":1}`, gone},
		"beyond the list":    {200, `{"sessions":[{"sessionId":"s0","own":false}],"total":2}`, either},
		"without scope read": {403, `{"error":"E_FORBIDDEN","message":"This token lacks the scope read."}`, either},
		"no Periscope":       {200, `hello`, either},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/api/exec/sessions" || r.Header.Get("Authorization") != "Bearer "+testToken {
					t.Errorf("asked for %s %s", r.Method, r.URL)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.answer)
			}))
			defer server.Close()
			address, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			e, client := Env{Stderr: &said}, &execclient.Client{Server: address, Bearer: testToken}
			no := &execclient.Refusal{Code: "E_NOT_FOUND", Message: "It has ended, or it is not yours.", RequestID: "r7", SessionID: "s1"}
			err = e.outcome(t.Context(), execclient.Result{}, fmt.Errorf("%w: %w", execclient.ErrGone, no), client)
			if code := e.ended(err); code != exitFailed {
				t.Errorf("exit code %d", code)
			}
			words := said.String()
			if !strings.Contains(words, c.says) || !strings.Contains(words, "E_NOT_FOUND, request r7") || strings.Contains(words, "It has ended") != (c.says == gone) {
				t.Errorf("said %q, want %q", words, c.says)
			}
		})
	}
}
