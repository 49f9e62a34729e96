package wsock

import (
	"errors"
	"net/http"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/wsframe"
)

// Accept answers the opening handshake (RFC 6455, section 4.2) and takes the
// connection over; headers set on w go out with the answer. protocol is the
// subprotocol to agree on, empty for none; limit bounds a message, in bytes.
// After an Invalid fault nothing has been answered; any other error says that
// the connection is gone.
func Accept(w http.ResponseWriter, r *http.Request, protocol string, limit int) (*Conn, error) {
	nc, early, err := wsframe.Upgrade(w, r, protocol)
	if bad := wsframe.RequestError(""); errors.As(err, &bad) {
		return nil, fault.New(fault.Invalid, "wsock.Accept", "%s", string(bad))
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "wsock.Accept", "")
	}
	return newConn(nc, early, limit), nil
}
