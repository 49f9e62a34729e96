package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/kube"
	"github.com/periscope-console/periscope/internal/objects"
)

// routes is the whole API but the login, area by area.
func (s *server) routes() []route {
	all := []route{
		get("/api/whoami", "whoami", "Who is logged in", s.whoami).polled(),
		get("/api/auth/whoami", "authWhoami", "Who is logged in", s.whoami).polled(),
		get("/api/features", "features", "What this server offers", s.features).polled(),
		get("/api/clusters", "listClusters", "The clusters of this server", s.listClusters).polled(),
		plain("/healthz", "healthz", "Whether the process runs", func(context.Context) error { return nil }),
		plain("/readyz", "readyz", "Whether requests can be served", s.Ready),
	}
	all = append(all, s.clusterRoutes()...)
	all = append(all, s.sessionRoutes()...)
	all = append(all, s.loginRoutes()...)
	all = append(all, s.tokenRoutes()...)
	all = append(all, s.cliRoutes()...)
	all = append(all, s.agentRoutes()...)
	return append(all, s.execRoute(), s.debugRoute())
}

// clusterRoutes are what the way to a shell needs of a cluster.
func (s *server) clusterRoutes() []route {
	limit := param{"limit", "At most so many items in one answer, 1 to 1000", "integer"}
	next := param{"continue", "Where the answer before left off", "string"}
	return []route{
		post("/api/clusters/{cluster}/can-i", "canI", "What the caller may do in a cluster", s.canI).polled().by(token.Read),
		get("/api/clusters/{cluster}/namespaces", "listNamespaces", "The namespaces of a cluster", s.listNamespaces).polled().listing(),
		get("/api/clusters/{cluster}/pods", "listPods", "The pods of a cluster or a namespace", s.listPods).polled().listing().with(
			param{"namespace", "One namespace; all when empty", "string"},
			param{"labelSelector", "A Kubernetes label selector", "string"}, limit, next),
		get("/api/clusters/{cluster}/pods/{namespace}/{pod}", "getPod", "One pod", s.getPod).polled(),
		get("/api/clusters/{cluster}/pods/{namespace}/{pod}/events", "listPodEvents", "What happened to a pod", s.listPodEvents).polled().listing(),
	}
}

// plain is a row that answers ok as text, for probes.
func plain(path, id, summary string, check func(context.Context) error) route {
	return route{
		method: http.MethodGet, path: path, id: id, summary: summary, public: true,
		serve: func(c *call) error {
			if err := check(c.ctx()); err != nil {
				return err
			}
			c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = c.w.Write([]byte("ok"))
			return nil
		},
	}
}

// Whoami is who is logged in, and how.
type Whoami struct {
	Subject      string     `json:"subject" doc:"The login's subject"`
	Email        string     `json:"email" doc:"The login's e-mail address; may be empty"`
	Groups       []string   `json:"groups" doc:"The login's groups"`
	Mode         string     `json:"mode" enum:"dev,oidc" doc:"How people log in"`
	AuthzMode    string     `json:"authzMode" enum:"shared,tier,raw" doc:"How rights are found in a cluster"`
	Tier         string     `json:"tier" doc:"The caller's tier, in mode tier"`
	Admin        bool       `json:"admin" doc:"Whether the caller administers Periscope: everybody's shells and tokens, and the agents"`
	AuditEnabled bool       `json:"auditEnabled" doc:"Whether audit can be queried"`
	AuditScope   string     `json:"auditScope" enum:"self,all" doc:"Whose audit events the caller sees"`
	ExpiresAt    *time.Time `json:"expiresAt" doc:"When the login or token ends; null when it lasts as long as the server, or for ever"`
	Token        *UsedToken `json:"token" doc:"The token by which the caller acts; null for a browser"`
}

// WhoamiOf tells an actor about itself.
func (w Who) WhoamiOf(a identity.Actor) Whoami {
	who := Whoami{
		Subject: a.Subject, Email: a.Email, Groups: a.Groups, Tier: a.Tier,
		Mode: w.Mode, AuthzMode: w.AuthzMode, AuditScope: "self", Admin: a.Admin,
	}
	if who.Groups == nil {
		who.Groups = []string{}
	}
	if a.Admin || a.AuditAll {
		who.AuditScope = "all"
	}
	if !a.Expires.IsZero() {
		at := a.Expires.UTC()
		who.ExpiresAt = &at
	}
	return who
}

func (s *server) whoami(c *call) (Whoami, error) {
	who := s.Who.WhoamiOf(c.actor)
	who.Token = usedToken(c.token)
	return who, nil
}

// Features is what the UI may offer.
type Features struct {
	Version string       `json:"version" doc:"Version of the server"`
	Tokens  bool         `json:"tokens" doc:"Whether people may make access tokens"`
	Exec    ExecFeatures `json:"exec"`
}

// ExecFeatures are those of shells.
type ExecFeatures struct {
	Resume              bool `json:"resume" doc:"Whether a shell survives a lost connection"`
	ClientHiddenSeconds int  `json:"clientHiddenSeconds" doc:"After how long a hidden, silent tab lets go of its shell"`
	// DebugImages is what a page may offer where an image has no shell.
	DebugImages []string `json:"debugImages" doc:"Images for debug containers, the default first; none where there are no debug containers"`
	// MaxFileBytes is told so that nothing too large is begun.
	MaxFileBytes int64 `json:"maxFileBytes" doc:"Size of the largest file, or archive of a folder, that is copied to or from a container; 0: none is"`
}

// clientHidden is the default of the UI's own timer, in seconds.
const clientHidden = 300

func (s *server) features(*call) (Features, error) {
	return Features{Version: s.Version, Tokens: s.Tokens.Limits().Enabled, Exec: ExecFeatures{
		Resume: s.Resume, ClientHiddenSeconds: clientHidden, DebugImages: append([]string{}, s.Debug.Images...), MaxFileBytes: s.MaxFile,
	}}, nil
}

// ClusterList is the answer of listClusters.
type ClusterList struct {
	Clusters []clusters.Summary `json:"clusters"`
}

func (s *server) listClusters(c *call) (ClusterList, error) {
	return ClusterList{slices.DeleteFunc(s.Clusters.List(), func(sum clusters.Summary) bool { return !c.token.Reaches(sum.Name) })}, nil
}

// client acts in the cluster that the path names, as the caller.
func (s *server) client(c *call) (*kube.Client, error) {
	cluster, err := s.Clusters.Get(c.r.PathValue("cluster"))
	if err != nil {
		return nil, err
	}
	auditID := newID() // never the request's id, which a client may choose
	s.Log.Debug("http.upstream", "requestId", c.requestID, "auditId", auditID, "cluster", cluster.Name())
	return cluster.Client(c.ctx(), c.actor.As, auditID)
}

// CanIRequest asks about up to 64 rights; or about one, written bare.
type CanIRequest struct {
	Checks      []kube.Check `json:"checks,omitempty" doc:"1 to 64 rights; or else one, by the other fields"`
	Verb        string       `json:"verb,omitempty" doc:"Verb, such as get or create"`
	Group       string       `json:"group,omitempty" doc:"API group; empty for the core group"`
	Resource    string       `json:"resource,omitempty" doc:"Resource in the plural; pods/exec also names the subresource"`
	Subresource string       `json:"subresource,omitempty" doc:"Subresource, such as exec"`
	Namespace   string       `json:"namespace,omitempty" doc:"Namespace; empty for all"`
	Name        string       `json:"name,omitempty" doc:"Object; empty for all"`
}

func (r CanIRequest) all() []kube.Check {
	if r.Checks != nil {
		return r.Checks
	}
	return []kube.Check{{
		Verb: r.Verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource,
		Namespace: r.Namespace, Name: r.Name,
	}}
}

// CanIAnswer holds one decision a check, in their order.
type CanIAnswer struct {
	Results []kube.Decision `json:"results"`
}

func (s *server) canI(c *call, in CanIRequest) (CanIAnswer, error) {
	client, err := s.client(c)
	if err != nil {
		return CanIAnswer{}, err
	}
	results, err := s.Rights.CanI(c.ctx(), client, c.actor, in.all())
	if err != nil {
		return CanIAnswer{}, err
	}
	return CanIAnswer{c.inToken(in.all(), results)}, nil
}

func (s *server) listNamespaces(c *call) (out objects.NamespaceList, err error) {
	client, err := s.client(c)
	if err != nil {
		return out, err
	}
	return objects.Namespaces(c.ctx(), client)
}

func (s *server) listPods(c *call) (out objects.PodList, err error) {
	q, err := podQuery(c)
	if err != nil {
		return out, err
	}
	client, err := s.client(c)
	if err != nil {
		return out, err
	}
	return objects.Pods(c.ctx(), client, q)
}

func podQuery(c *call) (q objects.PodQuery, err error) {
	if q.Namespace, err = c.text("namespace"); err != nil {
		return q, err
	}
	if q.LabelSelector, err = c.text("labelSelector"); err != nil {
		return q, err
	}
	q.Continue = c.r.URL.Query().Get("continue")
	q.Limit, err = c.number("limit", objects.DefaultLimit, 1, objects.MaxLimit)
	return q, err
}

func (s *server) getPod(c *call) (out objects.PodDetail, err error) {
	client, err := s.client(c)
	if err != nil {
		return out, err
	}
	return objects.PodByName(c.ctx(), client, c.r.PathValue("namespace"), c.r.PathValue("pod"))
}

func (s *server) listPodEvents(c *call) (out objects.EventList, err error) {
	client, err := s.client(c)
	if err != nil {
		return out, err
	}
	return objects.PodEvents(c.ctx(), client, c.r.PathValue("namespace"), c.r.PathValue("pod"))
}
