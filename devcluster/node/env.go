package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	resourcehelper "k8s.io/kubernetes/pkg/api/v1/resource"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// environment computes what a container finds in its environment.
type environment struct {
	client kubernetes.Interface
	pod    *corev1.Pod // with the addresses of its status
	base   []string    // of the image and the node
	api    map[string]string
}

// variables answers NAME=VALUE pairs, later ones overriding earlier ones, in
// the order of the pod's specification.
func (e environment) variables(ctx context.Context, c *corev1.Container) ([]string, map[string]string, error) {
	values := maps.Clone(e.api)
	order := slices.Sorted(maps.Keys(e.api))
	set := func(name, value string) {
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = value
	}
	for _, from := range c.EnvFrom {
		data, err := e.from(ctx, from)
		if err != nil {
			return nil, nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(data)) {
			set(from.Prefix+key, data[key])
		}
	}
	mapping := expansion.MappingFuncFor(values)
	for _, v := range c.Env {
		value := v.Value
		if v.ValueFrom != nil {
			var ok bool
			var err error
			if value, ok, err = e.valueFrom(ctx, c, v.ValueFrom); err != nil {
				return nil, nil, err
			} else if !ok {
				continue
			}
		} else {
			value = expansion.Expand(value, mapping)
		}
		set(v.Name, value)
	}
	return assemble(e.base, order, values), values, nil
}

// assemble puts the base first, without what the pod overrides.
func assemble(base, order []string, values map[string]string) []string {
	var env []string
	for _, pair := range base {
		name, _, _ := strings.Cut(pair, "=")
		if _, ok := values[name]; !ok {
			env = append(env, pair)
		}
	}
	for _, name := range order {
		env = append(env, name+"="+values[name])
	}
	return env
}

func (e environment) from(ctx context.Context, from corev1.EnvFromSource) (map[string]string, error) {
	switch {
	case from.ConfigMapRef != nil:
		data, err := e.configMap(ctx, from.ConfigMapRef.Name)
		if isOptional(from.ConfigMapRef.Optional, err) {
			return nil, nil
		}
		return data, err
	case from.SecretRef != nil:
		data, err := e.secret(ctx, from.SecretRef.Name)
		if isOptional(from.SecretRef.Optional, err) {
			return nil, nil
		}
		return data, err
	}
	return nil, nil
}

func (e environment) valueFrom(ctx context.Context, c *corev1.Container, from *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case from.FieldRef != nil:
		value, err := podField(e.pod, from.FieldRef.FieldPath)
		return value, true, err
	case from.ResourceFieldRef != nil:
		value, err := resourcehelper.ExtractContainerResourceValue(from.ResourceFieldRef, c)
		return value, true, err
	case from.ConfigMapKeyRef != nil:
		ref := from.ConfigMapKeyRef
		data, err := e.configMap(ctx, ref.Name)
		return pick(data, ref.Key, "configmap", e.pod.Namespace+"/"+ref.Name, ref.Optional, err)
	case from.SecretKeyRef != nil:
		ref := from.SecretKeyRef
		data, err := e.secret(ctx, ref.Name)
		return pick(data, ref.Key, "secret", e.pod.Namespace+"/"+ref.Name, ref.Optional, err)
	}
	return "", false, nil
}

func pick(data map[string]string, key, kind, name string, optional *bool, err error) (string, bool, error) {
	if isOptional(optional, err) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	value, ok := data[key]
	if !ok && (optional == nil || !*optional) {
		return "", false, fmt.Errorf("couldn't find key %v in %s %s", key, kind, name)
	}
	return value, ok, nil
}

func isOptional(optional *bool, err error) bool {
	return apierrors.IsNotFound(err) && optional != nil && *optional
}

func (e environment) configMap(ctx context.Context, name string) (map[string]string, error) {
	object, err := e.client.CoreV1().ConfigMaps(e.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return object.Data, nil
}

func (e environment) secret(ctx context.Context, name string) (map[string]string, error) {
	object, err := e.client.CoreV1().Secrets(e.pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := make(map[string]string, len(object.Data))
	for key, value := range object.Data {
		data[key] = string(value)
	}
	return data, nil
}

// podField is the downward API.
func podField(pod *corev1.Pod, path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return pod.Status.HostIP, nil
	case "status.hostIPs":
		return pod.Status.HostIP, nil
	case "status.podIP", "status.podIPs":
		return pod.Status.PodIP, nil
	}
	return fieldpath.ExtractFieldPathAsString(pod, path)
}

// expandAll replaces $(VAR) in a command; $$(VAR) escapes it.
func expandAll(words []string, values map[string]string) []string {
	mapping := expansion.MappingFuncFor(values)
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = expansion.Expand(word, mapping)
	}
	return expanded
}

// commandLine joins what the pod says with what the image says, as Docker's
// entry point and command.
func commandLine(c *corev1.Container, imageCommand []string, values map[string]string) []string {
	command, args := c.Command, c.Args
	if len(command) == 0 {
		command = imageCommand
		if len(args) > 0 && len(imageCommand) > 0 && !strings.HasPrefix(imageCommand[0], "/") {
			command = nil // the default command of the host image is no entry point
		}
	}
	return expandAll(append(slices.Clone(command), args...), values)
}
