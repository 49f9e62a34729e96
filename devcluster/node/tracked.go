package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/devcluster/shim"
)

const scratchSize = 2 << 30

// tracked is one container of a pod over all its runs. It belongs to the
// pod's goroutine; probes only touch healthy.
type tracked struct {
	spec    *corev1.Container
	target  string // of an ephemeral container
	kind    kind
	imageID string
	user    *corev1.ContainerUser // of its first process; nil where it is not known

	instance *instance // running now
	state    corev1.ContainerState
	last     corev1.ContainerState
	id       string
	restarts int32
	runs     int  // log folders used so far
	due      bool // to be started when retryAt is reached
	retryAt  time.Time
	backoff  backoff
	health   *health
	message  string // host file for the termination message
}

// health is what the probes of one instance have found.
type health struct {
	started atomic.Bool
	ready   atomic.Bool
	cancel  context.CancelFunc
}

func (t *tracked) facts() containerFacts {
	f := containerFacts{
		name: t.spec.Name, image: t.spec.Image, imageID: t.imageID, kind: t.kind, user: t.user,
		state: t.state, last: t.last, restarts: t.restarts, id: t.id,
		again: t.instance == nil && t.due && t.id != "",
	}
	if t.instance != nil && t.health != nil {
		f.started = t.health.started.Load()
		f.ready = f.started && t.health.ready.Load()
	}
	if t.kind == initContainer {
		f.ready = f.succeeded()
	}
	if t.kind == ephemeralContainer {
		f.ready = false
	}
	return f
}

// track makes sure that every container of the specification is known;
// ephemeral ones may come at any time.
func (p *pod) track(spec *corev1.Pod) {
	known := map[string]bool{}
	for _, t := range p.containers {
		known[t.spec.Name] = true
	}
	add := func(c *corev1.Container, k kind, target string) {
		if !known[c.Name] {
			p.containers = append(p.containers, &tracked{spec: c, kind: k, target: target, due: true})
		}
	}
	for i := range spec.Spec.InitContainers {
		c := &spec.Spec.InitContainers[i]
		k := initContainer
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			k = sidecarContainer
		}
		add(c, k, "")
	}
	for i := range spec.Spec.Containers {
		add(&spec.Spec.Containers[i], appContainer, "")
	}
	for i := range spec.Spec.EphemeralContainers {
		e := &spec.Spec.EphemeralContainers[i]
		c := corev1.Container(e.EphemeralContainerCommon)
		add(&c, ephemeralContainer, e.TargetContainerName)
	}
}

// resume takes over what the API knows of an earlier life of the pod, on a
// node that has lost all its processes since.
func (p *pod) resume(spec *corev1.Pod) {
	statuses := slices.Concat(spec.Status.InitContainerStatuses, spec.Status.ContainerStatuses, spec.Status.EphemeralContainerStatuses)
	if len(statuses) == 0 {
		return
	}
	p.track(spec)
	over := spec.Status.Phase == corev1.PodSucceeded || spec.Status.Phase == corev1.PodFailed
	if over {
		p.failure, p.failureMsg = failureOf(spec.Status)
	}
	for _, t := range p.containers {
		p.resumeLogs(t)
		for _, s := range statuses {
			if s.Name == t.spec.Name {
				t.resume(s, spec.Spec.RestartPolicy, over)
			}
		}
	}
}

// resumeLogs serves what the newest runs of the earlier life have printed.
func (p *pod) resumeLogs(t *tracked) {
	runs, err := numbered(p.logs(t), "")
	if err != nil || len(runs) == 0 {
		return // it never ran
	}
	newest := runs[len(runs)-1]
	t.runs = newest + 1
	log, err := openContainerLog(p.logFolder(t, newest))
	if err != nil {
		p.log.Warn("the log of the earlier run is lost", "container", t.spec.Name, "error", err)
		return
	}
	v := view{log: log}
	if before, err := openContainerLog(p.logFolder(t, newest-1)); err == nil {
		v.previous = before
	}
	p.setView(t.spec.Name, v)
}

// logs has a folder for each run, see logFolder.
func (p *pod) logs(t *tracked) string { return filepath.Join(p.dir, "logs", t.spec.Name) }

func (p *pod) logFolder(t *tracked, run int) string {
	return filepath.Join(p.logs(t), strconv.Itoa(run))
}

func failureOf(s corev1.PodStatus) (reason, message string) {
	if s.Phase == corev1.PodFailed {
		return s.Reason, s.Message
	}
	return "", ""
}

func (t *tracked) resume(s corev1.ContainerStatus, policy corev1.RestartPolicy, over bool) {
	_, id, _ := strings.Cut(s.ContainerID, "://")
	if id == "" {
		return
	}
	t.id, t.imageID, t.restarts, t.last = id, s.ImageID, s.RestartCount, s.LastTerminationState
	ended := s.State.Terminated
	if ended == nil {
		ended = &corev1.ContainerStateTerminated{
			ExitCode: int32(killedCode), Reason: "ContainerStatusUnknown",
			Message:     "The container could not be located when the pod was terminated",
			ContainerID: s.ContainerID,
		}
	}
	t.state = corev1.ContainerState{Terminated: ended}
	// What an init container made is gone with the processes: it runs again.
	t.due = !over && (t.kind == initContainer || startsAgain(t.kind, policy, ended.ExitCode))
}

// collect takes note of instances that have ended.
func (p *pod) collect(spec *corev1.Pod, now time.Time) {
	for _, t := range p.containers {
		if t.instance != nil && !t.instance.running() {
			p.ended(spec, t, now)
		}
	}
}

func (p *pod) ended(spec *corev1.Pod, t *tracked, now time.Time) {
	in := t.instance
	t.instance = nil
	t.health.cancel()
	ended := &corev1.ContainerStateTerminated{
		ExitCode: int32(in.code), Reason: "Completed", ContainerID: "process://" + in.id,
		StartedAt: metav1.NewTime(in.started), FinishedAt: metav1.NewTime(in.finished),
		Message: t.terminationMessage(in),
	}
	if in.code != 0 {
		ended.Reason = "Error"
	}
	p.log.Info("container ended", "container", t.spec.Name, "code", in.code)
	p.terminated(spec, t, ended, in.finished.Sub(in.started), now)
}

// terminated decides what becomes of a container that has ended.
func (p *pod) terminated(spec *corev1.Pod, t *tracked, ended *corev1.ContainerStateTerminated, ran time.Duration, now time.Time) {
	t.state = corev1.ContainerState{Terminated: ended}
	t.due = startsAgain(t.kind, spec.Spec.RestartPolicy, ended.ExitCode)
	if !t.due {
		return
	}
	delay := t.backoff.next(ran)
	t.retryAt = now.Add(delay)
	if delay == 0 {
		return
	}
	t.last = t.state
	t.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason:  "CrashLoopBackOff",
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", delay, t.spec.Name, spec.Name, spec.Namespace, spec.UID),
	}}
	p.n.containerEvent(spec, t, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", t.spec.Name, spec.Name, spec.Namespace, spec.UID))
}

func (p *pod) startIfDue(ctx context.Context, spec *corev1.Pod, t *tracked, now time.Time) {
	if t.instance != nil || !t.due || now.Before(t.retryAt) {
		return
	}
	in, err := p.startContainer(ctx, spec, t)
	if err != nil {
		p.startFailed(spec, t, err, now)
		return
	}
	if t.state.Terminated != nil {
		t.last = t.state
	}
	if t.id != "" {
		t.restarts++
	}
	t.instance, t.id, t.due = in, in.id, false
	t.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(in.started)}}
	p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Created", "Container created")
	p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Started", "Container started")
	p.log.Info("container started", "container", t.spec.Name, "process", in.c.pid())
	p.watch(spec, t)
}

// watch wakes the pod when the instance ends, and starts its probes.
func (p *pod) watch(spec *corev1.Pod, t *tracked) {
	in := t.instance
	go func() {
		<-in.done
		p.poke()
	}()
	ctx, cancel := context.WithCancel(context.Background())
	t.health = &health{cancel: cancel}
	p.startHook(ctx, spec, t)
	p.startProbes(ctx, spec, t, in, t.health)
}

// waitingError is a reason for a container to wait, in the kubelet's words.
type waitingError struct {
	reason string
	err    error
}

func (e waitingError) Error() string { return e.err.Error() }
func (e waitingError) Unwrap() error { return e.err }

func (p *pod) startFailed(spec *corev1.Pod, t *tracked, err error, now time.Time) {
	p.log.Warn("container does not start", "container", t.spec.Name, "error", err)
	var start errStart
	if errors.As(err, &start) {
		p.commandFailed(spec, t, start, now)
		return
	}
	reason := "CreateContainerError"
	var waiting waitingError
	if errors.As(err, &waiting) {
		reason = waiting.reason
	}
	t.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: err.Error()}}
	t.retryAt = now.Add(retryDelay)
	if reason == "ErrImagePull" {
		t.retryAt = now.Add(max(t.backoff.next(0), retryDelay))
		if t.backoff.failures > 1 {
			t.state.Waiting = &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %v", t.spec.Image, err)}
		}
	}
	p.n.containerEvent(spec, t, corev1.EventTypeWarning, "Failed", "Error: "+err.Error())
}

// commandFailed is a run that ended before it began.
func (p *pod) commandFailed(spec *corev1.Pod, t *tracked, err error, now time.Time) {
	message := "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: " +
		"unable to start container process: error during container init: " + err.Error() + ": unknown"
	if t.id != "" {
		t.restarts++
	}
	t.id = newContainerID()
	p.n.containerEvent(spec, t, corev1.EventTypeWarning, "Failed", "Error: "+message)
	p.terminated(spec, t, &corev1.ContainerStateTerminated{
		ExitCode: 128, Reason: "StartError", Message: message, ContainerID: "process://" + t.id,
		StartedAt: metav1.Unix(0, 0), FinishedAt: metav1.NewTime(now),
	}, 0, now)
	if t.state.Terminated != nil && t.due {
		t.last = t.state
		t.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "RunContainerError", Message: message}}
	}
}

// startContainer gathers all that a run needs and starts it.
func (p *pod) startContainer(ctx context.Context, spec *corev1.Pod, t *tracked) (*instance, error) {
	im, err := resolveImage(t.spec.Image, p.n.o.Images, t.spec.Stdin)
	if err != nil {
		return nil, waitingError{"ErrImagePull", err}
	}
	t.imageID = im.id()
	p.n.containerEvent(spec, t, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", im.name))
	env, values, err := p.environment(spec, im).variables(ctx, t.spec)
	if err != nil {
		return nil, waitingError{"CreateContainerConfigError", err}
	}
	mounts, err := p.volumes.mounts(spec, t.spec, values)
	if err != nil {
		return nil, waitingError{"CreateContainerConfigError", err}
	}
	if mounts, err = p.withTerminationFile(t, mounts); err != nil {
		return nil, err
	}
	join, err := p.joins(spec, t)
	if err != nil {
		return nil, waitingError{"CreateContainerError", err}
	}
	process := p.process(spec, t, im, env, values)
	t.user = p.n.isolation.user(process)
	var paths []shim.Mount
	if p.n.isolation == plain {
		process = rewritten(process, mounts)
		paths = mounts
	}
	r := run{
		processes: p.n.o.Processes, where: p.n.isolation.placement(join),
		boot:    p.boot(spec, im, mounts, join),
		process: process, rewrite: paths,
		stdin: t.spec.Stdin, stdinOnce: t.spec.StdinOnce,
	}
	return p.startLogged(t, r)
}

// startLogged gives the run a log of its own and keeps the one before.
func (p *pod) startLogged(t *tracked, r run) (*instance, error) {
	log, err := newContainerLog(p.logFolder(t, t.runs), func(err error) {
		p.log.Warn("output is not logged, and lost", "container", t.spec.Name, "error", err)
	})
	if err != nil {
		return nil, err
	}
	r.log = log
	in, err := startInstance(r)
	if err != nil {
		log.close()
		p.dropLog(t, t.runs)
		return nil, err
	}
	before, _ := p.view(t.spec.Name)
	p.setView(t.spec.Name, view{current: in, log: log, previous: before.log})
	p.dropLog(t, t.runs-2)
	t.runs++
	return in, nil
}

func (p *pod) dropLog(t *tracked, run int) {
	if err := os.RemoveAll(p.logFolder(t, run)); err != nil {
		p.log.Warn("the log of a run remains", "container", t.spec.Name, "error", err)
	}
}

func (p *pod) environment(spec *corev1.Pod, im image) environment {
	host, port := p.n.o.APIServer.IP.String(), strconv.Itoa(p.n.o.APIServer.Port)
	return environment{
		client: p.n.client, pod: p.addressed(spec),
		base: append(im.env, "HOSTNAME="+hostname(spec), "HOME="+p.n.isolation.home()),
		api: map[string]string{
			"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port,
			"KUBERNETES_PORT": "tcp://" + host + ":" + port,
		},
	}
}

func hostname(spec *corev1.Pod) string {
	if spec.Spec.Hostname != "" {
		return spec.Spec.Hostname
	}
	return spec.Name[:min(len(spec.Name), 63)]
}

// joins answers the process whose PID namespace the container shares, or 0.
func (p *pod) joins(spec *corev1.Pod, t *tracked) (int, error) {
	if p.n.isolation != namespaces {
		return 0, nil
	}
	if share := spec.Spec.ShareProcessNamespace; share != nil && *share {
		return p.sandboxProcess()
	}
	if t.target == "" {
		return 0, nil
	}
	v, ok := p.view(t.target)
	if !ok || v.current == nil || !v.current.running() {
		return 0, fmt.Errorf("target container %q does not run", t.target)
	}
	return v.current.c.pid(), nil
}

// sandboxProcess is the first process of a pod whose containers share one
// process namespace. It belongs to no container and ends with the pod.
func (p *pod) sandboxProcess() (int, error) {
	if p.sandbox != nil {
		select {
		case <-p.sandbox.gone:
		default:
			return p.sandbox.pid(), nil
		}
	}
	c, err := createContainer(p.n.o.Processes, p.n.isolation.placement(0), shim.Boot{
		Isolated: true, Hostname: "sandbox", Root: shim.Root{Scratch: p.n.scratch(), ScratchSize: scratchSize, Bare: true},
	})
	if err != nil {
		return 0, err
	}
	p.sandbox = c
	return c.pid(), nil
}

func (p *pod) boot(spec *corev1.Pod, im image, mounts []shim.Mount, join int) shim.Boot {
	name := hostname(spec)
	hosts := "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" + p.ip + "\t" + name + "\n"
	files := []shim.File{{Path: "/etc/hosts", Content: hosts}, {Path: "/etc/hostname", Content: name + "\n"}}
	if resolv, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		files = append(files, shim.File{Path: "/etc/resolv.conf", Content: string(resolv)})
	}
	return shim.Boot{
		Isolated: p.n.isolation != plain, Joined: join != 0, Hostname: name,
		Root: shim.Root{
			Scratch: p.n.scratch(), ScratchSize: scratchSize, Folder: im.folder, Bare: im.bare,
			Foreign: p.n.isolation == userNamespaces,
		},
		Mounts: mounts, Files: files,
	}
}

func (p *pod) process(spec *corev1.Pod, t *tracked, im image, env []string, values map[string]string) shim.Process {
	process := shim.Process{
		Args: commandLine(t.spec, im.command, values), Env: env, Dir: t.spec.WorkingDir, TTY: t.spec.TTY, MakeDir: true,
	}
	if process.Dir == "" {
		process.Dir = "/"
	}
	if p.n.isolation == namespaces { // elsewhere nobody can become another user
		process.UID, process.GID = im.user, im.user
	}
	if c := spec.Spec.SecurityContext; c != nil {
		process.UID, process.GID = user(c.RunAsUser, c.RunAsGroup, process)
	}
	if c := t.spec.SecurityContext; c != nil {
		process.UID, process.GID = user(c.RunAsUser, c.RunAsGroup, process)
	}
	return process
}

func user(uid, gid *int64, before shim.Process) (uint32, uint32) {
	u, g := before.UID, before.GID
	if uid != nil {
		u = uint32(*uid)
	}
	if gid != nil {
		g = uint32(*gid)
	}
	return u, g
}
