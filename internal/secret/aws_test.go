package secret

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/periscope-console/periscope/internal/awsapi"
	"github.com/periscope-console/periscope/internal/awstest"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/flight"
)

const user = "arn:aws:iam::111111111111:user/periscope"

// parseAWS is Parse with a chain of the test's own.
func parseAWS(t *testing.T, setting string, from *awsapi.Chain) Source {
	t.Helper()
	made := newManaged
	name, ok := strings.CutPrefix(setting, managerScheme)
	if !ok {
		made, name = newParameter, strings.TrimPrefix(setting, parameterScheme)
	}
	source, err := made(name, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.(*remote).close)
	return source
}

func cloud(t *testing.T) (*awstest.AWS, *awsapi.Chain) {
	a := awstest.Start(t)
	return a, a.Chain(t, a.User(user).Environ())
}

func TestSecretsOfAWS(t *testing.T) {
	a, chain := cloud(t)
	a.SetSecret("eu-west-1", "prod/periscope/oidc", `{"client_secret":"from a key","other":{"a":1},"number":7}`)
	a.SetSecret("eu-west-1", "plain", "whole text\n")
	a.SetSecret("us-east-1", "arn:aws:secretsmanager:us-east-1:111111111111:secret:far-AbCdEf", "of another region")
	a.SetParameter("eu-west-1", "/prod/periscope/client-secret", "decrypted")
	for setting, want := range map[string]string{
		"aws-secretsmanager://prod/periscope/oidc#client_secret":                               "from a key",
		"aws-secretsmanager://plain":                                                           "whole text",
		"aws-secretsmanager://arn:aws:secretsmanager:us-east-1:111111111111:secret:far-AbCdEf": "of another region",
		"aws-ssm:///prod/periscope/client-secret":                                              "decrypted",
	} {
		if got, err := parseAWS(t, setting, chain).Get(t.Context()); got != want || err != nil {
			t.Errorf("%s is %q, %v", setting, got, err)
		}
	}
}

func TestWrongSecretsOfAWS(t *testing.T) {
	a, chain := cloud(t)
	a.SetSecret("eu-west-1", "json", `{"client_secret":"hunter2","number":7,"empty":""}`)
	a.SetSecret("eu-west-1", "text", "hunter2")
	a.SetSecret("eu-west-1", "bytes", awstest.Bytes)
	a.SetSecret("eu-west-1", "big", strings.Repeat("x", maxSize+1))
	for setting, want := range map[string]string{
		"aws-secretsmanager://gone":        "no secret gone in region eu-west-1",
		"aws-ssm:///gone":                  "no secret /gone in region eu-west-1",
		"aws-secretsmanager://json#nope":   "has no key nope",
		"aws-secretsmanager://json#number": "is no text",
		"aws-secretsmanager://json#empty":  "is empty",
		"aws-secretsmanager://text#key":    "is no JSON object",
		"aws-secretsmanager://bytes":       "holds bytes",
		"aws-secretsmanager://big":         "larger than 64 KiB",
	} {
		got, err := parseAWS(t, setting, chain).Get(t.Context())
		if got != "" || fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.PublicOf(err), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s is %q, %v", setting, got, err)
		}
	}
}

func TestWrongAddressesOfAWS(t *testing.T) {
	for setting, want := range map[string]string{
		"aws-secretsmanager://":                                     "names no secret",
		"aws-secretsmanager://#key":                                 "names no secret",
		"aws-secretsmanager://a b":                                  "names no secret",
		"aws-secretsmanager://name#":                                "needs a key",
		"aws-secretsmanager://name#" + strings.Repeat("k", 300):     "needs a key",
		"aws-secretsmanager://" + strings.Repeat("n", maxManaged+1): "names no secret",
		"aws-ssm://":     "names no parameter",
		"aws-ssm:///":    "names no parameter",
		"aws-ssm:///a?b": "names no parameter",
		"aws-kms://a":    "not supported",
	} {
		if _, err := Parse(setting, environ); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.PublicOf(err), want) {
			t.Errorf("%q: %v", setting, err)
		}
	}
	for _, setting := range []string{"aws-secretsmanager://prod/periscope/oidc#client_secret", "aws-ssm:///prod/x"} {
		if source, err := Parse(setting, environ); err != nil {
			t.Errorf("%q: %v", setting, err)
		} else {
			source.(*remote).close()
		}
	}
}

// TestSentencesOfAWS is every way in which AWS can be no help.
func TestSentencesOfAWS(t *testing.T) {
	const setting = "aws-secretsmanager://plain"
	good := func(a *awstest.AWS) map[string]string { return a.User(user).Environ() }
	fails := func(f awstest.Failure) func(*awstest.AWS) map[string]string {
		return func(a *awstest.AWS) map[string]string {
			a.Fail("secretsmanager.GetSecretValue", f)
			return good(a)
		}
	}
	for name, c := range map[string]struct {
		prepare func(*awstest.AWS) map[string]string
		kind    fault.Kind
		want    string
	}{
		"no credentials": {func(*awstest.AWS) map[string]string { return map[string]string{"AWS_REGION": "eu-west-1"} }, fault.Invalid, "the server gets no AWS credentials"},
		"no region": {func(a *awstest.AWS) map[string]string {
			env := good(a)
			env["AWS_REGION"] = ""
			return env
		}, fault.Invalid, "Set AWS_REGION"},
		"a profile that is not there": {func(*awstest.AWS) map[string]string { return map[string]string{"AWS_PROFILE": "nope"} }, fault.Invalid, "the settings for AWS cannot be used"},
		"a wrong key": {func(a *awstest.AWS) map[string]string {
			env := good(a)
			env["AWS_SECRET_ACCESS_KEY"] = "guessed"
			return env
		}, fault.Invalid, "AWS does not know the server's credentials"},
		"an expired session": {func(a *awstest.AWS) map[string]string {
			k := a.Session("arn:aws:iam::111111111111:role/r", "me", time.Hour)
			a.Expire(k)
			return k.Environ()
		}, fault.Invalid, "have expired"},
		"no permission": {fails(awstest.Failure{Status: http.StatusBadRequest, Code: "AccessDeniedException"}), fault.Invalid, "Give its role secretsmanager:GetSecretValue"},
		"a clock a year off": {func(a *awstest.AWS) map[string]string {
			a.SetClock(365 * 24 * time.Hour)
			// The SDK would set its own clock by the answer, once.
			a.Fail("secretsmanager.GetSecretValue", awstest.Failure{Status: http.StatusBadRequest, Code: "InvalidSignatureException"})
			return good(a)
		}, fault.Invalid, "the clock of this server is 364 days behind that of AWS"},
		"throttled": {fails(awstest.Failure{Status: http.StatusBadRequest, Code: "ThrottlingException"}), fault.RateLimited, "AWS takes no more calls"},
		"down":      {fails(awstest.Failure{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable"}), fault.Invalid, "AWS refused or failed"},
	} {
		t.Run(name, func(t *testing.T) {
			a := awstest.Start(t)
			a.SetSecret("eu-west-1", "plain", "hunter2")
			chain := a.Chain(t, c.prepare(a))
			_, err := parseAWS(t, setting, chain).Get(t.Context())
			if fault.KindOf(err) != c.kind || !strings.Contains(fault.PublicOf(err), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestManyReadersOneCall, also where the first of them gives up.
func TestManyReadersOneCall(t *testing.T) {
	a, chain := cloud(t)
	a.SetSecret("eu-west-1", "plain", "hunter2")
	source := parseAWS(t, "aws-secretsmanager://plain", chain)
	arrived, release := a.Hold("secretsmanager.GetSecretValue")
	first, giveUp := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := source.Get(first); !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Timeout {
			t.Errorf("who gave up got %v", err)
		}
	})
	<-arrived
	for range 100 {
		all.Go(func() {
			if got, err := source.Get(t.Context()); got != "hunter2" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	giveUp()
	release()
	all.Wait()
	if n := a.Calls("secretsmanager.GetSecretValue"); n != 1 {
		t.Errorf("%d calls", n)
	}
}

// TestAChangedSecretIsReadAgain has a time of its own and so no network.
func TestAChangedSecretIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var value string
		var down error
		r := timed(t, func() (string, error) { return value, down })
		want := func(s string) {
			t.Helper()
			if got, err := r.Get(t.Context()); got != s || (err != nil) != (s == "") {
				t.Errorf("got %q, %v; want %q", got, err, s)
			}
		}
		value = "old"
		want("old")
		value = "new"
		want("old")
		time.Sleep(fresh)
		want("new")
		down = errors.New("AWS is down")
		time.Sleep(stale - time.Second)
		want("new")
		time.Sleep(time.Second)
		want("")
		down = nil
		time.Sleep(time.Minute)
		want("new")
	})
}

func timed(t *testing.T, ask func() (string, error)) *remote {
	group := flight.NewGroup(time.Second, nil)
	t.Cleanup(group.Close)
	return &remote{group: group, value: flight.New(group, func(context.Context) (string, flight.Life, error) {
		value, err := ask()
		return value, lifeFrom(time.Now()), err
	}, awsapi.Pause)}
}
