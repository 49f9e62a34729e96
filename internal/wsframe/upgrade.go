package wsframe

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"time"
)

// RequestError says, in a sentence for whoever sent it, why a request opens no
// WebSocket.
type RequestError string

func (e RequestError) Error() string { return string(e) }

// Upgrade answers the opening handshake (RFC 6455, section 4.2) and takes the
// connection over, without deadlines; headers set on w go out with the answer.
// subprotocol is the one to agree on, empty for none. early is what came with the
// request and has to be read first. After a RequestError nothing has been
// answered; any other error says that the connection is gone.
func Upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) (nc net.Conn, early []byte, err error) {
	h := w.Header()
	if err := checkRequest(r); err != nil {
		h.Set("Sec-WebSocket-Version", "13")
		return nil, nil, err
	}
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Accept", AcceptKey(r.Header.Get("Sec-WebSocket-Key")))
	if subprotocol != "" {
		h.Set("Sec-WebSocket-Protocol", subprotocol)
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("wsframe: the connection could not be taken over: %w", err)
	}
	_ = nc.SetDeadline(time.Time{}) // the request's were the server's
	early, _ = buffered.Peek(buffered.Reader.Buffered())
	return nc, bytes.Clone(early), nil
}

func checkRequest(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return RequestError("A WebSocket is opened by GET over HTTP/1.1. Use a WebSocket client.")
	case !HasToken(r.Header["Upgrade"], "websocket") || !HasToken(r.Header["Connection"], "upgrade"):
		return RequestError("The request does not ask for a WebSocket. Use a WebSocket client, and check that your proxy passes upgrades on.")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return RequestError("Only version 13 of the WebSocket protocol is spoken here. Use a client that offers it.")
	case err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1:
		return RequestError("The header Sec-WebSocket-Key must be 16 bytes in base64, once. Use a WebSocket client.")
	}
	return nil
}
