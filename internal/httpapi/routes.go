package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/audit"
	"github.com/periscope-console/periscope/internal/fault"
	"github.com/periscope-console/periscope/internal/identity"
	"github.com/periscope-console/periscope/internal/identity/token"
	"github.com/periscope-console/periscope/internal/identity/websession"
)

// Bounds of what a request may bring and how long it may take.
const (
	maxBody  = 64 << 10
	maxParam = 1 << 10
	callTime = 30 * time.Second
	// bodyTime bounds how long a body may take to come.
	bodyTime = 15 * time.Second
	// maxNamed bounds a name or a value of the caller's in a sentence, in bytes.
	maxNamed = 64
)

// route is one row of the API: enough to serve it and to describe it.
type route struct {
	method, path string
	id           string // the operation's name in api/openapi.yaml
	summary      string
	public       bool // needs no login
	// scope is what a token must have to be taken here; none is where it is empty.
	scope      token.Scope
	background bool  // polling: does not count as activity of the login
	endless    bool  // has no time limit: a terminal
	limited    bool  // costs before anybody knows who asks: counts for the quota
	recorded   bool  // its refusals are in audit by a verb of their own
	lists      bool  // reads lists of a cluster: waits until there is room for them
	maxBody    int64 // bytes of a body; as the constant where it is 0
	query      []param
	in, out    reflect.Type // JSON bodies; nil for none
	serve      func(*call) error
}

// param is one query parameter.
type param struct {
	name, doc string
	kind      string // an OpenAPI type
}

// call is one request on its way through a route.
type call struct {
	w         http.ResponseWriter
	r         *http.Request
	actor     identity.Actor
	login     websession.ID // empty for a token
	token     token.Token   // zero for a browser
	requestID string
	maxBody   int64
}

func (c *call) ctx() context.Context { return c.r.Context() }

// handler makes what every route shares: the login, the time limit, the fault.
func (s *server) handler(rt route) http.HandlerFunc {
	return s.bounded(rt.limited, func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: w, r: r, requestID: w.Header().Get(requestIDHeader), maxBody: cmp.Or(rt.maxBody, maxBody)}
		if err := s.serve(rt, c); err != nil {
			s.tell(rt, c, err)
		}
	})
}

func (s *server) serve(rt route, c *call) error {
	if rt.public {
		return rt.serve(c)
	}
	if err := s.identify(rt, c); err != nil {
		return err
	}
	s.known(c.r)
	if !rt.endless {
		ctx, cancel := context.WithTimeout(c.ctx(), callTime)
		defer cancel()
		c.r = c.r.WithContext(ctx)
	}
	if rt.lists {
		ctx, leave, err := s.lists.enter(c.ctx(), c.actor, c.r.PathValue("cluster"))
		if err != nil {
			return err
		}
		defer leave()
		c.r = c.r.WithContext(ctx)
	}
	err := rt.serve(c)
	if fault.KindOf(err) == fault.Forbidden && rt.method != http.MethodGet && !rt.recorded {
		s.denied(c.r, c.actor, err)
	}
	return err
}

// tell answers with err and logs what was not the caller's own doing.
func (s *server) tell(rt route, c *call, err error) {
	if c.r.Context().Err() == nil && Status(fault.KindOf(err)) >= http.StatusInternalServerError {
		s.Log.Error("http.fault", "requestId", c.requestID, "route", rt.id, "actor", c.actor.Subject, "error", err)
	}
	fail(c.w, err)
}

// get is a row that answers with a JSON value. A token that may read is taken.
func get[Out any](path, id, summary string, f func(*call) (Out, error)) route {
	return route{
		method: http.MethodGet, path: path, id: id, summary: summary, out: reflect.TypeFor[Out](), scope: token.Read,
		serve: func(c *call) error {
			v, err := f(c)
			if err == nil {
				answer(c.w, http.StatusOK, v)
			}
			return err
		},
	}
}

// post is a row that takes and answers with a JSON value.
func post[In, Out any](path, id, summary string, f func(*call, In) (Out, error)) route {
	return route{
		method: http.MethodPost, path: path, id: id, summary: summary,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		serve: func(c *call) error {
			var in In
			if err := readBody(c, &in); err != nil {
				return err
			}
			v, err := f(c, in)
			if err == nil {
				answer(c.w, http.StatusOK, v)
			}
			return err
		},
	}
}

// remove is a row that ends what its path names and answers with nothing.
func remove(path, id, summary string, f func(*call) error) route {
	return route{
		method: http.MethodDelete, path: path, id: id, summary: summary,
		serve: func(c *call) error {
			err := f(c)
			if err == nil {
				c.w.WriteHeader(http.StatusNoContent)
			}
			return err
		},
	}
}

// counted is a row whose requests are bounded by the quota.
func (r route) counted() route { r.limited = true; return r }

// listing is a row that has lists of a cluster in memory until it is answered.
func (r route) listing() route { r.lists = true; return r }

func (r route) polled() route { r.background = true; return r }

func (r route) by(scope token.Scope) route { r.scope = scope; return r }

// byBrowser takes no token, whatever its scope.
func (r route) byBrowser() route { return r.by("") }

// atMost is a row that takes a smaller body than others do.
func (r route) atMost(bytes int64) route { r.maxBody = bytes; return r }

func (r route) with(query ...param) route { r.query = query; return r }

// readBody decodes a bounded JSON body strictly.
func readBody(c *call, into any) error {
	if err := jsonBody(c.r); err != nil {
		return err
	}
	more, err := decodeBody(c, into)
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return fault.Wrap(err, fault.TooLarge, "httpapi.body", "The body is over the limit of %d KiB. Send less.", c.maxBody>>10)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault.Wrap(err, fault.Timeout, "httpapi.body", "The body did not come within %d seconds. Send it again.", bodyTime/time.Second)
	case more:
		return fault.Wrap(err, fault.Invalid, "httpapi.body", "The body holds more than one JSON value. Send one.")
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "httpapi.body", "%s See api/openapi.yaml.", mistakeIn(err))
	}
	return nil
}

// mistakeIn says which field of a body is wrong, where one is.
func mistakeIn(err error) string {
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		where := "The body"
		if wrong.Field != "" {
			where = "The field " + audit.OneLine(wrong.Field, maxNamed)
		}
		return where + " takes " + taken(wrong.Type) + ", not " + given(wrong.Value) + "."
	}
	if name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown { // encoding/json has no type for it
		return "This call does not take the field " + audit.OneLine(name, maxNamed) + "."
	}
	return "The body is not the JSON that this call takes."
}

// taken is what a field of that type takes, in words.
func taken(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Int, reflect.Int64:
		return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
	}
	return "an object"
}

// given is what package json says that it has found, in the same words.
func given(value string) string {
	switch value {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "the " + audit.OneLine(value, maxNamed) // a number, with its digits
}

// decodeBody reads the body to its end, and says whether there is more in it than
// one value. Where it does not come to the end, the connection's time is up.
func decodeBody(c *call, into any) (more bool, err error) {
	hurry := http.NewResponseController(c.w)
	_ = hurry.SetReadDeadline(time.Now().Add(bodyTime)) // where there is no connection there is nothing to wait for
	dec := json.NewDecoder(http.MaxBytesReader(c.w, c.r.Body, c.maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return false, err
	}
	if err := dec.Decode(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return true, err
	}
	_ = hurry.SetReadDeadline(time.Time{}) // what the call does has a time of its own
	return false, nil
}

// text is a bounded query parameter.
func (c *call) text(name string) (string, error) {
	v := c.r.URL.Query().Get(name)
	if len(v) > maxParam {
		return "", fault.New(fault.Invalid, "httpapi.param", "The parameter %s is over %d bytes. Shorten it.", name, maxParam)
	}
	return v, nil
}

// number is a whole query parameter between least and most; otherwise when absent.
func (c *call) number(name string, otherwise, least, most int) (int, error) {
	v := c.r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		return 0, fault.New(fault.Invalid, "httpapi.param", "The parameter %s must be a whole number from %d to %d.", name, least, most)
	}
	return n, nil
}
