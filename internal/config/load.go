package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/periscope-console/periscope/internal/config/setting"
)

// Sources are where settings come from. Tests bring their own.
type Sources struct {
	// Args follow "periscope serve".
	Args []string
	// Environ is as os.Environ gives it.
	Environ  []string
	ReadFile func(name string) ([]byte, error)
}

// Warning is a sentence for the log: something was odd, and the server starts.
type Warning string

// Load reads everything and reports every mistake at once, one line each, each
// saying what to do. It returns an error that is flag.ErrHelp when help was
// asked for; Usage is the answer.
func Load(src Sources) (Config, []Warning, error) {
	l := &loader{src: src, env: setting.Environment(src.Environ)}
	if err := l.flags(); err != nil {
		return Config{}, nil, err
	}
	l.variables()
	l.strangers()
	l.form()
	l.consistent()
	if err := errors.Join(l.mistakes...); err != nil {
		return Config{}, l.warnings, err
	}
	return l.cfg, l.warnings, nil
}

// loader gathers a Config and what is wrong with it.
type loader struct {
	src Sources
	env map[string]string
	cfg Config
	// given is what was written for each setting, by its variable's name, from
	// flag or environment; empty values are as good as none.
	given    map[string]string
	flagged  flagValues
	mistakes []error
	warnings []Warning
}

// flagValues are the flags that have no variable.
type flagValues struct{ kubeconfig, context string }

func (l *loader) wrong(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if clean := setting.Printable(err.Error()); clean != err.Error() {
		err = errors.New(clean)
	}
	l.mistakes = append(l.mistakes, err)
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, Warning(setting.Printable(fmt.Sprintf(format, args...))))
}

func (l *loader) flags() error {
	set, values := flagSet(&l.flagged)
	if err := set.Parse(l.src.Args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w; `periscope serve --help` lists the flags", err)
	}
	if set.NArg() > 0 {
		return fmt.Errorf("%q is no flag; `periscope serve --help` lists the flags", set.Arg(0))
	}
	l.given = map[string]string{}
	for _, s := range settings {
		l.given[s.Env] = l.env[s.Env]
		if s.Flag != "" && *values[s.Env] != "" {
			l.given[s.Env] = *values[s.Env]
		}
	}
	return nil
}

// flagSet has the flags without a variable, and one for each setting that has
// a flag, by the variable's name.
func flagSet(f *flagValues) (*flag.FlagSet, map[string]*string) {
	set := flag.NewFlagSet("periscope serve", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.kubeconfig, "kubeconfig", "", "serve the cluster of this kubeconfig `FILE` to yourself, with the rights it has")
	set.StringVar(&f.context, "context", "", "`NAME` of the kubeconfig's context to use instead of its current one")
	values := map[string]*string{}
	for _, s := range settings {
		if s.Flag != "" {
			values[s.Env] = set.String(s.Flag, "", s.flagUsage())
		}
	}
	return set, values
}

// Usage is the answer to `periscope serve --help`.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: periscope serve --kubeconfig FILE [--context NAME]\n       periscope serve --auth FILE --clusters FILE\n\nFlags:\n")
	set, _ := flagSet(&flagValues{})
	set.SetOutput(&b)
	set.PrintDefaults()
	b.WriteString("\nThe environment variables and files are in docs/configuration.md.\n")
	return b.String()
}

// variables reads every setting: what was given, else its default.
func (l *loader) variables() {
	for _, s := range settings {
		value := l.given[s.Env]
		if value == "" {
			value = s.Default
		}
		if err := s.read(&l.cfg, value); err != nil {
			l.wrong("%w", setting.Refused(s.name(l), value, s.Secret, err))
		}
	}
	l.cfg.Exec.Defaults.Enabled = true
	l.idleWarn()
}

// name is how the user gave the setting.
func (s Setting) name(l *loader) string {
	if s.Flag != "" && l.given[s.Env] != "" && l.given[s.Env] != l.env[s.Env] {
		return "--" + s.Flag
	}
	return s.Env
}

// strangers looks at variables with our prefix that no setting has.
func (l *loader) strangers() {
	names := make([]string, 0, len(settings))
	for _, s := range settings {
		names = append(names, s.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		switch {
		case !strings.HasPrefix(name, setting.Prefix) || slices.Contains(names, name) || setting.OfKubernetes(name):
		case slices.Contains(later, name):
			l.wrong("%s is not supported by this version; remove it", name)
		default:
			l.warn("%s is no setting of this server and has no effect%s", name, setting.Hint(name, names))
		}
	}
}

// readFile gives a sentence for each way in which a file cannot be read.
func (l *loader) readFile(what, name string) ([]byte, bool) {
	data, err := l.src.ReadFile(name)
	switch {
	case err == nil && len(data) > maxFile:
		l.wrong("%s %s is larger than %d MiB; is it the right file?", what, name, maxFile>>20)
	case err == nil:
		return data, true
	case errors.Is(err, fs.ErrNotExist):
		l.wrong("%s %s does not exist; check the path", what, name)
	case errors.Is(err, fs.ErrPermission):
		l.wrong("%s %s may not be read by this user; change its permissions", what, name)
	default:
		l.wrong("%s %s cannot be read: %w", what, name, err)
	}
	return nil, false
}

// maxFile bounds a file of settings, and a kubeconfig.
const maxFile = 4 << 20
