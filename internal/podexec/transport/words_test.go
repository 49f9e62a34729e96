package transport

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/fault"
)

func TestRuntimesWords(t *testing.T) {
	b, err := os.ReadFile("testdata/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		part := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		msg, err := json.Marshal(metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: 500, Message: part[2]})
		if err != nil {
			t.Fatal(err)
		}
		r := resultOf(msg)
		if got := fault.KindOf(r.Err).Code(); got != part[0] {
			t.Errorf("%s: %s, want %s: %s", part[1], got, part[0], part[2])
		}
		seen[part[0]] = true
	}
	if len(seen) != 4 {
		t.Errorf("fixtures for %v only", seen)
	}
}

// unreadableResults are answers, but not ones that anybody understands.
var unreadableResults = []string{
	strings.Replace(exit7, `"7"`, `"seven"`, 1), `{"status":"Failure","reason":"NonZeroExitCode"}`, `{"status":"Perhaps"}`, `[]`,
}

func TestResults(t *testing.T) {
	for message, want := range map[string]struct {
		code int
		kind fault.Kind // where code is -1
	}{
		success: {code: 0}, exit7: {code: 7},
		strings.Replace(exit7, `"7"`, `"-1073741510"`, 1): {code: -1073741510}, // Windows, Ctrl-C
		strings.Replace(exit7, `"7"`, `"seven"`, 1):       {-1, fault.ClusterUnreachable},
		`{"status":"Failure","reason":"NonZeroExitCode"}`: {-1, fault.ClusterUnreachable},
		`{"status":"Perhaps"}`:                            {-1, fault.ClusterUnreachable},
		`[]`:                                              {-1, fault.ClusterUnreachable},
		`{"status":"Failure","code":403,"reason":"Forbidden","message":"no"}`:  {-1, fault.Forbidden},
		`{"status":"Failure","code":404,"reason":"NotFound","message":"no"}`:   {-1, fault.NotFound},
		`{"status":"Failure","reason":"InternalError","message":"who knows"}`:  {-1, fault.ClusterUnreachable},
		`{"status":"Failure","code":504,"reason":"Timeout","message":"later"}`: {-1, fault.ClusterUnreachable},
	} {
		r := resultOf([]byte(message))
		if want.kind != fault.Internal {
			wantFault(t, r.Err, want.kind)
		} else if r.ExitCode == nil || *r.ExitCode != want.code || r.Err != nil {
			t.Errorf("%s: %+v", message, r)
		}
		if got := errors.Is(r.Err, ErrUnreadable); got != slices.Contains(unreadableResults, message) {
			t.Errorf("%s: unreadable %t", message, got)
		}
	}
}
