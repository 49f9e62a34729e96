package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// AgentVariables makes a registration token for a cluster, and returns the variables,
// as NAME=VALUE, of an agent that knows the server by its pin alone.
func (l *Login) AgentVariables(ctx context.Context, cluster string) ([]string, error) {
	resp, err := l.call(ctx, http.MethodPost, "/api/agents/tokens", fmt.Sprintf(`{"cluster":%q}`, cluster))
	if err != nil {
		return nil, err
	}
	var made struct{ Commands struct{ SelfSigned string } }
	if err := json.NewDecoder(resp.Body).Decode(&made); err != nil {
		return nil, err
	}
	words := strings.Fields(made.Commands.SelfSigned)
	if len(words) < 2 {
		return nil, fmt.Errorf("the command for an agent is %q", made.Commands.SelfSigned)
	}
	return words[:len(words)-1], nil // the last is the program's name
}

// Link is the state of a cluster's link: connected, reconnecting or away.
func (l *Login) Link(ctx context.Context, cluster string) (state string, err error) {
	resp, err := l.call(ctx, http.MethodGet, "/api/clusters", "")
	if err != nil {
		return "", err
	}
	var list struct {
		Clusters []struct {
			Name string
			Link struct{ State string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
		return "", err
	}
	for _, c := range list.Clusters {
		if c.Name == cluster {
			return c.Link.State, nil
		}
	}
	return "", fmt.Errorf("there is no cluster %s", cluster)
}

// AwaitLink waits until a cluster's link has a state.
func (l *Login) AwaitLink(ctx context.Context, cluster, state string) error {
	return until(ctx, func() error {
		now, err := l.Link(ctx, cluster)
		if err == nil && now != state {
			err = fmt.Errorf("the link of %s is %s, not %s", cluster, now, state)
		}
		return err
	})
}

// ReachesPods asks a cluster for the pods of a namespace.
func (l *Login) ReachesPods(ctx context.Context, cluster, namespace string) error {
	_, err := l.call(ctx, http.MethodGet, "/api/clusters/"+cluster+"/pods?namespace="+namespace, "")
	return err
}
