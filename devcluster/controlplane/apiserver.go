package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

const (
	serviceCIDR = "10.96.0.0/16"
	serviceIP   = "10.96.0.1"
	issuer      = "https://kubernetes.default.svc.cluster.local"
)

// apiserver prepares a kube-apiserver that serves on a listener already bound.
func (c *controlPlane) apiserver(listener net.Listener, socket string) (*options.ServerRunOptions, error) {
	s := options.NewServerRunOptions()
	if err := parse(s.Flags(), c.apiserverArgs(socket)); err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	s.SecureServing.Listener = listener
	s.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port
	return s, nil
}

func (c *controlPlane) apiserverArgs(socket string) []string {
	file := func(name string) string { return filepath.Join(c.o.Dir, "pki", name) }
	args := []string{
		"--etcd-servers=unix://" + socket,
		"--service-cluster-ip-range=" + serviceCIDR,
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + file("apiserver.crt"),
		"--tls-private-key-file=" + file("apiserver.key"),
		"--client-ca-file=" + file("ca.crt"),
		"--kubelet-certificate-authority=" + file("ca.crt"),
		"--kubelet-client-certificate=" + file("kubelet-client.crt"),
		"--kubelet-client-key=" + file("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=" + issuer,
		"--service-account-key-file=" + file("sa.key"),
		"--service-account-signing-key-file=" + file("sa.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-aggregator-routing",
		"--allow-privileged",
		"--profiling=false",
	}
	if c.o.AuditLog != "" {
		args = append(args,
			"--audit-log-path="+c.o.AuditLog,
			"--audit-log-mode=blocking",
			"--audit-log-maxsize=64",
			"--audit-log-maxbackup=1",
			"--audit-policy-file="+c.auditPolicy())
	}
	if c.o.TokenWebhook != "" {
		args = append(args, "--authentication-token-webhook-config-file="+c.o.TokenWebhook, "--authentication-token-webhook-version=v1")
	}
	return args
}

func runAPIServer(ctx context.Context, s *options.ServerRunOptions) error {
	completed, err := s.Complete(ctx)
	if err != nil {
		return err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return utilerrors.NewAggregate(errs)
	}
	return app.Run(ctx, completed)
}

// parse gives a component its command line.
func parse(sets cliflag.NamedFlagSets, args []string) error {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, fs := range sets.FlagSets {
		all.AddFlagSet(fs)
	}
	if err := all.Parse(args); err != nil {
		return err
	}
	if all.NArg() > 0 {
		return errors.New("a flag was taken for an argument")
	}
	return nil
}
