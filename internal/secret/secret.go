// Package secret reads a secret from where a setting says it is.
//
// It owns the forms of such a setting, and reads a file again when it has
// changed, and a secret of AWS when it may have. It does not own what the secret
// is for. A fetch from AWS runs in a goroutine that ends with it, within
// awsapi.CallLimit. It writes no secret into an error.
package secret

import (
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
)

// maxSize bounds a secret, in bytes.
const maxSize = 64 << 10

// Source gives a secret.
type Source interface {
	// Get is the secret as it is now. Its error says what to do, to whoever runs
	// the server.
	Get(context.Context) (string, error)
}

// forms are those that say where a secret is.
const forms = "${NAME}, file://PATH, aws-secretsmanager://NAME#KEY or aws-ssm:///PATH"

var variable = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// Parse reads a setting: ${NAME} for a variable of the environment, file://PATH
// for a file (its last line end is not part of the secret),
// aws-secretsmanager://NAME#KEY and aws-ssm:///PATH for a secret of AWS, anything
// else for the secret itself. Other addresses are refused rather than taken for
// secrets. A file is read at once; AWS is not asked before the first Get.
func Parse(setting string, environ func(string) (string, bool)) (Source, error) {
	switch {
	case setting == "":
		return nil, wrong("The secret is empty. Write it, or %s for where it is.", forms)
	case variable.MatchString(setting):
		name := variable.FindStringSubmatch(setting)[1]
		value, ok := environ(name)
		if !ok || value == "" {
			return nil, wrong("The variable %s, which is to hold the secret, is not set. Set it, or name another.", name)
		}
		return literal(value), nil
	case strings.HasPrefix(setting, "file://"):
		return newFile(strings.TrimPrefix(setting, "file://"))
	case strings.HasPrefix(setting, managerScheme):
		return newManaged(strings.TrimPrefix(setting, managerScheme), chain)
	case strings.HasPrefix(setting, parameterScheme):
		return newParameter(strings.TrimPrefix(setting, parameterScheme), chain)
	case strings.Contains(setting, "://"):
		scheme, _, _ := strings.Cut(setting, "://")
		return nil, wrong("Secrets of the kind %s:// are not supported by this version. Use %s.", clip(scheme), forms)
	default:
		return literal(setting), nil
	}
}

func clip(s string) string { return s[:min(len(s), 32)] }

func wrong(format string, args ...any) error {
	return fault.New(fault.Invalid, "secret", format, args...)
}

type literal string

// Get implements Source.
func (l literal) Get(context.Context) (string, error) { return string(l), nil }

// file is read again when its size or time has changed, as when Kubernetes
// renews a mounted Secret.
type file struct {
	path string

	mu    sync.Mutex // guards what follows
	value string
	size  int64
	time  time.Time
}

func newFile(path string) (*file, error) {
	f := &file{path: path}
	_, err := f.Get(context.Background())
	return f, err
}

// Get implements Source.
func (f *file) Get(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "secret", "The secret's file %s cannot be read. Check that it exists and that the server may read it.", f.path)
	}
	if f.value != "" && info.Size() == f.size && info.ModTime().Equal(f.time) {
		return f.value, nil
	}
	if info.Size() > maxSize || !info.Mode().IsRegular() {
		return "", wrong("The secret's file %s is no regular file of at most %d KiB. Name the file that holds the secret alone.", f.path, maxSize>>10)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return "", fault.Wrap(err, fault.Invalid, "secret", "The secret's file %s cannot be read. Check that the server may read it.", f.path)
	}
	value := strings.TrimRight(string(data), "\r\n")
	if value == "" {
		return "", wrong("The secret's file %s is empty. Write the secret into it.", f.path)
	}
	f.value, f.size, f.time = value, info.Size(), info.ModTime()
	return value, nil
}
