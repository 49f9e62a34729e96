package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	streamIdle     = 4 * time.Hour // the kubelet's
	headerPatience = 30 * time.Second
)

// server is what the apiserver talks to.
type server struct {
	n        *Node
	listener net.Listener
	http     *http.Server
	inner    *innerServer
	done     chan struct{}
}

func (n *Node) newServer() (*server, error) {
	pair, err := tls.X509KeyPair(n.o.Serving.Cert, n.o.Serving.Key)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(hostIP, "0"))
	if err != nil {
		return nil, err
	}
	s := &server{n: n, listener: listener, done: make(chan struct{})}
	s.inner = newInnerServer(s.streamRoutes(), n.o.Log)
	s.http = &http.Server{
		Handler: onlyAPIServer(s.routes()),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientCAs: n.o.ClientCA,
			ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"}, // streams need the connection itself
		},
		ReadHeaderTimeout: headerPatience,
		ErrorLog:          slog.NewLogLogger(n.o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.done)
		if err := s.http.ServeTLS(lingerer{listener}, "", ""); !errors.Is(err, http.ErrServerClosed) {
			n.o.Log.Error("the node serves no streams and logs any more", "error", err)
		}
	}()
	return s, nil
}

func (s *server) port() int32 { return int32(s.listener.Addr().(*net.TCPAddr).Port) }

// stop cuts all connections; the pods, and with them all streams, end by
// themselves.
func (s *server) stop() {
	s.http.Close()
	<-s.done
	s.inner.stop()
}

// onlyAPIServer turns away other holders of a certificate of this cluster.
func onlyAPIServer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.TLS.PeerCertificates[0].Subject.CommonName; name != KubeletClient.Name {
			http.Error(w, fmt.Sprintf("Forbidden (user=%s)", name), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	streams := s.streamRoutes()
	mux.Handle("/exec/{namespace}/{pod}/{container}", s.translated(streams))
	mux.Handle("/attach/{namespace}/{pod}/{container}", s.translated(streams))
	mux.Handle("/portForward/{namespace}/{pod}", s.tunnelled(streams))
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return mux
}

// streamRoutes speak SPDY.
func (s *server) streamRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	mux.HandleFunc("/attach/{namespace}/{pod}/{container}", s.attach)
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	return mux
}

// target finds the container that a request is about; the errors are the
// kubelet's and containerd's.
func (s *server) target(r *http.Request) (*instance, int, error) {
	p := s.n.find(r.PathValue("namespace") + "/" + r.PathValue("pod"))
	if p == nil {
		return nil, http.StatusNotFound, errors.New("pod does not exist")
	}
	name := r.PathValue("container")
	v, ok := p.view(name)
	if !ok {
		return nil, http.StatusInternalServerError, fmt.Errorf("container not found (%q)", name)
	}
	if v.current == nil || !v.current.running() {
		return nil, http.StatusInternalServerError, errors.New("container is in CONTAINER_EXITED state")
	}
	return v.current, 0, nil
}

func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, code, err := s.target(r)
	if err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	command := r.URL.Query()["command"]
	remotecommand.ServeExec(w, r, executor{in}, "", "", "", command, options, streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *server) attach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in, code, err := s.target(r)
	if err != nil {
		http.Error(w, err.Error(), code)
		return
	}
	remotecommand.ServeAttach(w, r, executor{in}, "", "", "", options, streamIdle, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *server) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := s.n.find(r.PathValue("namespace") + "/" + r.PathValue("pod"))
	if p == nil {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	portforward.ServePortForward(w, r, forwarder{p}, p.key, string(p.uid), options, streamIdle, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// logs serves what a container has printed.
func (s *server) logs(w http.ResponseWriter, r *http.Request) {
	p := s.n.find(r.PathValue("namespace") + "/" + r.PathValue("pod"))
	if p == nil {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	o, err := parseLogOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	log, err := p.logOf(r.PathValue("container"), r.FormValue("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	flush := func() { http.NewResponseController(w).Flush() }
	if o.follow {
		w.WriteHeader(http.StatusOK)
		flush()
	}
	if err := log.copyTo(r.Context(), w, flush, o); err != nil {
		s.n.o.Log.Debug("log ends early", "pod", p.key, "error", err)
	}
}

func (p *pod) logOf(container string, previous bool) (*containerLog, error) {
	spec, _ := p.seen()
	v, ok := p.view(container)
	switch {
	case previous && (!ok || v.previous == nil):
		return nil, fmt.Errorf("previous terminated container %q in pod %q not found", container, spec.Name)
	case previous:
		return v.previous, nil
	case !ok:
		return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", container, spec.Name, waitingFor(spec.Status, container))
	}
	return v.log, nil
}

func waitingFor(s corev1.PodStatus, container string) string {
	for _, c := range slices.Concat(s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses) {
		if c.Name == container && c.State.Waiting != nil {
			return c.State.Waiting.Reason
		}
	}
	return "ContainerCreating"
}

func parseLogOptions(r *http.Request) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1, follow: r.FormValue("follow") == "true", timestamps: r.FormValue("timestamps") == "true"}
	number := func(name string, least int64, set func(int64)) error {
		text := r.FormValue(name)
		if text == "" {
			return nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < least {
			return fmt.Errorf("%s must be a number of at least %d", name, least)
		}
		set(n)
		return nil
	}
	err := errors.Join(
		number("tailLines", 0, func(n int64) { o.tail = n }),
		number("limitBytes", 1, func(n int64) { o.limit = n }),
		number("sinceSeconds", 1, func(n int64) { o.since = time.Now().Add(-time.Duration(n) * time.Second) }),
	)
	if err != nil {
		return o, err
	}
	if text := r.FormValue("sinceTime"); text != "" {
		if o.since, err = time.Parse(time.RFC3339, text); err != nil {
			return o, fmt.Errorf("sinceTime must be a time of RFC 3339")
		}
	}
	switch stream := r.FormValue("stream"); stream {
	case "Stdout":
		o.stream = "stdout"
	case "Stderr":
		o.stream = "stderr"
	}
	return o, nil
}

// forwardTimeout bounds the dialling of a port in a pod.
const forwardTimeout = 5 * time.Second

// dialPod connects to a port of a pod: a program listens on all addresses, on
// its pod's, or on the common loopback address.
func dialPod(ctx context.Context, ip string, port int32) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(int(port))))
	if err == nil {
		return conn, nil
	}
	conn, second := d.DialContext(ctx, "tcp", net.JoinHostPort(hostIP, strconv.Itoa(int(port))))
	if second == nil {
		return conn, nil
	}
	return nil, second
}
