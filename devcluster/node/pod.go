package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// volumeRefresh is how often volumes follow their objects.
	volumeRefresh = 30 * time.Second
	// retryDelay: what is missing may come any moment.
	retryDelay = 500 * time.Millisecond
	leastGrace = time.Second
)

// pod runs one pod of this node. Its fields belong to the goroutine of run,
// except those under mu.
type pod struct {
	n       *Node
	uid     types.UID
	key     string // namespace/name
	log     *slog.Logger
	dir     string
	ip      string
	wake    chan struct{} // room for one: something has changed
	over    chan struct{} // closed when run has returned
	volumes *volumes

	started    time.Time
	containers []*tracked
	sandbox    *container // of a pod with one process namespace
	prepared   bool
	refreshed  time.Time
	failure    string
	failureMsg string
	status     *statusWriter

	mu    sync.Mutex
	spec  *corev1.Pod // newest seen
	gone  bool        // the API has forgotten the pod
	views map[string]view
}

// view is what requests from outside may use of a container.
type view struct {
	current  *instance // nil: it has not run in this life of the node
	log      *containerLog
	previous *containerLog
}

func newPod(n *Node, spec *corev1.Pod) *pod {
	p := &pod{
		n: n, uid: spec.UID, key: spec.Namespace + "/" + spec.Name,
		log: n.o.Log.With("pod", spec.Namespace+"/"+spec.Name),
		dir: filepath.Join(n.o.Dir, "pods", string(spec.UID)),
		ip:  n.nextPodIP(), wake: make(chan struct{}, 1), over: make(chan struct{}),
		started: time.Now(), spec: spec, views: map[string]view{},
	}
	p.volumes = &volumes{client: n.client, dir: filepath.Join(p.dir, "volumes"), tokens: map[string]token{}}
	p.status = newStatusWriter(n, spec)
	p.resume(spec)
	return p
}

// update hands over a newer version of the pod.
func (p *pod) update(spec *corev1.Pod) {
	p.mu.Lock()
	p.spec = spec
	p.mu.Unlock()
	p.poke()
}

// forget tells that the API has no such pod any more.
func (p *pod) forget() {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.poke()
}

func (p *pod) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pod) seen() (spec *corev1.Pod, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.spec, p.gone
}

func (p *pod) view(container string) (view, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.views[container]
	return v, ok
}

func (p *pod) setView(container string, v view) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.views[container] = v
}

// run brings the pod to where its specification wants it, again and again,
// until it is deleted or the node stops.
func (p *pod) run(ctx context.Context) {
	defer close(p.over)
	statusDone := make(chan struct{})
	statusCtx, stopStatus := context.WithCancel(ctx)
	go func() {
		defer close(statusDone)
		p.status.run(statusCtx)
	}()
	defer func() {
		stopStatus()
		<-statusDone
	}()
	defer p.killAll()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		spec, gone := p.seen()
		next, finished := p.step(ctx, spec, gone)
		if !gone {
			p.status.set(computeStatus(p.facts(spec), time.Now()))
		}
		if finished {
			p.finish(ctx, spec, gone)
			return
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
	}
}

// step does what can be done now and answers when to look again.
func (p *pod) step(ctx context.Context, spec *corev1.Pod, gone bool) (next time.Time, finished bool) {
	now := time.Now()
	p.track(spec)
	p.collect(spec, now)
	if gone {
		return now.Add(time.Minute), p.stopAll(spec, true)
	}
	if spec.DeletionTimestamp != nil {
		// A later request may have shortened the grace period.
		end := spec.DeletionTimestamp.Add(leastGrace)
		return maxTime(end, now.Add(leastGrace)), p.stopAll(spec, now.After(end))
	}
	if p.settled(spec) {
		p.stopAll(spec, false)
		return now.Add(volumeRefresh), false
	}
	if deadline, has := p.deadline(spec); has && !now.Before(deadline) {
		p.failure, p.failureMsg = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
		return now, false
	}
	if !p.prepare(ctx, spec, now) {
		return now.Add(retryDelay), false
	}
	p.startDue(ctx, spec, now)
	return p.nextLook(spec, now), false
}

// settled: nothing will be started any more, though the pod still exists.
func (p *pod) settled(spec *corev1.Pod) bool {
	phase := p.facts(spec).phase()
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

func (p *pod) deadline(spec *corev1.Pod) (time.Time, bool) {
	if spec.Spec.ActiveDeadlineSeconds == nil {
		return time.Time{}, false
	}
	start := p.started
	if spec.Status.StartTime != nil {
		start = spec.Status.StartTime.Time
	}
	return start.Add(time.Duration(*spec.Spec.ActiveDeadlineSeconds) * time.Second), true
}

// prepare makes the volumes, and keeps them up to date.
func (p *pod) prepare(ctx context.Context, spec *corev1.Pod, now time.Time) bool {
	if p.prepared && now.Before(p.refreshed.Add(volumeRefresh)) {
		return true
	}
	p.refreshed = now
	withAddress := p.addressed(spec)
	if err := p.volumes.sync(ctx, withAddress); err != nil {
		if !p.prepared {
			p.n.event(spec, corev1.EventTypeWarning, "FailedMount", err.Error())
			p.log.Warn("volumes", "error", err)
		}
		return p.prepared
	}
	p.prepared = true
	return true
}

// addressed is the pod with its addresses, which the API may not know yet.
func (p *pod) addressed(spec *corev1.Pod) *corev1.Pod {
	c := spec.DeepCopy()
	c.Status.HostIP, c.Status.PodIP = hostIP, p.ip
	c.Status.PodIPs = []corev1.PodIP{{IP: p.ip}}
	return c
}

// startDue starts what may run now: init containers one by one, then the rest.
func (p *pod) startDue(ctx context.Context, spec *corev1.Pod, now time.Time) {
	for _, t := range p.containers {
		if t.kind == ephemeralContainer {
			p.startIfDue(ctx, spec, t, now)
		}
	}
	for _, t := range p.containers {
		switch t.kind {
		case initContainer:
			p.startIfDue(ctx, spec, t, now)
			if !t.facts().succeeded() {
				return
			}
		case sidecarContainer:
			p.startIfDue(ctx, spec, t, now)
			if !t.facts().started {
				return
			}
		}
	}
	for _, t := range p.containers {
		if t.kind == appContainer {
			p.startIfDue(ctx, spec, t, now)
		}
	}
}

func (p *pod) nextLook(spec *corev1.Pod, now time.Time) time.Time {
	next := p.refreshed.Add(volumeRefresh)
	for _, t := range p.containers {
		if t.instance == nil && t.due && t.retryAt.After(now) && t.retryAt.Before(next) {
			next = t.retryAt
		}
	}
	if deadline, has := p.deadline(spec); has && deadline.Before(next) && p.failure == "" {
		next = deadline
	}
	return next
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stopAll asks all containers to end, or kills them, sidecars last, and says
// whether they have ended.
func (p *pod) stopAll(spec *corev1.Pod, kill bool) bool {
	for _, t := range p.containers {
		t.due = false
	}
	if p.stopKind(spec, kill, appContainer, initContainer, ephemeralContainer) {
		return false
	}
	return !p.stopKind(spec, kill, sidecarContainer)
}

// stopKind says whether any of these still runs.
func (p *pod) stopKind(spec *corev1.Pod, kill bool, kinds ...kind) (running bool) {
	for _, t := range p.containers {
		for _, k := range kinds {
			if t.kind == k && t.instance != nil {
				running = true
				p.stopContainer(spec, t, kill)
			}
		}
	}
	return running
}

func (p *pod) stopContainer(spec *corev1.Pod, t *tracked, kill bool) {
	if kill {
		t.instance.c.kill()
		return
	}
	select {
	case <-t.instance.stopping:
	default:
		p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Killing", "Stopping container "+t.spec.Name)
	}
	t.instance.stop(grace(spec), p.preStop(t))
}

func grace(spec *corev1.Pod) time.Duration {
	seconds := int64(30)
	if spec.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *spec.Spec.TerminationGracePeriodSeconds
	}
	if spec.DeletionGracePeriodSeconds != nil {
		seconds = *spec.DeletionGracePeriodSeconds
	}
	return max(time.Duration(seconds)*time.Second, leastGrace)
}

// killAll ends all containers at once and waits for them.
func (p *pod) killAll() {
	for _, t := range p.containers {
		if t.instance != nil {
			t.instance.c.kill()
		}
	}
	for _, t := range p.containers {
		if t.instance != nil {
			<-t.instance.done
		}
	}
	if p.sandbox != nil {
		p.sandbox.kill()
		<-p.sandbox.gone
	}
}

// finish reports the end and lets go of the pod.
func (p *pod) finish(ctx context.Context, spec *corev1.Pod, gone bool) {
	if !gone {
		p.status.flush(ctx)
		p.n.confirmDeletion(ctx, spec)
	}
	removeFolder(p.dir, p.log)
}

func (p *pod) facts(spec *corev1.Pod) podFacts {
	f := podFacts{
		pod: spec, hostIP: hostIP, podIP: p.ip, started: p.started,
		failure: p.failure, failureMessage: p.failureMsg,
	}
	for _, t := range p.containers {
		f.containers = append(f.containers, t.facts())
	}
	return f
}
