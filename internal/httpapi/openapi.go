package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/periscope-console/periscope/internal/clusters"
	"github.com/periscope-console/periscope/internal/identity/entry"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/poddebug"
	"github.com/periscope-console/periscope/internal/podexec"
)

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// loginCode is the body of devLogin.
type loginCode struct {
	Code string `json:"code" doc:"The one-time code; empty where none is needed"`
}

// entryRoutes describe the handlers of the ways to log in, which are mounted as
// they are.
func entryRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "/api/auth/config", id: "authConfig", summary: "How one logs in", public: true, out: reflect.TypeFor[entry.Config]()},
		{method: http.MethodPost, path: "/api/auth/dev", id: "devLogin", summary: "Log in to a server in dev mode", public: true, in: reflect.TypeFor[loginCode](), out: reflect.TypeFor[Whoami]()},
		{method: http.MethodPost, path: "/api/auth/logout", id: "logout", summary: "End the login", public: true, out: reflect.TypeFor[entry.LoggedOut]()},
		{method: http.MethodPost, path: "/api/auth/logout/everywhere", id: "logoutEverywhere", summary: "End every login of the caller, and their shells", out: reflect.TypeFor[entry.LoggedOut]()},
	}
}

// Describe is the API's description, OpenAPI 3.1 as YAML, made of the same
// table and Go types that serve it.
func Describe() ([]byte, error) {
	huma.DefaultArrayNullable = false // our arrays are [] and never null
	s := &server{Options: Options{Ready: func(context.Context) error { return nil }}}
	reg := huma.NewMapRegistry("#/components/schemas/", schemaName)
	api := &huma.OpenAPI{
		OpenAPI:    "3.1.0",
		Info:       &huma.Info{Title: "Periscope", Version: "1", Description: "Every answer carries X-Request-Id. Errors have the shape of ErrorBody. A query parameter is given once at most."},
		Paths:      map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: reg, SecuritySchemes: schemes()},
	}
	for _, r := range append(s.routes(), entryRoutes()...) {
		describe(api, reg, r)
	}
	for name, schema := range reg.Map() {
		markNull(schema, reg.TypeFromRef("#/components/schemas/"+name))
	}
	return api.YAML()
}

// markNull says of each pointer to a struct what the registry leaves out: that
// it may be null.
func markNull(schema *huma.Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		prop := schema.Properties[name]
		if prop == nil || prop.Ref == "" || f.Type.Kind() != reflect.Pointer {
			continue
		}
		schema.Properties[name] = &huma.Schema{
			Description: f.Tag.Get("doc"), OneOf: []*huma.Schema{{Ref: prop.Ref}, {Type: "null"}},
		}
	}
}

// schemaName is a type's own name, but where that says too little without its
// package.
func schemaName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[clusters.Summary]():
		return "Cluster"
	case reflect.TypeFor[entry.Config]():
		return "AuthConfig"
	case reflect.TypeFor[podexec.Info]():
		return "ExecSession"
	case reflect.TypeFor[poddebug.Container]():
		return "DebugContainer"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

func describe(api *huma.OpenAPI, reg huma.Registry, r route) {
	op := &huma.Operation{
		OperationID: r.id, Summary: r.summary, Parameters: parameters(r),
		Responses: map[string]*huma.Response{"default": jsonResponse(reg, reflect.TypeFor[ErrorBody](), "What went wrong")},
	}
	secure(op, r)
	if r.in != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: jsonContent(reg, r.in)}
	}
	status, ok := success(reg, r)
	op.Responses[strconv.Itoa(status)] = ok
	item := api.Paths[r.path]
	if item == nil {
		item = &huma.PathItem{}
		api.Paths[r.path] = item
	}
	switch r.method {
	case http.MethodPost:
		item.Post = op
	case http.MethodDelete:
		item.Delete = op
	default:
		item.Get = op
	}
}

// schemes are how a request says who sends it.
func schemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"login": {Type: "apiKey", In: "cookie", Name: "periscope_session", Description: "A browser's login; the server's settings name the cookie"},
		"token": {Type: "http", Scheme: "bearer", BearerFormat: token.Prefix + "…", Description: "A personal access token (docs/tokens.md)"},
	}
}

// secure says who may call, and with which of a token's scopes.
func secure(op *huma.Operation, r route) {
	if r.public {
		return
	}
	op.Security = []map[string][]string{{"login": {}}}
	op.Description = "No token is taken."
	if r.scope != "" {
		op.Security = append(op.Security, map[string][]string{"token": {}})
		op.Description = "A token needs the scope " + string(r.scope) + "."
	}
}

// success is the answer when all goes well.
func success(reg huma.Registry, r route) (int, *huma.Response) {
	switch {
	case r.out != nil:
		return http.StatusOK, jsonResponse(reg, r.out, "The answer")
	case r.method == http.MethodPost, r.method == http.MethodDelete:
		return http.StatusNoContent, &huma.Response{Description: "Done"}
	case r.public:
		return http.StatusOK, &huma.Response{Description: "ok, as text"}
	}
	return http.StatusSwitchingProtocols, &huma.Response{Description: "A WebSocket"}
}

func jsonContent(reg huma.Registry, t reflect.Type) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(t, true, t.Name())}}
}

func jsonResponse(reg huma.Registry, t reflect.Type, what string) *huma.Response {
	return &huma.Response{Description: what, Content: jsonContent(reg, t)}
}

func parameters(r route) []*huma.Param {
	var all []*huma.Param
	for _, m := range pathParam.FindAllStringSubmatch(r.path, -1) {
		all = append(all, &huma.Param{Name: m[1], In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
	}
	for _, q := range r.query {
		all = append(all, &huma.Param{Name: q.name, In: "query", Description: q.doc, Schema: &huma.Schema{Type: q.kind}})
	}
	return all
}
