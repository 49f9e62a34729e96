package transport

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"

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
	key := newKey()
	l, answer, err := d.upgrade(ctx, cfg, http.MethodGet, req, http.Header{
		"Upgrade":                {"websocket"},
		"Sec-Websocket-Version":  {"13"},
		"Sec-Websocket-Key":      {key},
		"Sec-Websocket-Protocol": {remotecommand.StreamProtocolV5Name},
	})
	if err != nil {
		return nil, err
	}
	if err := checkHandshake(answer, key); err != nil {
		_ = l.abort()
		return nil, notSpoken("%w", err)
	}
	return newWSStream(l, req), nil
}

func newKey() string {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	return base64.StdEncoding.EncodeToString(nonce)
}

// checkHandshake is RFC 6455, section 4.1, on the answer.
func checkHandshake(h http.Header, key string) error {
	switch {
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return fmt.Errorf("switched to %q, not to websocket", h.Get("Upgrade"))
	case !wsframe.HasToken(h.Values("Connection"), "upgrade"):
		return fmt.Errorf("header Connection %q does not say upgrade", h.Values("Connection"))
	case h.Get("Sec-Websocket-Accept") != wsframe.AcceptKey(key):
		return fmt.Errorf("wrong Sec-WebSocket-Accept %q", h.Get("Sec-Websocket-Accept"))
	case h.Get("Sec-Websocket-Extensions") != "":
		return fmt.Errorf("extensions %q that were not offered", h.Get("Sec-Websocket-Extensions"))
	case h.Get("Sec-Websocket-Protocol") != remotecommand.StreamProtocolV5Name:
		return fmt.Errorf("subprotocol %q, not v5", h.Get("Sec-Websocket-Protocol"))
	}
	return nil
}
