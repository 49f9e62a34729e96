package transport

import (
	"context"

	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/rest"
)

// SpeaksV5 says whether an apiserver of this version, such as "v1.36.3-eks-1",
// takes v5.channel.k8s.io as a rule: from Kubernetes 1.30 on. One whose version
// cannot be read is given the benefit of the doubt.
func SpeaksV5(gitVersion string) bool {
	v, err := version.ParseGeneric(gitVersion)
	return err != nil || v.AtLeast(version.MajorMinor(1, 30))
}

// Look is what a dial would choose now.
func (s *Switch) Look(cluster string) Choice {
	r := s.route(cluster)
	kind := s.kind
	if kind == Auto {
		kind = WebSocket
		if state, _ := r.breaker.look(); state == Open {
			kind = SPDY
		}
	}
	return r.choice(kind, nil)
}

// Pin keeps a cluster at SPDY for as long as failed upgrades would: it is known
// to speak no WebSocket. Without Auto it does nothing.
func (s *Switch) Pin(cluster string) {
	if s.kind == Auto {
		s.route(cluster).breaker.pinNow()
	}
}

// Probe finds out, without a pod, whether WebSockets reach a cluster that is
// known to speak version 5. It tries as often as it takes to pin the cluster,
// and counts as shells do; the error is that of the last try. The identity of cfg
// needs the right to watch namespaces, else the fault is Forbidden. Without Auto,
// and for a pinned cluster, there is nothing to find out.
func (s *Switch) Probe(ctx context.Context, cluster string, cfg *rest.Config) error {
	if s.kind != Auto {
		return nil
	}
	r := s.route(cluster)
	for {
		try, ok := r.breaker.begin()
		if !ok {
			return nil
		}
		err := s.ws.prove(ctx, cfg)
		switch {
		case err == nil:
			try.done(works)
			return nil
		case !IsUpgradeFailure(err):
			try.done(unclear)
			return err
		}
		r.refused(try)
		if s.Look(cluster).Breaker == Open {
			return err
		}
	}
}
