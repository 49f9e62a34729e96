package poddebug

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/kube"
)

// maxPerPod bounds how many debug containers a pod ever gets from here: Kubernetes
// neither removes an ephemeral container nor starts it again.
const maxPerPod = 20

// mirror marks a pod that the kubelet made of a file; the apiserver has a copy.
const mirror = "kubernetes.io/config.mirror"

// stayScript keeps the container there until it is told to stop, for shells are
// opened beside it. A number, for not every sleep knows "infinity"; the trap, for
// where the container has process 1 itself, which ignores what it does not handle.
const stayScript = `trap 'exit 0' TERM INT; sleep 2147483647 & wait`

// plan is what is to be done in a pod as it stands.
type plan struct {
	name string
	add  *corev1.EphemeralContainer // nil: the container is there
}

// planFor finds the debug container for a target and an image that has not ended,
// or says what a new one looks like. The name says for what it is, so that two who
// plan at once plan the same, and so that an image which admission rewrites is
// known again.
func planFor(pod *corev1.Pod, targetName, image string) (plan, error) {
	if err := suitable(pod); err != nil {
		return plan{}, err
	}
	target, err := targetOf(pod, targetName)
	if err != nil {
		return plan{}, err
	}
	prefix, next, ours := namesFor(targetName, image), 1, 0
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		if !debugName.MatchString(c.Name) {
			continue
		}
		ours++
		n, same := strings.CutPrefix(c.Name, prefix)
		if !same {
			continue
		}
		if c.TargetContainerName == targetName && !ended(pod, c.Name) {
			return plan{name: c.Name}, nil
		}
		if at, err := strconv.Atoi(n); err == nil {
			next = max(next, at+1)
		}
	}
	if ours >= maxPerPod {
		return plan{}, fault.New(fault.Unprocessable, "poddebug.plan",
			"Pod %s has had %d debug containers, which is the limit: Kubernetes removes none from a pod. Delete the pod if its controller makes a new one, or look into another replica.",
			pod.Name, ours)
	}
	name := prefix + strconv.Itoa(next)
	return plan{name: name, add: containerFor(pod, target, name, image)}, nil
}

var debugName = regexp.MustCompile(`^debug-[0-9a-f]{8}-[0-9]{1,9}$`)

// namesFor is how the names of all containers for a target and an image begin.
func namesFor(target, image string) string {
	sum := sha256.Sum256([]byte(target + "\x00" + image))
	return fmt.Sprintf("debug-%x-", sum[:4])
}

func ended(pod *corev1.Pod, name string) bool {
	return statusOf(pod.Status.EphemeralContainerStatuses, name).State.Terminated != nil
}

func statusOf(all []corev1.ContainerStatus, name string) corev1.ContainerStatus {
	for i := range all {
		if all[i].Name == name {
			return all[i]
		}
	}
	return corev1.ContainerStatus{}
}

// suitable says why a pod can have no debug container that would be of use.
func suitable(pod *corev1.Pod) error {
	switch {
	case pod.Annotations[mirror] != "":
		return cannot(pod, "is a static pod: its node made it of a file, and no container can be added. Look into it on the node")
	case pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows:
		return cannot(pod, "runs Windows, where a container cannot see the processes of another. Open a shell in it by its own programs")
	case pod.DeletionTimestamp != nil:
		return gone(pod, "is being deleted")
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return gone(pod, "has ended")
	}
	return nil
}

func cannot(pod *corev1.Pod, why string) error {
	return fault.New(fault.Unprocessable, "poddebug.plan", "Pod %s %s.", pod.Name, why)
}

func gone(pod *corev1.Pod, why string) error {
	return fault.New(fault.Gone, "poddebug.plan", "Pod %s %s. Go back to the list and choose one that runs.", pod.Name, why)
}

// target is the container to look into, with what its node says of it.
type target struct {
	*corev1.Container
	status corev1.ContainerStatus
}

func targetOf(pod *corev1.Pod, name string) (target, error) {
	var names []string
	for _, list := range []struct {
		specs    []corev1.Container
		statuses []corev1.ContainerStatus
	}{
		{pod.Spec.Containers, pod.Status.ContainerStatuses},
		{pod.Spec.InitContainers, pod.Status.InitContainerStatuses},
	} {
		for i := range list.specs {
			if list.specs[i].Name == name {
				return running(pod, target{&list.specs[i], statusOf(list.statuses, name)})
			}
			names = append(names, list.specs[i].Name)
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			return target{}, fault.New(fault.Invalid, "poddebug.plan",
				"Container %s is a debug container itself. Open a shell in it.", name)
		}
	}
	return target{}, fault.New(fault.NotFound, "poddebug.plan", "Pod %s has no container %q. It has: %s.", pod.Name, name, strings.Join(names, ", "))
}

// running: there are no processes to see in a container that does not run, and its
// node would not start the debug container.
func running(pod *corev1.Pod, t target) (target, error) {
	if t.status.State.Running == nil {
		return target{}, fault.New(fault.Gone, "poddebug.plan",
			"Container %s of pod %s is not running, so that there is nothing to look into. Try again when it runs; its log and the pod's events say why it does not.", t.Name, pod.Name)
	}
	return t, nil
}

func containerFor(pod *corev1.Pod, t target, name, image string) *corev1.EphemeralContainer {
	return &corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: name, Image: image, Command: []string{"sh", "-c", stayScript},
			SecurityContext: securityOf(pod, t),
		},
		TargetContainerName: t.Name,
	}
}

// securityOf gives the debug container what a shell in the target itself would
// have, had its image one: the same user, capabilities and profiles, and so what
// the namespace's policy has admitted already. With the same user it also sees the
// target's files and environment below /proc. See docs/adr/0007-debug-containers.md.
func securityOf(pod *corev1.Pod, t target) *corev1.SecurityContext {
	sc := &corev1.SecurityContext{}
	if t.SecurityContext != nil {
		sc = t.SecurityContext.DeepCopy()
	}
	sc.ReadOnlyRootFilesystem = nil // its files are its own, and whoever debugs writes some
	if userUnnamed(sc) && userUnnamed(pod.Spec.SecurityContext) {
		asImageSays(sc, t.status.User)
	}
	if *sc == (corev1.SecurityContext{}) {
		return nil
	}
	return sc
}

// userUnnamed reports whether a security context leaves the user to the image.
func userUnnamed[C corev1.SecurityContext | corev1.PodSecurityContext](c *C) bool {
	switch c := any(c).(type) {
	case *corev1.SecurityContext:
		return c == nil || c.RunAsUser == nil
	case *corev1.PodSecurityContext:
		return c == nil || c.RunAsUser == nil
	}
	return true
}

// asImageSays takes the user that the target's image chose, where the node tells
// (Kubernetes 1.33 and later): the image of the debug container chooses another,
// often root, which runAsNonRoot keeps from starting. Root is what most images are
// without a word, and policies forbid the word.
func asImageSays(sc *corev1.SecurityContext, user *corev1.ContainerUser) {
	if user == nil || user.Linux == nil || user.Linux.UID <= 0 {
		return
	}
	uid, gid := user.Linux.UID, user.Linux.GID
	sc.RunAsUser = &uid
	if sc.RunAsGroup == nil {
		sc.RunAsGroup = &gid
	}
}

// notAdmitted tells a cluster's policy from a missing right: the right was asked
// about just before.
func (w *wish) notAdmitted(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || !kube.Denied(err) {
		return err
	}
	why := "no reason was given"
	if st, ok := f.Status.(metav1.Status); ok && st.Message != "" {
		why = strings.TrimSuffix(audit.OneLine(st.Message, 600), ".")
	}
	refusal := fault.Wrap(err, fault.Forbidden, "poddebug.patch",
		"Cluster %s does not admit the debug container, which has the security settings of container %s: %s. Ask whoever manages the policy of namespace %s.",
		w.Cluster, w.Target, why, w.Namespace)
	refusal.Status = f.Status
	return refusal
}
