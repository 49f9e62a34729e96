package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxProbeOutput in bytes goes into an event.
const maxProbeOutput = 1024

// startProbes watches over an instance until ctx ends.
func (p *pod) startProbes(ctx context.Context, spec *corev1.Pod, t *tracked, in *instance, h *health) {
	c := t.spec
	go func() {
		if c.StartupProbe != nil {
			if !p.probeUntil(ctx, spec, t, in, c.StartupProbe) {
				return
			}
		}
		h.started.Store(true)
		h.ready.Store(c.ReadinessProbe == nil)
		p.poke()
		if c.ReadinessProbe != nil {
			go p.probeReadiness(ctx, spec, t, in, h)
		}
		if c.LivenessProbe != nil {
			go p.probeUntilFailure(ctx, spec, t, in, c.LivenessProbe)
		}
	}()
}

// probeUntil answers whether the startup probe has succeeded; a container
// that does not come up is stopped.
func (p *pod) probeUntil(ctx context.Context, spec *corev1.Pod, t *tracked, in *instance, probe *corev1.Probe) bool {
	passed := false
	p.probeLoop(ctx, probe, func(err error, streak int) bool {
		if err == nil {
			passed = true
			return false
		}
		p.unhealthy(spec, t, "Startup", err)
		if streak >= int(probe.FailureThreshold) {
			p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed startup probe, will be restarted", t.spec.Name))
			in.stop(grace(spec), nil)
			return false
		}
		return true
	}, p.check(t.spec, in, probe))
	return passed
}

func (p *pod) probeReadiness(ctx context.Context, spec *corev1.Pod, t *tracked, in *instance, h *health) {
	probe := t.spec.ReadinessProbe
	p.probeLoop(ctx, probe, func(err error, streak int) bool {
		before := h.ready.Load()
		switch {
		case err == nil && streak >= int(probe.SuccessThreshold):
			h.ready.Store(true)
		case err != nil:
			p.unhealthy(spec, t, "Readiness", err)
			if streak >= int(probe.FailureThreshold) {
				h.ready.Store(false)
			}
		}
		if h.ready.Load() != before {
			p.poke()
		}
		return true
	}, p.check(t.spec, in, probe))
}

func (p *pod) probeUntilFailure(ctx context.Context, spec *corev1.Pod, t *tracked, in *instance, probe *corev1.Probe) {
	p.probeLoop(ctx, probe, func(err error, streak int) bool {
		if err == nil {
			return true
		}
		p.unhealthy(spec, t, "Liveness", err)
		if streak < int(probe.FailureThreshold) {
			return true
		}
		p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Killing", fmt.Sprintf("Container %s failed liveness probe, will be restarted", t.spec.Name))
		in.stop(grace(spec), nil)
		return false
	}, p.check(t.spec, in, probe))
}

func (p *pod) unhealthy(spec *corev1.Pod, t *tracked, kind string, err error) {
	p.n.containerEvent(spec, t, corev1.EventTypeWarning, "Unhealthy", kind+" probe failed: "+err.Error())
}

// probeLoop calls check in the probe's rhythm and hands each result on with
// the number of equal results in a row, until told to end.
func (p *pod) probeLoop(ctx context.Context, probe *corev1.Probe, result func(err error, streak int) bool, check func(context.Context) error) {
	timer := time.NewTimer(time.Duration(probe.InitialDelaySeconds) * time.Second)
	defer timer.Stop()
	period := max(time.Duration(probe.PeriodSeconds)*time.Second, time.Second)
	timeout := max(time.Duration(probe.TimeoutSeconds)*time.Second, time.Second)
	streak, failing := 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		checkCtx, cancel := context.WithTimeout(ctx, timeout)
		err := check(checkCtx)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if (err != nil) != failing {
			streak, failing = 0, err != nil
		}
		streak++
		if !result(err, streak) {
			return
		}
		timer.Reset(period)
	}
}

// check is one attempt of a probe.
func (p *pod) check(c *corev1.Container, in *instance, probe *corev1.Probe) func(context.Context) error {
	switch {
	case probe.Exec != nil:
		return func(ctx context.Context) error { return execCheck(ctx, in, probe.Exec.Command) }
	case probe.TCPSocket != nil:
		return func(ctx context.Context) error { return tcpCheck(ctx, p.ip, portOf(probe.TCPSocket.Port, c)) }
	case probe.HTTPGet != nil:
		return func(ctx context.Context) error { return httpCheck(ctx, p.ip, c, probe.HTTPGet) }
	}
	return func(context.Context) error { return nil }
}

// execCheck runs a command in the container; one that takes too long is killed.
func execCheck(ctx context.Context, in *instance, command []string) error {
	var output limited
	code, err := in.check(ctx, command, &output)
	if err != nil {
		return err
	}
	if code != 0 {
		return errors.New(strings.TrimSpace(output.String()))
	}
	return nil
}

func tcpCheck(ctx context.Context, ip string, port int32) error {
	conn, err := dialPod(ctx, ip, port)
	if err != nil {
		return err
	}
	return conn.Close()
}

func httpCheck(ctx context.Context, ip string, c *corev1.Container, get *corev1.HTTPGetAction) error {
	host := get.Host
	if host == "" {
		host = ip
	}
	port := portOf(get.Port, c)
	scheme := "http"
	if get.Scheme == corev1.URISchemeHTTPS {
		scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(port)))+get.Path, nil)
	if err != nil {
		return err
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Set(h.Name, h.Value)
	}
	response, err := probeClient(ip, port).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, maxProbeOutput))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func portOf(port intstr.IntOrString, c *corev1.Container) int32 {
	if port.Type == intstr.Int {
		return port.IntVal
	}
	for _, named := range c.Ports {
		if named.Name == port.StrVal {
			return named.ContainerPort
		}
	}
	return 0
}
