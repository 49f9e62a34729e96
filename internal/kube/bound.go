package kube

import (
	"io"
	"net/http"

	"github.com/periscope-console/periscope/internal/fault"
)

// maxAnswer bounds one answer of a cluster, after decompression, in bytes. A page
// of a thousand pods has a few MiB; client-go reads whatever comes into memory.
const maxAnswer = 64 << 20

// bounded fails the reading of answers that are larger than maxAnswer: one cluster
// must not use up the memory of a server that serves them all.
type bounded struct {
	cluster string
	next    http.RoundTripper
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, cluster: b.cluster, left: maxAnswer}
	}
	return resp, err
}

// WrappedRoundTripper is for whoever closes the connections beneath.
func (b bounded) WrappedRoundTripper() http.RoundTripper { return b.next }

type boundedBody struct {
	io.ReadCloser
	cluster string
	left    int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.ClusterUnreachable, "kube.Read",
			"The answer of cluster %s is larger than %d MiB, so it was not read. Ask for less, or check what answers at its address.", b.cluster, maxAnswer>>20)
	}
	return n, err
}
