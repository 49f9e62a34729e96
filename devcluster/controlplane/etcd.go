package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"go.etcd.io/etcd/server/v3/embed"
)

const etcdStart = 30 * time.Second

// logRotation bounds etcd.log as package logfile does the other logs, in MiB; etcd names the predecessor.
const logRotation = `{"maxsize": 16, "maxbackups": 1}`

// maxSocketPath is what the kernel allows for a unix socket, less some room.
const maxSocketPath = 100

// startEtcd runs etcd on the data kept in dir. Data that a crash has spoilt is
// set aside, and the cluster begins anew. Etcd ends its process over such data, so
// what was not closed in good order is tried in another one.
func startEtcd(ctx context.Context, o Options) (*embed.Etcd, string, error) {
	socket, err := etcdSocket(o.Dir)
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(o.Dir, "etcd")
	if !closedInOrder(data) {
		if err := tryData(ctx, data, socket, o); err != nil {
			return nil, "", err
		}
	}
	if err := removeIfThere(closedMark(data)); err != nil {
		return nil, "", err
	}
	e, err := runEtcd(ctx, data, socket, o.Logs)
	return e, socket, err
}

// closedMark is a file beside the data while nobody uses them.
func closedMark(data string) string { return data + ".closed" }

// closedInOrder is also true of data that are not there.
func closedInOrder(data string) bool {
	if _, err := os.Stat(filepath.Join(data, "member")); err != nil {
		return true
	}
	_, err := os.Stat(closedMark(data))
	return err == nil
}

// tryData sets data aside that the trial dies of, under a name by the time: they
// may be all that somebody has.
func tryData(ctx context.Context, data, socket string, o Options) error {
	cause := trial(ctx, data, socket, o)
	if err := errors.Join(ctx.Err(), removeIfThere(socket)); err != nil {
		return err
	}
	if cause == nil {
		return nil
	}
	spoilt := data + ".spoilt-" + time.Now().UTC().Format("20060102-150405.000")
	o.Log.Warn("the state of the earlier run cannot be used; starting with an empty cluster", "cause", cause, "kept", spoilt)
	return os.Rename(data, spoilt)
}

const (
	// trialArg0 is the name under which the program is a trial.
	trialArg0 = "devcluster-etcd-trial"
	// trialLate is the exit code of a trial that saw nothing wrong, but no end.
	trialLate = 3
	untried   = "the state of the earlier run is used untried"
)

// trial answers what a process died of that opened the data. One that was late or
// was killed says nothing of them.
func trial(ctx context.Context, data, socket string, o Options) error {
	said, err := os.Create(filepath.Join(o.Logs, "etcd-trial.log"))
	if err != nil {
		o.Log.Warn(untried, "error", err)
		return nil // what else it may be, the data are not at fault
	}
	defer said.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", data, socket, o.Logs)
	cmd.Args[0] = trialArg0
	cmd.Stdout, cmd.Stderr = said, said
	var exit *exec.ExitError
	err = cmd.Run()
	if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() != trialLate {
		return fmt.Errorf("etcd does not open it: %w, see %s", err, said.Name())
	}
	if err != nil && ctx.Err() == nil {
		o.Log.Warn(untried, "error", err)
	}
	return nil
}

// IsTrial says whether this process is one, see RunTrial.
func IsTrial(args []string) bool { return len(args) == 4 && args[0] == trialArg0 }

// RunTrial opens etcd's data and closes it again; the exit code is 0 then.
func RunTrial(args []string) int {
	e, err := runEtcd(context.Background(), args[1], args[2], args[3])
	switch {
	case errors.Is(err, errLate):
		return trialLate
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	e.Close()
	return 0
}

func removeIfThere(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// awkward characters mean something in the list of addresses that the
// apiserver takes.
func awkward(r rune) bool {
	return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-", r)
}

// etcdSocket is inside dir, or, when that path cannot name a socket, in a
// short temporary folder.
func etcdSocket(dir string) (string, error) {
	socket := filepath.Join(dir, "run", "etcd.sock")
	if len(socket) > maxSocketPath || strings.ContainsFunc(socket, awkward) {
		short, err := os.MkdirTemp("", "devcluster-")
		if err != nil {
			return "", err
		}
		socket = filepath.Join(short, "etcd.sock")
	}
	return socket, removeIfThere(socket)
}

// removeSocket takes a temporary folder away again.
func removeSocket(dir, socket string) {
	if folder := filepath.Dir(socket); folder != filepath.Join(dir, "run") {
		_ = os.RemoveAll(folder) // the machine's own cleaning comes later
	}
}

var errLate = errors.New("etcd is not ready in time")

func runEtcd(ctx context.Context, data, socket, logs string) (*embed.Etcd, error) {
	e, err := embed.StartEtcd(etcdConfig(data, socket, logs))
	if err != nil {
		return nil, fmt.Errorf("etcd does not start: %w", err)
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err := <-e.Err():
		e.Close()
		return nil, fmt.Errorf("etcd ended: %w", err)
	case <-time.After(etcdStart):
		e.Close()
		return nil, fmt.Errorf("%w, which is %s, see %s", errLate, etcdStart, filepath.Join(logs, "etcd.log"))
	case <-ctx.Done():
		e.Close()
		return nil, ctx.Err()
	}
}

// etcdConfig: one member that listens on a unix socket only. The advertised
// addresses are never dialled, but must look like host:port. A log that is rotated is
// named by a URL.
func etcdConfig(data, socket, logs string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "devcluster"
	cfg.Dir = data
	cfg.LogLevel = "warn"
	log := url.URL{Path: filepath.Join(logs, "etcd.log")}
	cfg.LogOutputs = []string{log.EscapedPath()}
	cfg.EnableLogRotation, cfg.LogRotationConfigJSON = true, logRotation
	cfg.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	cfg.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2379"}}
	cfg.ListenPeerUrls = nil
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:2380"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.UnsafeNoFsync = true
	cfg.AutoCompactionMode = "revision"
	cfg.AutoCompactionRetention = "10000"
	cfg.QuotaBackendBytes = 1 << 30
	return cfg
}
