package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/periscope-console/periscope/internal/fault"
)

// Bounds of one answer of a cluster by what was asked, after decompression, in bytes;
// client-go reads whatever comes into memory.
const (
	// maxReview is for a decision and for the version: a few sentences.
	maxReview = 64 << 10
	// maxObject is for one object, of which etcd takes at most 1.5 MiB; JSON is longer.
	maxObject = 4 << 20
	// maxList is for a page: a thousand pods have a few MiB.
	maxList = 64 << 20
)

// boundOf is how large an answer to r with that status may be. Lists are asked for by
// the page, and so have a limit; a refusal is one object. A pod may be called version.
func boundOf(r *http.Request, status int) int64 {
	path := r.URL.Path
	switch {
	case strings.HasSuffix(path, "/version") && !strings.Contains(path, "/namespaces/"),
		r.Method == http.MethodPost && strings.HasSuffix(path, "accessreviews"):
		return maxReview
	case r.URL.Query().Has("limit") && status < http.StatusMultipleChoices:
		return maxList
	}
	return maxObject
}

type turnKey struct{}

// WithTurn makes typed calls wait for turn when a list begins to come, before it is
// read. A refusal is none, and client-go may wait long before it asks again. An error of
// turn is that of the call.
func WithTurn(ctx context.Context, turn func(context.Context) error) context.Context {
	return context.WithValue(ctx, turnKey{}, turn)
}

// bounded fails the reading of answers that are larger than what was asked for can be:
// one cluster must not use up the memory of a server that serves them all.
type bounded struct {
	cluster string
	next    http.RoundTripper
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	bound := boundOf(r, resp.StatusCode)
	if turn, ok := r.Context().Value(turnKey{}).(func(context.Context) error); ok && bound == maxList {
		if err := turn(r.Context()); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, cluster: b.cluster, bound: bound, left: bound}
	return resp, nil
}

// WrappedRoundTripper is for whoever closes the connections beneath.
func (b bounded) WrappedRoundTripper() http.RoundTripper { return b.next }

type boundedBody struct {
	io.ReadCloser
	cluster     string
	bound, left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.ClusterUnreachable, "kube.Read",
			"The answer of cluster %s is larger than %s, so it was not read. Ask for less, or check what answers at its address.", b.cluster, size(b.bound))
	}
	return n, err
}

func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
