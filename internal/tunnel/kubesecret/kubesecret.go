// Package kubesecret reads and writes one Secret of a Kubernetes cluster.
//
// It owns the requests, in plain JSON: client-go's types of the core group alone would
// cost an agent megabytes. It does not own what is in the Secret, nor what to do where
// there is none. It starts no goroutines; a Client may be used by several at once. It
// guarantees that what a Secret has beside its data stays, and that an answer of any
// size costs no more than what a Secret can be.
package kubesecret

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// maxAnswer bounds an apiserver's answer, in bytes; a Secret holds at most 1 MiB, and is
// a third longer in JSON.
const maxAnswer = 2 << 20

// The keys of the data of a Secret of the type TLS.
const (
	TLSCert = "tls.crt"
	TLSKey  = "tls.key"
)

// TLS is the type of a Secret with a certificate and its key.
const TLS = "kubernetes.io/tls"

// Secret is one as the API has it. Of its metadata nothing is looked at here.
type Secret struct {
	Metadata  map[string]any    `json:"metadata"`
	Type      string            `json:"type,omitempty"`
	Immutable bool              `json:"immutable,omitempty"`
	Data      map[string][]byte `json:"data,omitempty"`
}

// Client reaches one Secret.
type Client struct {
	namespace, name string
	all             *url.URL // the Secrets of the namespace
	http            *http.Client
}

// New reaches the Secret by cfg. It makes no connection.
func New(cfg *rest.Config, namespace, name string) (*Client, error) {
	core := rest.CopyConfig(cfg)
	core.APIPath, core.GroupVersion = "/api", &schema.GroupVersion{Version: "v1"}
	host, path, err := rest.DefaultServerUrlFor(core)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(core)
	if err != nil {
		return nil, err
	}
	return &Client{namespace: namespace, name: name, all: host.JoinPath(path, "namespaces", namespace, "secrets"), http: client}, nil
}

func (c *Client) String() string { return fmt.Sprintf("the Secret %s/%s", c.namespace, c.name) }

// Get needs the verb get on the Secret. What the apiserver refuses, here and below, is
// an *errors.StatusError of apimachinery.
func (c *Client) Get(ctx context.Context) (s Secret, err error) {
	return s, c.do(ctx, http.MethodGet, c.all.JoinPath(c.name), nil, &s)
}

// Create needs the verb create on the namespace's Secrets. It takes labels beside what s
// has; its metadata is made here.
func (c *Client) Create(ctx context.Context, s Secret, labels map[string]string) error {
	s.Metadata = map[string]any{"namespace": c.namespace, "name": c.name, "labels": labels}
	return c.do(ctx, http.MethodPost, c.all, &s, nil)
}

// Replace needs the verb update on the Secret, which s is as Get gave it. The last of
// two writers wins.
func (c *Client) Replace(ctx context.Context, s Secret) error {
	delete(s.Metadata, "resourceVersion")
	return c.do(ctx, http.MethodPut, c.all.JoinPath(c.name), &s, nil)
}

func (c *Client) do(ctx context.Context, method string, to *url.URL, body, into *Secret) error {
	text, err := written(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return c.refused(method, resp.StatusCode, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// written is nothing where there is no Secret to send.
func written(s *Secret) ([]byte, error) {
	if s == nil {
		return nil, nil
	}
	return json.Marshal(struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		*Secret
	}{"v1", "Secret", s})
}

// refused takes the apiserver's own words, where these are some.
func (c *Client) refused(method string, code int, answer []byte) error {
	var status metav1.Status
	if json.Unmarshal(answer, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return apierrors.NewGenericServerResponse(code, method, schema.GroupResource{Resource: "secrets"}, c.name, fmt.Sprintf("%.200q", answer), 0, true)
}
