package transport

import (
	"bufio"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/wsframe"
)

// peer is the server's end of an upgraded connection, for a test to play.
type peer struct {
	net.Conn
	in  *bufio.Reader
	req *http.Request
}

// scripted starts a server that accepts the upgrade and lets play have the rest.
func scripted(t *testing.T, play func(p *peer)) *rest.Config {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		p := hijack(t, w, r)
		defer p.Close()
		p.accept("v5.channel.k8s.io")
		play(p)
	})
}

// serve starts a TLS server and waits for its handlers at the end, hijacked or
// not.
func serve(t *testing.T, h http.HandlerFunc) *rest.Config {
	t.Helper()
	var playing sync.WaitGroup
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		playing.Add(1)
		defer playing.Done()
		h(w, r)
	}))
	t.Cleanup(func() {
		srv.Close()
		playing.Wait()
	})
	ca := srv.Certificate()
	return &rest.Config{Host: srv.URL, TLSClientConfig: rest.TLSClientConfig{CAData: pemOf(ca.Raw)}}
}

func hijack(t *testing.T, w http.ResponseWriter, r *http.Request) *peer {
	c, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		panic(http.ErrAbortHandler)
	}
	return &peer{Conn: c, in: rw.Reader, req: r}
}

// tcp is what lies below TLS.
func (p *peer) tcp() *net.TCPConn { return p.Conn.(*tls.Conn).NetConn().(*net.TCPConn) }

func (p *peer) accept(subprotocol string) {
	p.raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: " + acceptKey(p.req.Header.Get("Sec-Websocket-Key")) + "\r\n" +
		"Sec-WebSocket-Protocol: " + subprotocol + "\r\n\r\n")
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// raw writes bytes as they are. A client that has gone is the test's to notice.
func (p *peer) raw(s string) { _, _ = io.WriteString(p.Conn, s) }

// say sends one message on a channel.
func (p *peer) say(channel byte, payload string) {
	p.raw(frame(0x80|byte(wsframe.Binary), string(channel)+payload))
}

func (p *peer) status(json string) { p.say(3, json) }

// bye is how a server ends a stream.
func (p *peer) bye(code uint16) {
	p.raw(frame(0x80|byte(wsframe.Close), string(binary.BigEndian.AppendUint16(nil, code))))
}

// frame is a server's frame: never masked.
func frame(b0 byte, payload string) string {
	head := []byte{b0}
	switch n := len(payload); {
	case n < 126:
		head = append(head, byte(n))
	case n < 1<<16:
		head = append(head, 126)
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head = append(head, 127)
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	return string(head) + payload
}

// hear reads one client frame and takes its mask off; op is 0 when the client
// has gone.
func (p *peer) hear() (op wsframe.Opcode, payload []byte) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, nil
	}
	size := uint64(head[1] & 0x7f)
	ext := make([]byte, map[uint64]int{126: 2, 127: 8}[size])
	_, _ = io.ReadFull(p.in, ext)
	switch len(ext) {
	case 2:
		size = uint64(binary.BigEndian.Uint16(ext))
	case 8:
		size = binary.BigEndian.Uint64(ext)
	}
	var mask [4]byte
	_, _ = io.ReadFull(p.in, mask[:])
	payload = make([]byte, size)
	if _, err := io.ReadFull(p.in, payload); err != nil {
		return 0, nil
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return wsframe.Opcode(head[0] & 0x0f), payload
}
