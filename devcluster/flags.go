package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/periscope-console/periscope/devcluster/cluster"
)

const maxNodes = 20

type options struct {
	cluster        cluster.Options
	exitWithParent bool
}

var errHelp = errors.New("help was asked for")

// parseFlags answers options that are valid as a whole, or one sentence.
func parseFlags(args []string) (options, error) {
	o := options{cluster: cluster.Options{Images: map[string]string{}}}
	c := &o.cluster
	fs := flag.NewFlagSet("devcluster", flag.ContinueOnError)
	fs.StringVar(&c.Dir, "dir", "", "folder for the cluster's state, logs and kubeconfig (required)")
	fs.StringVar(&c.Addr, "addr", "127.0.0.1:0", "address of the apiserver; port 0 takes a free one")
	fs.IntVar(&c.Nodes, "nodes", 1, "number of nodes")
	fs.Func("join", "NAME=ADDRESS: run no nodes, but write to DIR/kubelet what a kubelet of that name at that IP address needs to join", func(s string) error {
		return addJoin(c, s)
	})
	fs.BoolVar(&c.WebSocketKubelet, "websocket-kubelet", false, "nodes take WebSockets from the apiserver, as newer kubelets do")
	fs.StringVar(&c.AuditLog, "audit-log", "", "file for the apiserver's audit log")
	fs.StringVar(&c.AuditPolicy, "audit-policy", "", "policy for the audit log (default: who did what, no bodies)")
	fs.StringVar(&c.TokenWebhook, "token-webhook", "", "file, as a kubeconfig, with the webhook that the apiserver asks about bearer tokens")
	fs.BoolVar(&o.exitWithParent, "exit-with-parent", false, "end when the process that started this one ends")
	fs.Func("image", "NAME=FOLDER: pods with image NAME see FOLDER as their file system (may be repeated; root only)", func(s string) error {
		return addImage(c.Images, s)
	})
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "devcluster runs a Kubernetes cluster for development in one process.\nIt prints \"ready\" when DIR/kubeconfig can be used. Its pods are processes of this machine: never run untrusted code in it.\n\nFlags:")
		fs.PrintDefaults()
	}
	switch err := quietly(fs, args); {
	case errors.Is(err, flag.ErrHelp):
		return o, errHelp
	case err != nil:
		return o, fmt.Errorf("%w; see devcluster --help", err)
	case fs.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag; see devcluster --help", fs.Arg(0))
	}
	return o, validate(&o)
}

// quietly keeps the usage text for those who ask for it.
func quietly(fs *flag.FlagSet, args []string) error {
	for _, a := range args {
		if a == "-h" || a == "-help" || a == "--help" {
			fs.SetOutput(os.Stdout)
			fs.Usage()
			return flag.ErrHelp
		}
	}
	usage := fs.Usage
	fs.Usage = func() {}
	defer func() { fs.Usage = usage }()
	fs.SetOutput(discard{})
	return fs.Parse(args)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func addImage(images map[string]string, s string) error {
	name, folder, ok := strings.Cut(s, "=")
	if !ok || name == "" || folder == "" {
		return errors.New("want NAME=FOLDER")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is not a folder", folder)
	}
	images[name] = folder
	return nil
}

func addJoin(c *cluster.Options, s string) error {
	name, address, _ := strings.Cut(s, "=")
	if len(validation.IsDNS1123Label(name)) > 0 || net.ParseIP(address) == nil {
		return errors.New("want NAME=ADDRESS, such as real=10.0.0.1")
	}
	c.Join = &cluster.Joining{Name: name, Address: address}
	return nil
}

func validate(o *options) error {
	c := &o.cluster
	if c.Dir == "" {
		return errors.New("--dir is missing: name a folder for the cluster")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil || net.ParseIP(host) == nil {
		return fmt.Errorf("--addr %q must be an IP address and a port, such as 127.0.0.1:0", c.Addr)
	}
	if c.Join != nil {
		c.Nodes = 0
	} else if c.Nodes < 1 || c.Nodes > maxNodes {
		return fmt.Errorf("--nodes must be between 1 and %d", maxNodes)
	}
	if c.AuditPolicy != "" && c.AuditLog == "" {
		return errors.New("--audit-policy needs --audit-log")
	}
	for _, file := range []*string{&c.AuditLog, &c.AuditPolicy, &c.TokenWebhook} {
		if *file == "" {
			continue
		}
		if *file, err = filepath.Abs(*file); err != nil {
			return err
		}
	}
	if len(c.Images) > 0 && os.Geteuid() != 0 {
		return errors.New("--image needs root, because it changes the root of processes")
	}
	return nil
}
