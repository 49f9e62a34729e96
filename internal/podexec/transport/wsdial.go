package transport

import (
	"context"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// New makes the dialer of one wire protocol. It may be shared by everything and
// should be: it remembers TLS sessions. A kind that is no wire protocol is a
// programmer's mistake, and panics.
func New(kind Kind) Dialer {
	u := newUpgrader()
	switch kind {
	case WebSocket:
		return &wsDialer{u}
	case SPDY:
		return &spdyDialer{u}
	}
	panic("transport: no wire protocol is called " + string(kind))
}

type wsDialer struct{ *upgrader }

// Dial opens a v5 stream. Version 5 alone is offered: before it there was no
// half-close, and servers that old speak SPDY.
func (d *wsDialer) Dial(ctx context.Context, cfg *rest.Config, req Request) (Stream, error) {
	u, err := execURL(cfg, req)
	if err != nil {
		return nil, err
	}
	l, err := d.handshake(inLane(ctx, req), cfg, u, remotecommand.StreamProtocolV5Name, http.Header{})
	if err != nil {
		return nil, err
	}
	return newWSStream(l, req), nil
}

// prove opens a watch of one namespace over a WebSocket, and hangs up. It is the
// one upgrade that needs no pod: an exec into a pod that does not exist is
// answered before anybody looks at its headers. So it tells whether WebSockets
// reach the apiserver, and nothing about version 5.
func (d *wsDialer) prove(ctx context.Context, cfg *rest.Config) error {
	u, err := watchURL(cfg)
	if err != nil {
		return err
	}
	// The apiserver's watch takes nobody without an Origin for a WebSocket.
	l, err := d.handshake(ctx, cfg, u, "", http.Header{"Origin": {"https://" + u.Host}})
	if err != nil {
		return err
	}
	_ = l.abort()
	return nil
}

// handshake asks for one subprotocol, or for none where it is empty.
func (d *wsDialer) handshake(ctx context.Context, cfg *rest.Config, u *url.URL, subprotocol string, h http.Header) (*link, error) {
	key := wsframe.NewKey()
	h.Set("Upgrade", "websocket")
	h.Set("Sec-Websocket-Version", "13")
	h.Set("Sec-Websocket-Key", key)
	if subprotocol != "" {
		h.Set("Sec-Websocket-Protocol", subprotocol)
	}
	l, answer, err := d.upgrade(ctx, cfg, http.MethodGet, u, h)
	if err != nil {
		return nil, err
	}
	if err := wsframe.CheckAnswer(answer, key, subprotocol); err != nil {
		_ = l.abort()
		return nil, notSpoken("%w", err)
	}
	return l, nil
}
