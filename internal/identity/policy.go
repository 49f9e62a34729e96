package identity

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/periscope-console/periscope/internal/fault"
)

// Bounds of what travels as headers of every upstream request. An apiserver
// takes about 1 MiB of them in all, but hops before it take far less.
const (
	maxName       = 1024
	maxGroups     = 1000
	maxGroupBytes = 128 << 10
)

// TierGroupPrefix begins the one group that mode tier impersonates.
const TierGroupPrefix = "periscope-tier:"

// BridgeGroup is bound to the right to impersonate; no user may be in it.
const BridgeGroup = "periscope-bridge"

// Tiers lists the tiers from the lowest to the highest.
func Tiers() []string { return []string{"read", "triage", "write", "maintain", "admin"} }

// Policy is the rule that turns a login into an actor with rights.
type Policy struct {
	Mode Mode
	// UserClaim is the claim that names the user upstream; empty is "sub".
	UserClaim   string
	UserPrefix  string
	GroupPrefix string
	// AllowedGroups, where not empty, names the groups that may log in at all.
	AllowedGroups []string
	// GroupTiers maps a group to a tier; DefaultTier is for those in none.
	GroupTiers  map[string]string
	DefaultTier string
	AdminGroups []string
	// AuditAdminGroups may read everybody's audit events, as administrators may.
	AuditAdminGroups []string
}

// Admit fills in what the policy decides about a person who has proved who
// they are: tier, admin and the impersonation. It never takes a right away
// that a already bears (Admin), and refuses whom the policy has no place for.
func (p Policy) Admit(a Actor) (Actor, error) {
	if len(p.AllowedGroups) > 0 && !overlap(a.Groups, p.AllowedGroups) {
		return Actor{}, refuse("You are in none of the groups that may use this server. Ask whoever runs it to let one of your groups in.")
	}
	if p.Mode == Tier {
		a.Tier = p.tierOf(a.Groups)
	}
	as, err := p.Impersonate(p.userOf(a), a.Groups, a.Tier)
	if err != nil {
		return Actor{}, err
	}
	as.Subject = a.Subject
	a.As = as
	a.Admin = a.Admin || a.Tier == "admin" || overlap(a.Groups, p.AdminGroups)
	a.AuditAll = a.Admin || overlap(a.Groups, p.AuditAdminGroups)
	return a, nil
}

func (p Policy) userOf(a Actor) string {
	switch p.UserClaim {
	case "", "sub":
		return a.Subject
	case "email":
		return a.Email
	default:
		return a.Name
	}
}

// tierOf is the highest tier that one of the groups maps to.
func (p Policy) tierOf(groups []string) string {
	best := -1
	for _, g := range groups {
		best = max(best, slices.Index(Tiers(), p.GroupTiers[g]))
	}
	if best < 0 {
		return p.DefaultTier
	}
	return Tiers()[best]
}

// Impersonate is the identity that requests of this user bear. It fails rather
// than leave anything out: a user with fewer groups than asserted is a
// different user.
func (p Policy) Impersonate(user string, groups []string, tier string) (Impersonation, error) {
	switch p.Mode {
	case Shared:
		return Impersonation{None: true}, nil
	case Tier:
		return p.impersonateTier(user, tier)
	case Raw:
		return p.impersonateRaw(user, groups)
	default:
		return Impersonation{}, refuse("The server's authorization mode is unknown, so nobody may act. Whoever runs it must set authorization.mode to raw, tier or shared.")
	}
}

func (p Policy) impersonateTier(user, tier string) (Impersonation, error) {
	if !slices.Contains(Tiers(), tier) {
		return Impersonation{}, refuse("None of your groups has a tier on this server. Ask whoever runs it to map one of your groups.")
	}
	name, err := p.user(user)
	if err != nil {
		return Impersonation{}, err
	}
	return Impersonation{User: name, Groups: []string{TierGroupPrefix + tier}}, nil
}

func (p Policy) impersonateRaw(user string, groups []string) (Impersonation, error) {
	name, err := p.user(user)
	if err != nil {
		return Impersonation{}, err
	}
	prefixed, err := p.groups(groups)
	if err != nil {
		return Impersonation{}, err
	}
	return Impersonation{User: name, Groups: prefixed}, nil
}

func (p Policy) user(user string) (string, error) {
	if user == "" {
		return "", p.nameless()
	}
	if err := checkName("user name", user, p.UserPrefix+user); err != nil {
		return "", err
	}
	return p.UserPrefix + user, nil
}

func (p Policy) nameless() error {
	if p.UserClaim == "email" {
		return refuse("Your login carries no user name: your e-mail address is missing or not verified. Have it verified at your login provider, or ask whoever runs this server to check authorization.userClaim.")
	}
	return refuse("Your login carries no user name, so Kubernetes could not tell who you are. Ask whoever runs this server to check authorization.userClaim.")
}

func (p Policy) groups(groups []string) ([]string, error) {
	if len(groups) > maxGroups {
		return nil, refuse("You are in %d groups; at most %d can be passed on to Kubernetes. Ask whoever runs your login provider to send fewer.", len(groups), maxGroups)
	}
	out, size := make([]string, 0, len(groups)), 0
	for _, g := range groups {
		full := p.GroupPrefix + g
		if err := checkGroup(g, full); err != nil {
			return nil, err
		}
		if size += len(full); size > maxGroupBytes {
			return nil, refuse("The names of your groups add up to more than %d KiB. Ask whoever runs your login provider to send fewer groups.", maxGroupBytes>>10)
		}
		if !slices.Contains(out, full) {
			out = append(out, full)
		}
	}
	return out, nil
}

func checkGroup(raw, full string) error {
	if err := checkName("group", raw, full); err != nil {
		return err
	}
	if hasPrefixFold(full, TierGroupPrefix) || strings.EqualFold(full, BridgeGroup) {
		return refuse("You are in the group %s, which is Periscope's own and cannot be acted as. Ask whoever runs your login provider to rename it.", printable(full))
	}
	return nil
}

// checkName refuses what would not arrive upstream as it was sent, or would
// arrive as one of Kubernetes' own identities. Blanks at the ends count: the
// receiver of a header trims them, so " system:masters" would arrive bare.
func checkName(what, raw, full string) error {
	switch {
	case raw == "":
		return refuse("Your login carries a %s without a name. Ask whoever runs your login provider to mend it.", what)
	case len(full) > maxName:
		return refuse("Your %s is longer than %d bytes, which Kubernetes would not take. Ask whoever runs your login provider to shorten it.", what, maxName)
	case !utf8.ValidString(full) || strings.ContainsFunc(full, unicode.IsControl):
		return refuse("Your %s holds characters that cannot be passed on to Kubernetes. Ask whoever runs your login provider to rename it.", what)
	case strings.TrimSpace(full) != full:
		return refuse("Your %s begins or ends with a blank. Ask whoever runs your login provider to rename it.", what)
	case hasPrefixFold(full, "system:"):
		return refuse("Your %s %s is one of Kubernetes' own and cannot be acted as. Ask whoever runs this server to set a prefix for it.", what, printable(full))
	}
	return nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// printable is a name in quotes, short enough for a sentence.
func printable(s string) string {
	if r := []rune(s); len(r) > 80 {
		s = string(r[:80]) + "…"
	}
	return "“" + s + "”"
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func refuse(format string, args ...any) error {
	return fault.New(fault.Forbidden, "identity", format, args...)
}
