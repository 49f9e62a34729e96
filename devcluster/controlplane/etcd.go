package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"go.etcd.io/etcd/server/v3/embed"
)

const etcdStart = 30 * time.Second

// maxSocketPath is what the kernel allows for a unix socket, less some room.
const maxSocketPath = 100

// startEtcd runs etcd on the data kept in dir. Data that a crash has spoilt is
// set aside, and the cluster begins anew.
func startEtcd(ctx context.Context, o Options) (*embed.Etcd, string, error) {
	socket, err := etcdSocket(o.Dir)
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(o.Dir, "etcd")
	e, err := tryEtcd(ctx, data, socket, o.Logs)
	if err == nil || ctx.Err() != nil {
		return e, socket, err
	}
	if _, statErr := os.Stat(filepath.Join(data, "member")); statErr != nil {
		return nil, "", err
	}
	o.Log.Warn("the state of the earlier run cannot be used; starting with an empty cluster", "cause", err)
	spoilt := data + ".spoilt"
	if err := errors.Join(os.RemoveAll(spoilt), os.Rename(data, spoilt)); err != nil {
		return nil, "", err
	}
	e, err = tryEtcd(ctx, data, socket, o.Logs)
	return e, socket, err
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
	err := os.Remove(socket)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return socket, err
}

// removeSocket takes a temporary folder away again.
func removeSocket(dir, socket string) {
	if folder := filepath.Dir(socket); folder != filepath.Join(dir, "run") {
		_ = os.RemoveAll(folder) // the machine's own cleaning comes later
	}
}

func tryEtcd(ctx context.Context, data, socket, logs string) (*embed.Etcd, error) {
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
		return nil, fmt.Errorf("etcd is not ready after %s, see %s", etcdStart, filepath.Join(logs, "etcd.log"))
	case <-ctx.Done():
		e.Close()
		return nil, ctx.Err()
	}
}

// etcdConfig: one member that listens on a unix socket only. The advertised
// addresses are never dialled, but must look like host:port.
func etcdConfig(data, socket, logs string) *embed.Config {
	cfg := embed.NewConfig()
	cfg.Name = "devcluster"
	cfg.Dir = data
	cfg.LogLevel = "warn"
	cfg.LogOutputs = []string{filepath.Join(logs, "etcd.log")}
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
