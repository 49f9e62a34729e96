package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/periscope-console/periscope/devidp/provider"
)

const maxTTL = 90 * 24 * time.Hour

type options struct {
	addr           string
	exitWithParent bool
	provider       provider.Options
}

var errHelp = errors.New("help was asked for")

// parseFlags answers options that are valid as a whole, or one sentence.
func parseFlags(args []string) (options, error) {
	var o options
	var users string
	fs := flag.NewFlagSet("devidp", flag.ContinueOnError)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 takes a free one")
	fs.StringVar(&users, "users", "", "file of users, YAML or JSON (required)")
	fs.DurationVar(&o.provider.AccessTTL, "access-ttl", 5*time.Minute, "life of access and ID tokens")
	fs.DurationVar(&o.provider.RefreshTTL, "refresh-ttl", 12*time.Hour, "life of refresh tokens")
	fs.StringVar(&o.provider.Algorithm, "algorithm", "RS256", "how ID tokens are signed: RS256 or ES256")
	fs.BoolVar(&o.provider.Admin, "admin", false, "serve /admin/, with which tests change users and make endpoints fail")
	fs.BoolVar(&o.exitWithParent, "exit-with-parent", false, "end when the process that started this one ends")
	fs.Func("client", "ID:SECRET:REDIRECT_URI (may be repeated; the same ID adds a redirect URI)", func(s string) error {
		parts := strings.SplitN(s, ":", 3)
		if len(parts) != 3 {
			return errors.New("want ID:SECRET:REDIRECT_URI")
		}
		o.provider.Clients = append(o.provider.Clients, provider.Client{ID: parts[0], Secret: parts[1], RedirectURI: parts[2]})
		return nil
	})
	fs.SetOutput(io.Discard)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(os.Stdout)
		fmt.Println("devidp is an OpenID provider for demo and tests. It asks for no password.\nIt prints \"ready: ISSUER\" when it answers.\n\nFlags:")
		fs.PrintDefaults()
		return o, errHelp
	case err != nil:
		return o, fmt.Errorf("%w; see devidp --help", err)
	case fs.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag; see devidp --help", fs.Arg(0))
	}
	return validated(o, users)
}

func validated(o options, users string) (options, error) {
	host, _, err := net.SplitHostPort(o.addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return o, fmt.Errorf("--addr %q must be a loopback address and a port, such as 127.0.0.1:0: this program asks for no password", o.addr)
	}
	for _, ttl := range []time.Duration{o.provider.AccessTTL, o.provider.RefreshTTL} {
		if ttl < time.Second || ttl > maxTTL {
			return o, fmt.Errorf("--access-ttl and --refresh-ttl must be between 1s and %s", maxTTL)
		}
	}
	if !slices.Contains([]string{"RS256", "ES256"}, o.provider.Algorithm) {
		return o, fmt.Errorf("--algorithm %q must be RS256 or ES256", o.provider.Algorithm)
	}
	if users == "" {
		return o, errors.New("--users is missing: name a file of users")
	}
	o.provider.Users, err = provider.ReadUsers(users)
	return o, err
}
