package controlplane

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/periscope-console/periscope/devcluster/pki"
)

// Identities of the components, as kubeadm names them.
var (
	Admin             = pki.Subject{Name: "devcluster-admin", Group: "system:masters"}
	managerSubject    = pki.Subject{Name: "system:kube-controller-manager"}
	schedulerSubject  = pki.Subject{Name: "system:kube-scheduler"}
	apiserverNames    = []string{"localhost", "127.0.0.1", serviceIP, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	kubeconfigCluster = "devcluster"
)

// prepare writes the files that the components read.
func (c *controlPlane) prepare() error {
	dir := filepath.Join(c.o.Dir, "pki")
	if err := pki.SigningKey(filepath.Join(dir, "sa.key")); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.o.Listener.Addr().String())
	if err != nil {
		return err
	}
	serving := pki.Subject{Name: "kube-apiserver", Hosts: append([]string{host}, apiserverNames...)}
	for name, subject := range map[string]pki.Subject{"apiserver": serving, "kubelet-client": c.o.KubeletClient} {
		pair, err := c.o.Authority.Issue(subject)
		if err != nil {
			return err
		}
		if _, _, err := pair.WriteTo(dir, name); err != nil {
			return err
		}
	}
	for name, subject := range map[string]pki.Subject{"controller-manager": managerSubject, "scheduler": schedulerSubject} {
		data, err := Kubeconfig(c.o, subject)
		if err != nil {
			return err
		}
		c.kubeconfigs[name] = filepath.Join(c.o.Dir, "run", name+".kubeconfig")
		if err := os.WriteFile(c.kubeconfigs[name], data, 0o600); err != nil {
			return err
		}
	}
	if err := writeAuditPolicy(c.o.Dir); err != nil {
		return err
	}
	cfg, err := RESTConfig(c.o, Admin)
	if err != nil {
		return err
	}
	c.admin, err = kubernetes.NewForConfig(cfg)
	return err
}

// RESTConfig lets an identity reach the apiserver.
func RESTConfig(o Options, subject pki.Subject) (*rest.Config, error) {
	pair, err := o.Authority.Issue(subject)
	if err != nil {
		return nil, fmt.Errorf("certificate for %s: %w", subject.Name, err)
	}
	return &rest.Config{
		Host: o.Server(),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   o.Authority.CertPEM(),
			CertData: pair.Cert,
			KeyData:  pair.Key,
		},
		QPS:       200,
		Burst:     400,
		UserAgent: "devcluster",
	}, nil
}

// Kubeconfig is the same as a file that stands by itself.
func Kubeconfig(o Options, subject pki.Subject) ([]byte, error) {
	cfg, err := RESTConfig(o, subject)
	if err != nil {
		return nil, err
	}
	file := clientcmdapi.NewConfig()
	file.Clusters[kubeconfigCluster] = &clientcmdapi.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	file.AuthInfos[subject.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData}
	file.Contexts[kubeconfigCluster] = &clientcmdapi.Context{Cluster: kubeconfigCluster, AuthInfo: subject.Name, Namespace: "default"}
	file.CurrentContext = kubeconfigCluster
	return clientcmd.Write(*file)
}
