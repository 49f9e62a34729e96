package main

import (
	"strings"
	"testing"
)

// TestAddressesComeLast: whoever starts a demo reads them there, with and without a login.
func TestAddressesComeLast(t *testing.T) {
	for _, l := range []*login{nil, {issuer: "http://127.0.0.1:2", password: "secret"}} {
		d := &demo{bin: "bin", url: "http://127.0.0.1:1/", cluster: "/demo/cluster", login: l}
		var out strings.Builder
		d.announce(&out)
		if !strings.HasSuffix(out.String(), "\nperiscope ready: http://127.0.0.1:1/\nkubeconfig: /demo/cluster/kubeconfig\n") {
			t.Errorf("the last lines are others:\n%s", out.String())
		}
	}
}
