package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
)

const (
	maxAdminBody     = 4 << 20 // bytes; a test may give somebody a megabyte of groups
	maxFaultRequests = 1_000_000
)

var endpoints = []string{"discovery", "jwks", "authorize", "token", "userinfo", "revoke", "logout"}

type userChange struct {
	Sub      string          `json:"sub"`
	Disabled *bool           `json:"disabled"`
	Groups   *[]string       `json:"groups"`
	Claims   *map[string]any `json:"claims"`
	UserInfo *map[string]any `json:"userinfo"`
}

type faultChange struct {
	Endpoint string `json:"endpoint"`
	Mode     string `json:"mode"`     // fail, hang, off
	Requests int    `json:"requests"` // 0: until switched off
}

func (p *Provider) adminRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /admin/requests", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, p.faults.requests()) })
	mux.HandleFunc("POST /admin/user", act(p.users.change))
	mux.HandleFunc("POST /admin/client", act(p.addClient))
	mux.HandleFunc("POST /admin/rotate", act(func(struct{}) error { return p.Rotate() }))
	mux.HandleFunc("POST /admin/fault", act(p.planFault))
}

func (p *Provider) planFault(c faultChange) error {
	switch {
	case !slices.Contains(endpoints, c.Endpoint):
		return fmt.Errorf("the endpoint %q is none of %v", c.Endpoint, endpoints)
	case c.Mode != "fail" && c.Mode != "hang" && c.Mode != "off":
		return fmt.Errorf("the mode %q is none of fail, hang, off", c.Mode)
	case c.Requests < 0 || c.Requests > maxFaultRequests:
		return fmt.Errorf("requests must be between 0 and %d", maxFaultRequests)
	}
	p.faults.plan(c.Endpoint, c.Mode, c.Requests)
	return nil
}

// act decodes one JSON object, strictly, and does what it says.
func act[T any](do func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
			http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)
			return
		}
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody))
		decoder.DisallowUnknownFields()
		var change T
		if err := decoder.Decode(&change); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		switch err := do(change); {
		case errors.Is(err, errNoUser):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
}
