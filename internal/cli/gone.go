package cli

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/periscope-console/periscope/internal/execclient"
)

// listLimit is how long the server has to say which shells there are: somebody
// waits for no more than one line.
const listLimit = 5 * time.Second

// errUnlisted: the server's list was cut before it had the shell.
var errUnlisted = errors.New("the list of shells is not whole")

// gone says what became of a shell that could not be come back to. The server
// refuses one that another window has taken over in the words for one that has
// ended; its list of open shells tells them apart.
func (e Env) gone(ctx context.Context, c *execclient.Client, no *execclient.Refusal) {
	lives, err := isOpen(ctx, c, no.SessionID)
	switch {
	case err != nil:
		e.say("the shell is gone, or another window has taken it over: the server did not say which. This is not a new one.")
	case lives:
		e.say("another window has taken the shell over. The page “Sessions” of the server has it, until it ends.")
	default:
		e.say("the shell is gone: the server has ended or forgotten it. This is not a new one.")
		e.say("%s", no.Message)
	}
	e.say("%s", refusalCodes(no))
}

// isOpen reports whether the session is one of the caller's own that have not ended.
// A token without the scope read may not know.
func isOpen(ctx context.Context, c *execclient.Client, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, listLimit)
	defer cancel()
	type open struct {
		SessionID string
		Own       bool
	}
	var list struct {
		Sessions []open
		Total    int
	}
	if err := call(ctx, c, http.MethodGet, "/api/exec/sessions", nil, &list); err != nil {
		return false, err
	}
	if slices.Contains(list.Sessions, open{id, true}) {
		return true, nil
	}
	if len(list.Sessions) < list.Total {
		return false, errUnlisted
	}
	return false, nil
}
