package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/periscope-console/periscope/test/proc"
)

// containerdConfig is for version 1.6, in a machine that may have no AppArmor and
// in which not even root may lower a process's out-of-memory score.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
[grpc]
  address = %[3]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[5]q
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`

const cniConfig = `{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [{
    "type": "bridge", "bridge": %q, "isGateway": true,
    "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": %q}]}
  }]
}
`

func (n *realNode) socket() string { return filepath.Join(n.dir, "containerd.sock") }

func (n *realNode) startContainerd(ctx context.Context) error {
	cni := filepath.Join(n.dir, "cni")
	if err := os.MkdirAll(cni, 0o755); err != nil {
		return err
	}
	list := fmt.Sprintf(cniConfig, bridge, filepath.Join(n.dir, "addresses"), podRange, serviceRange)
	if err := os.WriteFile(filepath.Join(cni, "10-pods.conflist"), []byte(list), 0o600); err != nil {
		return err
	}
	config := filepath.Join(n.dir, "containerd.toml")
	text := fmt.Sprintf(containerdConfig, filepath.Join(n.dir, "containerd"), filepath.Join(n.dir, "run"), n.socket(), sandbox, cni)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return n.run(ctx, proc.Spec{
		Name: "containerd", Path: "containerd", Args: []string{"--config", config}, Ready: "time=", Holds: "containerd successfully booted",
	})
}

// importImages makes the images and gives them to containerd.
func (n *realNode) importImages(ctx context.Context) error {
	archive := filepath.Join(n.dir, "images.tar")
	if err := writeImages(ctx, archive, n.images); err != nil {
		return err
	}
	return command(ctx, "ctr", "--address", n.socket(), "--namespace", "k8s.io", "images", "import", archive)
}

// kubeletConfig leaves the machine's memory, disk and firewall alone.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[1]s
containerRuntimeEndpoint: unix://%[2]s
tlsCertFile: %[3]s/serving.crt
tlsPrivateKeyFile: %[3]s/serving.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[4]s}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /%[5]s
failCgroupV1: false
failSwapOn: false
makeIPTablesUtilChains: false
enforceNodeAllocatable: []
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%"}
imageGCHighThresholdPercent: 100
`

func (n *realNode) startKubelet(ctx context.Context) error {
	own, home := filepath.Join(n.dir, "cluster", "kubelet"), filepath.Join(n.dir, "kubelet")
	config := filepath.Join(n.dir, "kubelet.yaml")
	text := fmt.Sprintf(kubeletConfig, nodeAddress, n.socket(), own, filepath.Join(n.dir, "cluster", "pki", "ca.crt"), n.name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	return n.run(ctx, proc.Spec{
		Name: "kubelet", Path: filepath.Join(n.bin, "kubelet"), Ready: "I", // any line that is no error
		Args: []string{
			"--config", config, "--kubeconfig", filepath.Join(own, "kubeconfig"), "--root-dir", home, "--cert-dir", home,
			"--hostname-override", nodeName, "--node-ip", nodeAddress,
		},
	})
}
