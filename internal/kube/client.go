package kube

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	authorizationapi "k8s.io/api/authorization/v1"
	coreapi "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
)

// Base is one cluster as the server itself reaches it: credentials and one
// transport with its connections, shared by the clients of everybody.
// client-go's own cache cannot be relied on for that: a config with a proxy or
// a dial function gets a new transport for every client.
type Base struct {
	cluster string
	cfg     *rest.Config
	host    string
	shared  http.RoundTripper
}

// NewBase readies the transport for cfg, which must not change afterwards. It
// makes no connection. The cluster's name is for sentences.
func NewBase(cluster string, cfg *rest.Config) (*Base, error) {
	plain := rest.CopyConfig(cfg)
	plain.Impersonate = rest.ImpersonationConfig{}
	shared, err := rest.TransportFor(plain)
	if err != nil {
		return nil, badConfig(cluster, err)
	}
	host, _, err := rest.DefaultServerUrlFor(plain)
	if err != nil {
		return nil, badConfig(cluster, err)
	}
	return &Base{cluster: cluster, cfg: cfg, host: host.String(), shared: bounded{cluster, shared}}, nil
}

func badConfig(cluster string, err error) error {
	return fault.Wrap(err, fault.ClusterUnreachable, "kube.NewBase", "The connection settings of cluster %s cannot be used. Whoever runs this server finds the cause in its log.", cluster)
}

// Config is As for this cluster.
func (b *Base) Config(imp identity.Impersonation, auditID string) (*rest.Config, error) {
	return As(b.cfg, imp, auditID)
}

// Close drops the connections that nobody uses. Requests under way go on.
func (b *Base) Close() { utilnet.CloseIdleConnectionsFor(b.shared) }

// Client is one person's way into one cluster, for one request or a few. It is
// cheap to make and holds nothing that must be closed.
type Client struct {
	Core          corev1.CoreV1Interface
	Authorization authorizationv1.AuthorizationV1Interface
	cluster       string
	as            identity.Impersonation
}

// Client acts as imp over the shared connections. Its calls are bounded by
// their contexts alone, and by no rate: it lives as long as a request.
func (b *Base) Client(imp identity.Impersonation, auditID string) (*Client, error) {
	cfg := b.clientConfig()
	if err := identify(cfg, imp, auditID); err != nil {
		return nil, err
	}
	rt, err := rest.HTTPWrappersForConfig(cfg, b.shared)
	if err != nil {
		return nil, badConfig(b.cluster, err)
	}
	c, err := b.newClient(cfg, &http.Client{Transport: rt, CheckRedirect: noRedirect})
	if err != nil {
		return nil, err
	}
	c.as = imp
	c.as.Groups = slices.Clone(imp.Groups)
	return c, nil
}

// clientConfig leaves out credentials and TLS: the shared transport has them.
// It keeps the base's own impersonation, for identify to judge.
func (b *Base) clientConfig() *rest.Config {
	return &rest.Config{
		Host: b.host,
		ContentConfig: rest.ContentConfig{
			AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json",
			ContentType:        "application/vnd.kubernetes.protobuf",
		},
		Impersonate:    b.cfg.Impersonate,
		UserAgent:      "periscope",
		QPS:            -1,
		WarningHandler: rest.NoWarnings{},
	}
}

func (b *Base) newClient(cfg *rest.Config, hc *http.Client) (*Client, error) {
	core, err := b.group(cfg, hc, "/api", coreapi.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	authz, err := b.group(cfg, hc, "/apis", authorizationapi.SchemeGroupVersion)
	if err != nil {
		return nil, err
	}
	return &Client{Core: corev1.New(core), Authorization: authorizationv1.New(authz), cluster: b.cluster}, nil
}

// group is what a typed client's NewForConfigAndClient makes, with our answers.
func (b *Base) group(cfg *rest.Config, hc *http.Client, path string, version schema.GroupVersion) (rest.Interface, error) {
	of := *cfg
	of.APIPath, of.GroupVersion, of.NegotiatedSerializer = path, &version, answers
	c, err := rest.RESTClientForConfigAndClient(&of, hc)
	if err != nil {
		return nil, badConfig(b.cluster, err)
	}
	return c, nil
}

// noRedirect keeps identity headers and credentials with the host they are
// for; an apiserver does not redirect.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Cluster is the name of the cluster this client reaches.
func (c *Client) Cluster() string { return c.cluster }

// Fault is the package's Fault with the cluster's name in its sentences.
func (c *Client) Fault(err error, op, what string) error { return toFault(c.cluster, err, op, what) }

// Version is the cluster's version, such as "v1.36.3". It is the cheapest call
// that proves an apiserver to be there and to take our credentials.
func (c *Client) Version(ctx context.Context) (string, error) {
	const what = "read the cluster's version"
	body, err := c.Core.RESTClient().Get().AbsPath("/version").SetHeader("Accept", "application/json").Stream(ctx)
	if err != nil {
		return "", c.Fault(err, "kube.Version", what)
	}
	defer func() { _ = body.Close() }()
	var v struct{ GitVersion string }
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		return "", c.Fault(err, "kube.Version", what)
	}
	if v.GitVersion == "" {
		return "", c.Fault(errNoVersion, "kube.Version", what)
	}
	return v.GitVersion, nil
}
