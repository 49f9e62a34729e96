package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/periscope-console/periscope/internal/execclient"
)

const loginUsage = `Usage: periscope login [--server URL] [--device] [flags]

Gets an access token for this machine: somebody who is logged in in a browser says yes there.
The token is kept for periscope exec in a file that you alone may read.

      --device        show a code to type in a browser anywhere, for a machine that has none
      --no-browser    print the address instead of opening it
` + loginFlags + `
periscope logout revokes the token and forgets it.
`

const loginFlags = `  --server URL        the server; also PERISCOPE_URL; else the one of the last login
  --ca-file FILE      authorities to trust, in PEM; also PERISCOPE_CA_FILE; else the system's
`

// commandLogin is the server's answer to a code.
type commandLogin struct {
	State           string
	IntervalSeconds int
	Token           *struct {
		ID, Name, Subject, Email string
		ExpiresAt                *time.Time
	}
	Secret string
}

func (e Env) login(ctx context.Context, args []string) error {
	var w where
	var device, quiet, help bool
	f := flags{
		switches: map[string]*bool{"--device": &device, "--no-browser": &quiet, "-h": &help, "--help": &help},
		texts:    map[string]*string{"--server": &w.server, "--ca-file": &w.caFile},
	}
	words, rest, err := f.parse(args)
	switch {
	case err != nil:
		return err
	case help:
		fmt.Fprint(e.Stdout, loginUsage)
		return nil
	case len(words)+len(rest) > 0:
		return wrongUse("periscope login takes flags alone. Try --help.")
	}
	kept, err := e.credentials()
	if err != nil {
		return err
	}
	c, err := e.address(w, kept)
	if err != nil {
		return err
	}
	caFile := e.authorities(w, kept, c.Server)
	if caFile != "" { // later commands are run elsewhere
		if caFile, err = filepath.Abs(caFile); err != nil {
			return err
		}
	}
	ctx, stop := signals(ctx, &terminal{})
	defer stop()
	var got commandLogin
	if device {
		got, err = e.byDevice(ctx, c)
	} else {
		got, err = e.byBrowser(ctx, c, quiet)
	}
	var by caught
	if errors.As(context.Cause(ctx), &by) {
		return exitCode(exitSignal + int(by.signal))
	}
	if err != nil {
		return err
	}
	return e.loggedIn(ctx, c, caFile, got)
}

// loggedIn keeps what was got, and lets go of the token that was here before.
func (e Env) loggedIn(ctx context.Context, c *execclient.Client, caFile string, got commandLogin) error {
	if got.Token == nil || !wellFormed(got.Secret) {
		return fmt.Errorf("%s did not give a token. Try again", c.Server)
	}
	name := c.Server.String()
	is := account{Token: got.Secret, ID: got.Token.ID, Subject: first(got.Token.Email, got.Token.Subject), CAFile: caFile}
	if got.Token.ExpiresAt != nil {
		is.Expires = *got.Token.ExpiresAt
	}
	var before account
	err := e.change(func(kept *credentials) bool {
		before = kept.Servers[name]
		if kept.Servers == nil {
			kept.Servers = map[string]account{}
		}
		kept.Servers[name], kept.Current = is, name
		return true
	})
	if err != nil {
		c.Bearer = got.Secret
		return errors.Join(fmt.Errorf("the login cannot be kept: %w", err), revoke(ctx, c))
	}
	if before.Token != "" {
		old := *c
		old.Bearer = before.Token
		if revoke(ctx, &old) != nil {
			e.say("the token of the login before, %s, could not be revoked; do it on the page “Access tokens”", before.ID)
		}
	}
	fmt.Fprintf(e.Stdout, "Logged in at %s as %s%s\n", name, printable(is.Subject), until(is.Expires))
	return nil
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", until " + t.Local().Format("2 January 2006, 15:04")
}

// revoke ends the token that c bears. One that has ended already is no failure.
func revoke(ctx context.Context, c *execclient.Client) error {
	err := call(ctx, c, "DELETE", "api/auth/token", nil, nil)
	var no *execclient.Refusal
	if errors.As(err, &no) && no.Status == 401 {
		return nil
	}
	return err
}

func (e Env) logout(ctx context.Context, args []string) error {
	var w where
	var help bool
	f := flags{
		switches: map[string]*bool{"-h": &help, "--help": &help},
		texts:    map[string]*string{"--server": &w.server, "--ca-file": &w.caFile},
	}
	words, rest, err := f.parse(args)
	switch {
	case err != nil:
		return err
	case help:
		fmt.Fprint(e.Stdout, "Usage: periscope logout [--server URL]\n\nRevokes the token of periscope login, which ends its shells, and forgets it.\n\n"+loginFlags)
		return nil
	case len(words)+len(rest) > 0:
		return wrongUse("periscope logout takes flags alone. Try --help.")
	}
	kept, err := e.credentials()
	if err != nil {
		return err
	}
	c, err := e.address(w, kept)
	if err != nil {
		return err
	}
	name := c.Server.String()
	is, ok := kept.Servers[name]
	if !ok {
		return fmt.Errorf("nobody is logged in at %s", name)
	}
	c.Bearer = is.Token
	if err := revoke(ctx, c); err != nil {
		e.say("the token still holds; try again, or revoke it on the page “Access tokens”")
		return err
	}
	if err := e.forget(name, is.Token); err != nil {
		return err
	}
	fmt.Fprintf(e.Stdout, "Logged out at %s\n", name)
	return nil
}

// forget takes a token out of the file, which is read again: a login may have ended
// meanwhile, even at the same server.
func (e Env) forget(server, token string) error {
	return e.change(func(kept *credentials) bool {
		if kept.Servers[server].Token != token {
			return false
		}
		delete(kept.Servers, server)
		if kept.Current == server {
			kept.Current = ""
		}
		return true
	})
}

// random has 256 bits.
func random() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// byBrowser has the answer brought to a port of this machine's loopback.
func (e Env) byBrowser(ctx context.Context, c *execclient.Client, quiet bool) (got commandLogin, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return got, fmt.Errorf("there is no port for the browser's answer: %w. Try periscope login --device", err)
	}
	verifier, state := random(), random()
	sum := sha256.Sum256([]byte(verifier))
	var asked struct {
		Page             string
		ExpiresInSeconds int
	}
	err = call(ctx, c, "POST", "api/auth/cli/browser", map[string]any{
		"host": hostname(), "state": state, "port": listener.Addr().(*net.TCPAddr).Port,
		"challenge": base64.RawURLEncoding.EncodeToString(sum[:]),
	}, &asked)
	if err != nil {
		return got, errors.Join(err, listener.Close())
	}
	page, err := pageOf(c, asked.Page)
	if err != nil {
		return got, errors.Join(err, listener.Close())
	}
	if quiet || e.browse(ctx, page) != nil {
		e.say("open this address in a browser on this machine: %s", page)
	} else {
		e.say("answer in the browser that has opened; if none has, open %s", page)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(asked.ExpiresInSeconds)*time.Second, errLate)
	defer cancel()
	err = await(ctx, listener, state, func(code string) error {
		return call(ctx, c, "POST", "api/auth/cli/redeem", map[string]string{"code": code, "verifier": verifier}, &got)
	})
	return got, err
}

var (
	errLate    = errors.New("nobody has answered in time. Run periscope login again")
	errRefused = errors.New("the login was refused in the browser")
)

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// browse opens an address in the person's browser. Where none was running, what opens
// it may be the browser: it is neither waited for nor ended, nor does a Ctrl-C here
// reach its process group.
func (e Env) browse(ctx context.Context, address string) error {
	if e.Browse != nil {
		return e.Browse(ctx, address)
	}
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	} else if e.Getenv("DISPLAY") == "" && e.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("no screen")
	}
	cmd := exec.Command(program, address) //nolint:gosec // an address of the server's, from pageOf
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // the person sees what has opened
	return nil
}

// byDevice has the person type a code wherever they have a browser.
func (e Env) byDevice(ctx context.Context, c *execclient.Client) (got commandLogin, err error) {
	var asked struct {
		DeviceCode, UserCode, Page        string
		IntervalSeconds, ExpiresInSeconds int
	}
	if err := call(ctx, c, "POST", "api/auth/cli/device", map[string]string{"host": hostname()}, &asked); err != nil {
		return got, err
	}
	page, err := pageOf(c, asked.Page)
	if err != nil {
		return got, err
	}
	e.say("open %s in a browser, on any machine, and type the code %s", page, printable(asked.UserCode))
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(asked.ExpiresInSeconds)*time.Second, errLate)
	defer cancel()
	pause := asked.IntervalSeconds
	for {
		if err := sleep(ctx, time.Duration(min(max(pause, 1), 120))*time.Second); err != nil {
			return got, err
		}
		err := call(ctx, c, "POST", "api/auth/cli/poll", map[string]string{"deviceCode": asked.DeviceCode}, &got)
		var no *execclient.Refusal
		switch {
		case errors.As(err, &no) && !no.Retryable:
			return got, err
		case err != nil:
			continue // the network may come back before the code's time is out
		case got.State == "allowed":
			return got, nil
		case got.State == "refused":
			return got, errRefused
		}
		pause = got.IntervalSeconds
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
