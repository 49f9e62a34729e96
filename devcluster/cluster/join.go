package cluster

import (
	"os"
	"path/filepath"

	"github.com/periscope-console/periscope/devcluster/controlplane"
	"github.com/periscope-console/periscope/devcluster/node"
	"github.com/periscope-console/periscope/devcluster/pki"
)

// Joining is a node that somebody else runs: a kubelet at an IP address.
type Joining struct{ Name, Address string }

// prepareJoin writes to DIR/kubelet what that kubelet needs: a kubeconfig and
// the certificate that it shows to the apiserver. The authority that both trust
// is DIR/pki/ca.crt.
func (c *cluster) prepareJoin() error {
	dir := filepath.Join(c.o.Dir, "kubelet")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	who := node.Identity(c.o.Join.Name)
	data, err := controlplane.Kubeconfig(c.plane, who)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "kubeconfig"), data, 0o600); err != nil {
		return err
	}
	pair, err := c.plane.Authority.Issue(pki.Subject{
		Name: who.Name, Group: who.Group, Hosts: []string{c.o.Join.Name, c.o.Join.Address},
	})
	if err != nil {
		return err
	}
	_, _, err = pair.WriteTo(dir, "serving")
	return err
}
