package awstest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// The example of AWS's own documentation, with the keys it prints there.
const (
	exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	exampleWords  = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
		"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
)

func example() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", exampleWords)
	return r
}

func TestTheDocumentedExample(t *testing.T) {
	s, err := signatureOf(example())
	if err != nil || s.key != "AKIDEXAMPLE" || s.service != "iam" || s.region != "us-east-1" || !s.matches(example(), nil, exampleSecret) {
		t.Fatalf("%+v, %v", s, err)
	}
	for name, change := range map[string]func(*http.Request){
		"query":  func(r *http.Request) { r.URL.RawQuery += "&x=y" },
		"path":   func(r *http.Request) { r.URL.Path = "/x" },
		"method": func(r *http.Request) { r.Method = http.MethodPost },
		"host":   func(r *http.Request) { r.Host = "iam.example" },
		"header": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		r := example()
		change(r)
		if s.matches(r, nil, exampleSecret) {
			t.Errorf("another %s has the same signature", name)
		}
	}
	if s.matches(example(), []byte("body"), exampleSecret) || s.matches(example(), nil, exampleSecret+"x") {
		t.Error("another body or secret has the same signature")
	}
}

func TestSignaturesThatAreNone(t *testing.T) {
	for name, words := range map[string]string{
		"none":             "",
		"bearer":           "Bearer x",
		"no scope":         strings.Replace(exampleWords, "/aws4_request", "", 1),
		"another day":      strings.Replace(exampleWords, "20150830", "20150831", 1),
		"unsigned host":    strings.Replace(exampleWords, ";host", "", 1),
		"unsorted headers": strings.Replace(exampleWords, "content-type;host", "host;content-type", 1),
	} {
		r := example()
		r.Header.Set("Authorization", words)
		if s, err := signatureOf(r); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestAge(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		after     time.Duration
		presigned bool
		good      bool
	}{
		{0, false, true}, {5 * time.Minute, false, true}, {5*time.Minute + 1, false, false}, {-5*time.Minute - 1, false, false},
		{15 * time.Minute, true, true}, {15*time.Minute + 1, true, false}, {-6 * time.Minute, true, false},
	} {
		if err := (signature{at: at, presigned: c.presigned}).current(at.Add(c.after)); (err == nil) != c.good {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
