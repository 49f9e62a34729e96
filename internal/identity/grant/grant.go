// Package grant is how a command line is logged in: it asks, a person who is
// logged in in a browser says yes or no, and the command takes the answer.
//
// It owns what is pending: the browser's way (a code for the command's own
// loopback address, RFC 8252, bound to its challenge, RFC 7636) and the device's
// (a code that the person types, RFC 8628), their bounds in number and time, and
// that an answer is taken once. It does not own routes, pages, or what the
// command gets; it says by which login it was allowed. It starts no goroutines.
// Secrets are kept as hashes and compared in constant time; whoever asks about
// something unknown, used, expired or not theirs gets one and the same answer.
package grant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/time/rate"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/websession"
	"github.com/periscope-console/periscope/internal/quota"
)

const (
	// askTime is how long a person may take to answer.
	askTime = 10 * time.Minute
	// codeTime is how long the command may take to bring the browser's code.
	codeTime = 60 * time.Second
	// MaxPending bounds what is pending.
	MaxPending = 1000
	// MaxOfClient bounds what of it comes from one client.
	MaxOfClient = 50
	// Interval is how long a device waits between two polls; one that does not
	// wait longer by as much again each time.
	Interval = 5 * time.Second
	// mostInterval bounds that.
	mostInterval = time.Minute
	// early is by how much a poll may come before its time: clocks and networks
	// are not exact.
	early = time.Second
	// finds are how many user codes a person may type at once, and one more each
	// findEvery.
	finds     = 10
	findEvery = 10 * time.Second
	// maxFinders bounds how many people's tries are remembered.
	maxFinders = 10_000
	// changes are how often a change is tried that others come before: a device's
	// poll, or another person's answer.
	changes = 5

	maxHost, maxAgent = 64, 128
)

// IDSize is the number of an ID's characters.
const IDSize = 26

// State is how far a grant has come.
type State string

// The states.
const (
	Asking  State = "asking"
	Allowed State = "allowed"
	Refused State = "refused"
)

// Hash is what is kept of a secret.
type Hash [sha256.Size]byte

func hashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// Grant is one login of a command line under way, as a store keeps it. Times are
// kept to the microsecond.
type Grant struct {
	// ID names it in the address of the page; nobody can log in by it.
	ID string
	// Challenge, Echo and Port are the browser's way: a PKCE challenge, what the
	// command wants back beside the code, and its port on the loopback.
	Challenge, Echo string
	Port            int
	// UserCode is the device's way; zero for the other.
	UserCode Hash
	// Secret is of the device code, or of the browser's code once that is allowed.
	Secret Hash

	// Host, Agent and Address are what asks, as it says and as it is seen, to be shown.
	Host, Agent, Address string
	// Client is what the address is counted as.
	Client           string
	Created, Expires time.Time

	State State
	// Finder is the login that typed the user code last: it alone may answer a device.
	Finder websession.ID
	// Login is by which it was allowed.
	Login websession.ID

	// Polled and Interval are of the device's polls.
	Polled   time.Time
	Interval time.Duration
	// Version grows with each change.
	Version int64
}

// Device reports whether the person types a code.
func (g Grant) Device() bool { return g.UserCode != Hash{} }

// Redirect is where the person's browser goes with the answer: this machine's
// loopback and nowhere else, empty for a device. code is empty for a no.
func (g Grant) Redirect(code string) string {
	switch {
	case g.Device():
		return ""
	case code == "":
		return fmt.Sprintf("http://127.0.0.1:%d/?error=access_denied&state=%s", g.Port, g.Echo)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/?code=%s&state=%s", g.Port, code, g.Echo)
}

// ErrTooMany is what Add says where there is no room.
var ErrTooMany = errors.New("too many logins of command lines are pending")

// Store keeps grants. Several processes may share one. Its conformance suite is
// granttest.
type Store interface {
	// Add adds a grant, unless most that are not expired at now are there, or mostOf
	// of its Client: ErrTooMany.
	Add(ctx context.Context, g Grant, now time.Time, most, mostOf int) error
	// Get is false where there is none; an expired one may be found.
	Get(ctx context.Context, id string) (Grant, bool, error)
	// ByUserCode is Get by the hash of a user code.
	ByUserCode(ctx context.Context, code Hash) (Grant, bool, error)
	// Put replaces the grant whose ID and Version g has, with the next Version. It
	// is false where there is none such.
	Put(ctx context.Context, g Grant) (bool, error)
	// Take deletes the grant whose ID and Version g has. It is false where there is
	// none such: of several callers one takes it.
	Take(ctx context.Context, g Grant) (bool, error)
	// Sweep deletes what expired before now.
	Sweep(ctx context.Context, now time.Time) error
}

// Keeper is the rules over a Store.
type Keeper struct {
	store Store

	mu      sync.Mutex
	finders map[string]*rate.Limiter // by person
}

// New makes a Keeper.
func New(s Store) *Keeper { return &Keeper{store: s, finders: map[string]*rate.Limiter{}} }

// Asker is what asks to be logged in.
type Asker struct {
	Host, Agent string
	Address     netip.Addr
}

var (
	challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	echoForm      = regexp.MustCompile(`^[A-Za-z0-9_-]{16,128}$`)
	verifierForm  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
)

// Browser begins the browser's way.
func (k *Keeper) Browser(ctx context.Context, a Asker, challenge, echo string, port int) (Grant, error) {
	if !challengeForm.MatchString(challenge) || !echoForm.MatchString(echo) || port < 1 || port > 65535 {
		return Grant{}, fault.New(fault.Invalid, "grant.Browser", "The login was not asked for as it should be: it needs an S256 challenge, a state and a port. Use the command periscope login.")
	}
	g := newGrant(a)
	g.Challenge, g.Echo, g.Port = challenge, echo, port
	return g, k.add(ctx, g)
}

// Device begins the device's way. The codes are returned once and kept nowhere.
func (k *Keeper) Device(ctx context.Context, a Asker) (g Grant, deviceCode, userCode string, err error) {
	g = newGrant(a)
	secret := rand.Text()
	user := newUserCode()
	g.Secret, g.UserCode, g.Interval = hashOf(secret), hashOf(user), Interval
	return g, g.ID + "." + secret, user[:userHalf] + "-" + user[userHalf:], k.add(ctx, g)
}

func newGrant(a Asker) Grant {
	now := time.Now().Truncate(time.Microsecond)
	return Grant{
		ID: rand.Text(), Host: tidy(a.Host, maxHost), Agent: tidy(a.Agent, maxAgent),
		Address: a.Address.String(), Client: quota.ClientOf(a.Address).String(),
		Created: now, Expires: now.Add(askTime), State: Asking,
	}
}

// tidy makes what somebody says of themselves fit to be shown.
func tidy(text string, most int) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text[:min(len(text), 4*most)], ""))
	if runes := []rune(clean); len(runes) > most {
		clean = string(runes[:most])
	}
	return strings.TrimSpace(clean)
}

func (k *Keeper) add(ctx context.Context, g Grant) error {
	if err := k.store.Sweep(ctx, g.Created); err != nil {
		return err
	}
	err := k.store.Add(ctx, g, g.Created, MaxPending, MaxOfClient)
	if errors.Is(err, ErrTooMany) {
		return fault.Wrap(err, fault.RateLimited, "grant.add", "Too many logins of command lines wait for an answer. Try again in ten minutes.")
	}
	return err
}

// errNone is the one answer about whatever cannot be.
func errNone(cause error) error {
	return fault.Wrap(cause, fault.NotFound, "grant", "This login of a command line was used, refused or has expired, or there was none. Run periscope login again.")
}

// Why there is none; for the log.
var (
	errUnknown  = errors.New("unknown")
	errExpired  = errors.New("expired")
	errState    = errors.New("not in this state")
	errFinder   = errors.New("another login has typed its code, or none")
	errSecret   = errors.New("another secret")
	errVerifier = errors.New("another verifier")
	errRace     = errors.New("changed meanwhile")
)

func (k *Keeper) get(ctx context.Context, id string) (Grant, error) {
	if len(id) != IDSize {
		return Grant{}, errNone(errUnknown)
	}
	return valid(k.store.Get(ctx, id))
}

func valid(g Grant, ok bool, err error) (Grant, error) {
	switch {
	case err != nil:
		return Grant{}, err
	case !ok:
		return Grant{}, errNone(errUnknown)
	case !time.Now().Before(g.Expires):
		return Grant{}, errNone(errExpired)
	}
	return g, nil
}

// Look is a grant that waits for an answer of that login, for the page that shows
// who asks. A device's is there only for who has typed its code: whoever asked
// knows the ID, and could send it to somebody in a link.
func (k *Keeper) Look(ctx context.Context, id string, login websession.ID) (Grant, error) {
	g, err := k.get(ctx, id)
	switch {
	case err != nil:
		return Grant{}, err
	case g.State != Asking:
		return Grant{}, errNone(errState)
	case g.Device() && (login == "" || g.Finder != login):
		return Grant{}, errNone(errFinder)
	}
	return g, nil
}

// Find is Look by what a person has typed, and lets their login answer. Nobody can
// try many.
func (k *Keeper) Find(ctx context.Context, a identity.Actor, login websession.ID, typed string) (Grant, error) {
	if !k.finder(a.Issuer + "\x00" + a.Subject).Allow() {
		return Grant{}, fault.New(fault.RateLimited, "grant.Find", "You have typed many codes. Wait a minute, then try the one that the command shows.")
	}
	code, ok := parseUserCode(typed)
	if !ok {
		return Grant{}, errNoCode()
	}
	g, err := k.change(ctx, func() (Grant, error) {
		g, err := valid(k.store.ByUserCode(ctx, hashOf(code)))
		if err == nil && g.State != Asking {
			err = errNone(errState)
		}
		g.Finder = login
		return g, err
	})
	if fault.KindOf(err) == fault.NotFound {
		return Grant{}, errNoCode()
	}
	return g, err
}

func errNoCode() error {
	return fault.New(fault.NotFound, "grant.Find", "No command shows this code now. Check it letter by letter; it holds for ten minutes.")
}

func (k *Keeper) finder(person string) *rate.Limiter {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.finders[person]
	if l == nil {
		if len(k.finders) >= maxFinders {
			clear(k.finders)
		}
		l = rate.NewLimiter(rate.Every(findEvery), finds)
		k.finders[person] = l
	}
	return l
}

// Allow is a person's yes, by their login. It returns where their browser goes
// on to; empty for a device.
func (k *Keeper) Allow(ctx context.Context, id string, login websession.ID) (redirect string, err error) {
	code := ""
	g, err := k.answer(ctx, id, login, func(g *Grant) {
		g.State, g.Login = Allowed, login
		if g.Device() {
			return
		}
		secret := rand.Text()
		g.Secret, g.Expires = hashOf(secret), time.Now().Add(codeTime).Truncate(time.Microsecond)
		code = g.ID + "." + secret
	})
	if err != nil {
		return "", err
	}
	return g.Redirect(code), nil
}

// Refuse is a person's no, by their login.
func (k *Keeper) Refuse(ctx context.Context, id string, login websession.ID) (redirect string, err error) {
	g, err := k.answer(ctx, id, login, func(g *Grant) { g.State = Refused })
	if err != nil {
		return "", err
	}
	return g.Redirect(""), nil
}

func (k *Keeper) answer(ctx context.Context, id string, login websession.ID, with func(*Grant)) (Grant, error) {
	return k.change(ctx, func() (Grant, error) {
		g, err := k.Look(ctx, id, login)
		if err == nil {
			with(&g)
		}
		return g, err
	})
}

// change puts what next makes of the grant as it is, and again where somebody else
// has changed it meanwhile.
func (k *Keeper) change(ctx context.Context, next func() (Grant, error)) (Grant, error) {
	for range changes {
		g, err := next()
		if err != nil {
			return Grant{}, err
		}
		if ok, err := k.store.Put(ctx, g); ok || err != nil {
			return g, err
		}
	}
	return Grant{}, errNone(errRace)
}

// Redeem takes what the browser's code stands for, once. A wrong verifier voids
// the code: whoever brings it is not who asked.
func (k *Keeper) Redeem(ctx context.Context, code, verifier string) (Grant, error) {
	g, err := k.bySecret(ctx, code)
	if err != nil {
		return Grant{}, err
	}
	if g.Device() || g.State != Allowed {
		return Grant{}, errNone(errState)
	}
	if err := k.take(ctx, g); err != nil {
		return Grant{}, err
	}
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if !verifierForm.MatchString(verifier) || subtle.ConstantTimeCompare([]byte(challenge), []byte(g.Challenge)) != 1 {
		return Grant{}, errNone(errVerifier)
	}
	return g, nil
}

// bySecret finds what a code of ours, an ID and a secret, stands for.
func (k *Keeper) bySecret(ctx context.Context, code string) (Grant, error) {
	id, secret, _ := strings.Cut(code, ".")
	g, err := k.get(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	h := hashOf(secret)
	if g.Secret == (Hash{}) || subtle.ConstantTimeCompare(h[:], g.Secret[:]) != 1 {
		return Grant{}, errNone(errSecret)
	}
	return g, nil
}

func (k *Keeper) take(ctx context.Context, g Grant) error {
	ok, err := k.store.Take(ctx, g)
	if err == nil && !ok {
		return errNone(errRace)
	}
	return err
}

// Poll is a device's question. Its answer is final where the state is Allowed or
// Refused; otherwise the device waits for the grant's Interval and asks again.
// slow says that it asked too soon.
func (k *Keeper) Poll(ctx context.Context, deviceCode string) (g Grant, slow bool, err error) {
	g, err = k.bySecret(ctx, deviceCode)
	if err != nil {
		return Grant{}, false, err
	}
	if !g.Device() {
		return Grant{}, false, errNone(errState)
	}
	if g.State != Asking {
		return g, false, k.take(ctx, g)
	}
	now := time.Now().Truncate(time.Microsecond)
	slow = !g.Polled.IsZero() && now.Sub(g.Polled) < g.Interval-early
	if slow {
		g.Interval = min(g.Interval+Interval, mostInterval)
	}
	g.Polled = now
	// A person's answer at the same moment goes first; the next poll brings it.
	_, err = k.store.Put(ctx, g)
	return g, slow, err
}
