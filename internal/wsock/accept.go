package wsock

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/wsframe"
)

// Accept answers the opening handshake (RFC 6455, section 4.2) and takes the
// connection over; headers set on w go out with the answer. protocol is the
// subprotocol to agree on, empty for none; limit bounds a message, in bytes.
// After an Invalid fault nothing has been answered; any other error says that
// the connection is gone.
func Accept(w http.ResponseWriter, r *http.Request, protocol string, limit int) (*Conn, error) {
	if err := check(r); err != nil {
		w.Header().Set("Sec-WebSocket-Version", "13")
		return nil, err
	}
	h := w.Header()
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Accept", wsframe.AcceptKey(r.Header.Get("Sec-WebSocket-Key")))
	if protocol != "" {
		h.Set("Sec-WebSocket-Protocol", protocol)
	}
	w.WriteHeader(http.StatusSwitchingProtocols)
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "wsock.Accept", "")
	}
	_ = nc.SetDeadline(time.Time{}) // the request's were the server's
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	return newConn(nc, bytes.Clone(early), limit), nil
}

func check(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	switch {
	case r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refuse("A WebSocket is opened by GET over HTTP/1.1. Use a WebSocket client.")
	case !wsframe.HasToken(r.Header["Upgrade"], "websocket") || !wsframe.HasToken(r.Header["Connection"], "upgrade"):
		return refuse("The request does not ask for a WebSocket. Use a WebSocket client, and check that your proxy passes upgrades on.")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse("Only version 13 of the WebSocket protocol is spoken here. Use a client that offers it.")
	case err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1:
		return refuse("The header Sec-WebSocket-Key must be 16 bytes in base64, once. Use a WebSocket client.")
	}
	return nil
}

func refuse(sentence string) error { return fault.New(fault.Invalid, "wsock.Accept", "%s", sentence) }
