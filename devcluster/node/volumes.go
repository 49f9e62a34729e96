package node

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	resourcehelper "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/volume/configmap"
	"k8s.io/kubernetes/pkg/volume/secret"
	volumeutil "k8s.io/kubernetes/pkg/volume/util"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"

	"github.com/periscope-console/periscope/devcluster/shim"
)

// volumes are the folders of one pod on the host. Only the pod's own
// goroutine uses them.
type volumes struct {
	client kubernetes.Interface
	dir    string
	tokens map[string]token // by volume and path
}

type token struct {
	value string
	renew time.Time
}

// sync makes all volumes, or brings those that follow objects up to date.
func (v *volumes) sync(ctx context.Context, pod *corev1.Pod) error {
	for i := range pod.Spec.Volumes {
		if err := v.syncOne(ctx, pod, &pod.Spec.Volumes[i]); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q : %w", pod.Spec.Volumes[i].Name, err)
		}
	}
	return nil
}

func (v *volumes) path(name string) string { return filepath.Join(v.dir, name) }

func (v *volumes) syncOne(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) error {
	s := volume.VolumeSource
	switch {
	case s.HostPath != nil:
		return hostPath(s.HostPath)
	case s.EmptyDir != nil:
		return makeShared(v.path(volume.Name))
	}
	payload, err := v.payload(ctx, pod, volume)
	if err != nil {
		return err
	}
	if err := makeShared(v.path(volume.Name)); err != nil {
		return err
	}
	w, err := volumeutil.NewAtomicWriter(v.path(volume.Name), pod.Name)
	if err != nil {
		return err
	}
	return w.Write(payload, nil)
}

// makeShared makes a folder that any user of the pod may write to. One that is
// there already is the pod's, with the rights that it gave it.
func makeShared(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return os.Chmod(dir, 0o777)
}

func hostPath(s *corev1.HostPathVolumeSource) error {
	if s.Type != nil && *s.Type == corev1.HostPathDirectoryOrCreate {
		return os.MkdirAll(s.Path, 0o755)
	}
	_, err := os.Stat(s.Path)
	return err
}

// payload is the content of a volume made of objects.
func (v *volumes) payload(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (map[string]volumeutil.FileProjection, error) {
	switch s := volume.VolumeSource; {
	case s.ConfigMap != nil:
		return v.configMap(ctx, pod, s.ConfigMap.Name, s.ConfigMap.Items, s.ConfigMap.DefaultMode, s.ConfigMap.Optional)
	case s.Secret != nil:
		return v.secret(ctx, pod, s.Secret.SecretName, s.Secret.Items, s.Secret.DefaultMode, s.Secret.Optional)
	case s.DownwardAPI != nil:
		return downward(pod, s.DownwardAPI.Items, s.DownwardAPI.DefaultMode)
	case s.Projected != nil:
		return v.projected(ctx, pod, volume.Name, s.Projected)
	}
	return nil, fmt.Errorf("this kind of volume is not supported by a process node")
}

func (v *volumes) configMap(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (map[string]volumeutil.FileProjection, error) {
	object, err := v.client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err) && optional != nil && *optional
	if missing {
		object = &corev1.ConfigMap{}
	} else if err != nil {
		return nil, err
	}
	return configmap.MakePayload(items, object, modeOr(mode), optional != nil && *optional)
}

func (v *volumes) secret(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, mode *int32, optional *bool) (map[string]volumeutil.FileProjection, error) {
	object, err := v.client.CoreV1().Secrets(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err) && optional != nil && *optional
	if missing {
		object = &corev1.Secret{}
	} else if err != nil {
		return nil, err
	}
	return secret.MakePayload(items, object, modeOr(mode), optional != nil && *optional)
}

func modeOr(mode *int32) *int32 {
	if mode != nil {
		return mode
	}
	standard := int32(0o644)
	return &standard
}

func downward(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode *int32) (map[string]volumeutil.FileProjection, error) {
	payload := map[string]volumeutil.FileProjection{}
	for _, item := range items {
		var value string
		var err error
		if item.FieldRef != nil {
			value, err = podField(pod, item.FieldRef.FieldPath)
		} else if item.ResourceFieldRef != nil {
			value, err = resourcehelper.ExtractResourceValueByContainerName(item.ResourceFieldRef, pod, item.ResourceFieldRef.ContainerName)
		}
		if err != nil {
			return nil, err
		}
		m := item.Mode
		if m == nil {
			m = modeOr(mode)
		}
		payload[item.Path] = volumeutil.FileProjection{Data: []byte(value), Mode: *m}
	}
	return payload, nil
}

func (v *volumes) projected(ctx context.Context, pod *corev1.Pod, name string, p *corev1.ProjectedVolumeSource) (map[string]volumeutil.FileProjection, error) {
	all := map[string]volumeutil.FileProjection{}
	for _, s := range p.Sources {
		var part map[string]volumeutil.FileProjection
		var err error
		switch {
		case s.ConfigMap != nil:
			part, err = v.configMap(ctx, pod, s.ConfigMap.Name, s.ConfigMap.Items, p.DefaultMode, s.ConfigMap.Optional)
		case s.Secret != nil:
			part, err = v.secret(ctx, pod, s.Secret.Name, s.Secret.Items, p.DefaultMode, s.Secret.Optional)
		case s.DownwardAPI != nil:
			part, err = downward(pod, s.DownwardAPI.Items, p.DefaultMode)
		case s.ServiceAccountToken != nil:
			part, err = v.serviceAccountToken(ctx, pod, name, s.ServiceAccountToken, p.DefaultMode)
		default:
			err = fmt.Errorf("this kind of projection is not supported by a process node")
		}
		if err != nil {
			return nil, err
		}
		maps.Copy(all, part)
	}
	return all, nil
}

// serviceAccountToken asks for a token bound to the pod, and again when four
// fifths of its life are over.
func (v *volumes) serviceAccountToken(ctx context.Context, pod *corev1.Pod, volume string, s *corev1.ServiceAccountTokenProjection, mode *int32) (map[string]volumeutil.FileProjection, error) {
	key := volume + "/" + s.Path
	t, ok := v.tokens[key]
	if !ok || time.Now().After(t.renew) {
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: s.ExpirationSeconds,
			BoundObjectRef:    &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod.Name, UID: pod.UID},
		}}
		if s.Audience != "" {
			request.Spec.Audiences = []string{s.Audience}
		}
		answer, err := v.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		life := time.Until(answer.Status.ExpirationTimestamp.Time)
		t = token{value: answer.Status.Token, renew: time.Now().Add(life * 4 / 5)}
		v.tokens[key] = t
	}
	m := *modeOr(mode)
	if user := podUser(pod); user != 0 {
		m |= 0o044 // files belong to root here; the pod's user must read its token
	}
	return map[string]volumeutil.FileProjection{s.Path: {Data: []byte(t.value), Mode: m}}, nil
}

func podUser(pod *corev1.Pod) int64 {
	if c := pod.Spec.SecurityContext; c != nil && c.RunAsUser != nil {
		return *c.RunAsUser
	}
	return 0
}

// mounts are the volumes as one container wants to see them.
func (v *volumes) mounts(pod *corev1.Pod, c *corev1.Container, env map[string]string) ([]shim.Mount, error) {
	var mounts []shim.Mount
	for _, m := range c.VolumeMounts {
		source, owned, err := v.source(pod, m.Name)
		if err != nil {
			return nil, err
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expansion.Expand(m.SubPathExpr, expansion.MappingFuncFor(env))
		}
		if sub != "" {
			if source, err = subPath(source, sub, owned); err != nil {
				return nil, err
			}
		}
		mounts = append(mounts, shim.Mount{Source: source, Target: m.MountPath, ReadOnly: m.ReadOnly || v.readOnly(pod, m.Name)})
	}
	return mounts, nil
}

func (v *volumes) source(pod *corev1.Pod, name string) (path string, owned bool, err error) {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == name {
			if volume.HostPath != nil {
				return volume.HostPath.Path, false, nil
			}
			return v.path(name), true, nil
		}
	}
	return "", false, fmt.Errorf("no volume named %q", name)
}

// readOnly: volumes made of objects are.
func (v *volumes) readOnly(pod *corev1.Pod, name string) bool {
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == name {
			return volume.EmptyDir == nil && volume.HostPath == nil
		}
	}
	return false
}

func subPath(source, sub string, owned bool) (string, error) {
	if filepath.IsAbs(sub) || strings.Contains(sub, "..") {
		return "", fmt.Errorf("subPath %q must stay inside the volume", sub)
	}
	path := filepath.Join(source, sub)
	if _, err := os.Stat(path); err == nil || !owned {
		return path, err
	}
	return path, makeShared(path)
}
