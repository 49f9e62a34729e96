package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/periscope-console/periscope/internal/execclient"
)

const (
	callLimit = 30 * time.Second
	// maxAnswer bounds an answer of the server.
	maxAnswer = 1 << 20
)

// call asks the server for JSON; a refusal is an execclient.Refusal. It follows
// no redirect: a token goes to the server that was named, or nowhere.
func call(ctx context.Context, c *execclient.Client, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	body := []byte(nil)
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Server.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", c.Agent)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.Bearer)
	}
	proxy := c.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	client := &http.Client{
		Transport:     &http.Transport{Proxy: proxy, TLSClientConfig: c.TLS.Clone(), DisableKeepAlives: true, DialContext: c.Dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server %s cannot be reached: %w", c.Server, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the answer of %s did not arrive: %w", c.Server, err)
	}
	if resp.StatusCode/100 != 2 {
		return refused(resp, text)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s does not answer as Periscope does. Check the address", c.Server)
	}
	return nil
}

func refused(resp *http.Response, text []byte) error {
	var body struct{ Error, Message, RequestID string }
	if json.Unmarshal(text, &body) != nil || body.Error == "" {
		return &execclient.Refusal{
			Status: resp.StatusCode, Code: fmt.Sprintf("HTTP %d", resp.StatusCode),
			Message: "What answers at this address is not Periscope, or a version that knows no logins of command lines. Check the address of the server.",
		}
	}
	return &execclient.Refusal{
		Status: resp.StatusCode, Code: body.Error, Message: body.Message, RequestID: body.RequestID,
		Retryable: resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests,
	}
}

// pageOf is the address of a page that the server named. It cannot lead elsewhere.
func pageOf(c *execclient.Client, page string) (string, error) {
	path, query, _ := strings.Cut(page, "?")
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(page, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' || r == '\\' }) {
		return "", fmt.Errorf("%s does not answer as Periscope does. Check the address", c.Server)
	}
	u := c.Server.JoinPath(path)
	u.RawQuery = query
	return u.String(), nil
}
