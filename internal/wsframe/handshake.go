package wsframe

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// NewKey is a Sec-WebSocket-Key.
func NewKey() string {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	return base64.StdEncoding.EncodeToString(nonce)
}

// CheckAnswer is RFC 6455, section 4.1, on the headers of a 101: key and
// subprotocol are what was asked with, the latter empty for none.
func CheckAnswer(h http.Header, key, subprotocol string) error {
	switch {
	case !strings.EqualFold(h.Get("Upgrade"), "websocket"):
		return fmt.Errorf("switched to %q, not to websocket", h.Get("Upgrade"))
	case !HasToken(h.Values("Connection"), "upgrade"):
		return fmt.Errorf("header Connection %q does not say upgrade", h.Values("Connection"))
	case h.Get("Sec-Websocket-Accept") != AcceptKey(key):
		return fmt.Errorf("wrong Sec-WebSocket-Accept %q", h.Get("Sec-Websocket-Accept"))
	case h.Get("Sec-Websocket-Extensions") != "":
		return fmt.Errorf("extensions %q that were not offered", h.Get("Sec-Websocket-Extensions"))
	case h.Get("Sec-Websocket-Protocol") != subprotocol:
		return fmt.Errorf("subprotocol %q, not %q", h.Get("Sec-Websocket-Protocol"), subprotocol)
	}
	return nil
}

// AcceptKey is the answer to a Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func AcceptKey(key string) string {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	sum := sha1.Sum([]byte(key + guid))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// HasToken says whether one of a header's lines has token in its list.
func HasToken(lines []string, token string) bool {
	for _, v := range lines {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
