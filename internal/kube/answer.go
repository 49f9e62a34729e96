package kube

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// client-go takes an answer that does not say what it is for what was asked for, and
// one that is something else for an answer without content. So the {} of a gateway
// would be a list of nothing, a pod that has lost its name, or a no. An apiserver always
// says what it answers with.

// answers decodes what every typed client gets.
var answers = literal{rest.CodecFactoryForGeneratedClient(scheme.Scheme, scheme.Codecs).WithoutConversion()}

// literal takes an answer for what it says it is, and for nothing else.
type literal struct{ runtime.NegotiatedSerializer }

func (l literal) DecoderToVersion(d runtime.Decoder, v runtime.GroupVersioner) runtime.Decoder {
	return literalDecoder{l.NegotiatedSerializer.DecoderToVersion(d, v)}
}

type literalDecoder struct{ runtime.Decoder }

// unsaid stands in for what an answer leaves out: nothing is registered under it.
var unsaid = schema.GroupVersionKind{Group: "unsaid.invalid", Version: "v0", Kind: "Unsaid"}

var errUnasked = errors.New("the answer is of another kind than what was asked for")

// Decode has nothing to fill where the answer is a refusal.
func (d literalDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if into == nil {
		return d.Decoder.Decode(data, defaults, nil)
	}
	got, kind, err := d.Decoder.Decode(data, &unsaid, into)
	if err == nil && got != into && !failure(got) {
		err = errUnasked
	}
	return got, kind, err
}

// failure reports whether an answer is a Status that client-go makes an error of.
func failure(got runtime.Object) bool {
	st, ok := got.(*metav1.Status)
	return ok && st.Status == metav1.StatusFailure
}
