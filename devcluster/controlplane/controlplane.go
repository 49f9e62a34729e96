// Package controlplane runs etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler inside this process. Kubernetes keeps much state in globals,
// so there is one control plane per process.
//
// Run blocks until everything it started has ended, or until its patience for
// a slow shutdown is over; the process is expected to exit soon after.
package controlplane

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/apiserver/pkg/util/compatibility"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"

	"github.com/periscope-console/periscope/devcluster/pki"
)

const (
	startTimeout = 90 * time.Second
	// stopPatience bounds each stage of the shutdown.
	stopPatience = 3 * time.Second
	pollInterval = 25 * time.Millisecond
)

// Options says where the control plane lives. Dir has the folders pki, run and
// logs already; Run writes to pki and run what the components read.
type Options struct {
	Dir       string
	Logs      string
	Listener  net.Listener
	Authority *pki.Authority
	// KubeletClient is whom nodes take orders from.
	KubeletClient pki.Subject
	AuditLog      string
	AuditPolicy   string
	TokenWebhook  string
	Log           *slog.Logger
}

// Server is the address that clients use.
func (o Options) Server() string { return "https://" + o.Listener.Addr().String() }

type controlPlane struct {
	o           Options
	admin       kubernetes.Interface
	kubeconfigs map[string]string
}

// LogTo sends the log of all Kubernetes components to w.
func LogTo(w io.Writer) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "alsologtostderr": "false", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			panic(err) // a flag of a fixed version of klog
		}
	}
	klog.SetOutput(w)
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
}

// Run starts the control plane, calls ready once it serves, and stops it in
// order when ctx ends. An early end of a component is an error.
func Run(ctx context.Context, o Options, ready func()) error {
	c := &controlPlane{o: o, kubeconfigs: map[string]string{}}
	if err := c.prepare(); err != nil {
		return err
	}
	e, socket, err := startEtcd(ctx, o)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer removeSocket(o.Dir, socket)
	defer closeEtcd(e)
	return c.run(ctx, socket, ready)
}

// parts are the three components, configured but not started.
type parts struct {
	api       *options.ServerRunOptions
	manager   *kcmoptions.KubeControllerManagerOptions
	scheduler *scheduleroptions.Options
}

// configure builds all parts before the first one runs: they share one
// registry of versions and feature gates, which is closed by Set.
func (c *controlPlane) configure(socket string) (p parts, err error) {
	if p.api, err = c.apiserver(c.o.Listener, socket); err != nil {
		return p, err
	}
	if p.manager, err = c.controllerManager(); err != nil {
		return p, err
	}
	if p.scheduler, err = c.scheduler(); err != nil {
		return p, err
	}
	return p, compatibility.DefaultComponentGlobalsRegistry.Set()
}

func (c *controlPlane) run(ctx context.Context, socket string, ready func()) error {
	p, err := c.configure(socket)
	if err != nil {
		return err
	}
	api := start("kube-apiserver", func(ctx context.Context) error { return runAPIServer(ctx, p.api) })
	// An apiserver that is stopped before it is ready ends the whole process
	// with a fatal error; it is left to the end of the process instead.
	if err := c.waitReady(ctx, api); err != nil {
		return unlessStopped(ctx, err)
	}
	defer api.stop()
	manager := start("kube-controller-manager", func(ctx context.Context) error { return runControllerManager(ctx, p.manager) })
	defer manager.stop()
	sched := start("kube-scheduler", func(ctx context.Context) error { return runScheduler(ctx, p.scheduler) })
	defer sched.stop()
	defer manager.cancel() // both end side by side
	ready()
	select {
	case <-ctx.Done():
		return nil
	case <-api.done:
		return api.failure()
	case <-manager.done:
		return manager.failure()
	case <-sched.done:
		return sched.failure()
	}
}

// unlessStopped: what does not come up because it was told to stop has not failed.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// waitReady polls the readiness endpoint; the apiserver offers no other sign.
func (c *controlPlane) waitReady(ctx context.Context, api *component) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := c.admin.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return nil
		}
		select {
		case <-api.done:
			return api.failure()
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver did not become ready (see %s): %w", c.o.Logs, errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
	}
}

// closeEtcd marks the data of an etcd that has closed them in time. Without the
// mark the next start tries them first.
func closeEtcd(e *embed.Etcd) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Close()
	}()
	select {
	case <-done:
		_ = os.WriteFile(closedMark(e.Config().Dir), nil, 0o600)
	case <-time.After(stopPatience):
	}
}

// component is one running part.
type component struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed
}

func start(name string, run func(context.Context) error) *component {
	ctx, cancel := context.WithCancel(context.Background())
	c := &component{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.err = run(ctx)
	}()
	return c
}

func (c *component) failure() error {
	if c.err == nil {
		return fmt.Errorf("%s ended by itself", c.name)
	}
	return fmt.Errorf("%s failed: %w", c.name, c.err)
}

func (c *component) stop() {
	c.cancel()
	select {
	case <-c.done:
	case <-time.After(stopPatience):
	}
}

// auditPolicy is the caller's, or one that records who did what, but no bodies.
func (c *controlPlane) auditPolicy() string {
	if c.o.AuditPolicy != "" {
		return c.o.AuditPolicy
	}
	return filepath.Join(c.o.Dir, "run", "audit-policy.yaml")
}

const defaultAuditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
`

func writeAuditPolicy(dir string) error {
	return os.WriteFile(filepath.Join(dir, "run", "audit-policy.yaml"), []byte(defaultAuditPolicy), 0o600)
}
