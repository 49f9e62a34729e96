package node

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// preStop answers what to do before a container is asked to end, or nil.
func (p *pod) preStop(t *tracked) func(context.Context) {
	if t.spec.Lifecycle == nil || t.spec.Lifecycle.PreStop == nil {
		return nil
	}
	in := t.instance
	return func(ctx context.Context) { p.runHook(ctx, t.spec, in, t.spec.Lifecycle.PreStop) }
}

// startHook runs beside a container that has just started; if it fails, the
// container is stopped.
func (p *pod) startHook(ctx context.Context, spec *corev1.Pod, t *tracked) {
	if t.spec.Lifecycle == nil || t.spec.Lifecycle.PostStart == nil {
		return
	}
	in := t.instance
	go func() {
		if err := p.runHook(ctx, t.spec, in, t.spec.Lifecycle.PostStart); err != nil && ctx.Err() == nil {
			p.n.containerEvent(spec, t, corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed: "+err.Error())
			in.stop(grace(spec), nil)
		}
	}()
}

// runHook ends at the latest with ctx or the instance.
func (p *pod) runHook(ctx context.Context, c *corev1.Container, in *instance, hook *corev1.LifecycleHandler) error {
	var err error
	switch {
	case hook.Exec != nil:
		err = execCheck(ctx, in, hook.Exec.Command)
	case hook.HTTPGet != nil:
		err = httpCheck(ctx, p.ip, c, hook.HTTPGet)
	case hook.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-in.done:
		case <-time.After(time.Duration(hook.Sleep.Seconds) * time.Second):
		}
	}
	if err != nil {
		p.log.Warn("hook failed", "container", c.Name, "error", err)
	}
	return err
}

// probeClient reaches a pod the way dialPod does; as with the kubelet, nobody
// checks certificates of probes.
func probeClient(ip string, port int32) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialPod(ctx, ip, port) },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}}
}

// limited keeps the beginning of what is written to it.
type limited struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p[:min(len(p), maxProbeOutput-min(maxProbeOutput, l.b.Len()))])
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
