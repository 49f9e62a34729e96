package controlplane

import (
	"context"
	"fmt"
	"path/filepath"

	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kcmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// controllerManager prepares the kube-controller-manager. The raised client
// limits make it start in half a second instead of seven.
func (c *controlPlane) controllerManager() (*kcmoptions.KubeControllerManagerOptions, error) {
	s, err := kcmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	flags := s.Flags(kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	s.ParsedFlags = &flags
	file := func(name string) string { return filepath.Join(c.o.Dir, "pki", name) }
	return s, parse(flags, []string{
		"--kubeconfig=" + c.kubeconfigs["controller-manager"],
		"--service-account-private-key-file=" + file("sa.key"),
		"--root-ca-file=" + file("ca.crt"),
		"--cluster-signing-cert-file=" + file("ca.crt"),
		"--cluster-signing-key-file=" + file("ca.key"),
		"--use-service-account-credentials",
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--controller-start-interval=0s",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	})
}

func runControllerManager(ctx context.Context, s *kcmoptions.KubeControllerManagerOptions) error {
	cfg, err := s.Config(ctx, kcm.KnownControllers(), kcm.ControllersDisabledByDefault(), kcm.ControllerAliases())
	if err != nil {
		return err
	}
	return kcm.Run(ctx, cfg.Complete())
}

func (c *controlPlane) scheduler() (*scheduleroptions.Options, error) {
	o := scheduleroptions.NewOptions()
	if o.Flags == nil {
		return nil, fmt.Errorf("kube-scheduler has no flags")
	}
	return o, parse(*o.Flags, []string{
		"--kubeconfig=" + c.kubeconfigs["scheduler"],
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	})
}

func runScheduler(ctx context.Context, o *scheduleroptions.Options) error {
	cc, sched, err := scheduler.Setup(ctx, o)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, cc, sched)
}
