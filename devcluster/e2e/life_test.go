package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCrash kills a cluster, and starts it again in the same folder.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	mark := fmt.Sprintf("DEVCLUSTER_TEST_MARK=%d", time.Now().UnixNano())
	c := start(t, dir)
	c.kubectl("create", "configmap", "kept", "--from-literal=a=b")
	c.kubectl("run", "survivor", "--image=registry.local/test:1", "--env="+mark, "--", "sh", "-c", "echo first life; sleep infinity & sleep infinity")
	c.kubectl("run", "finished", "--image=registry.local/test:1", "--restart=Never", "--", "echo", "last words")
	c.kubectl("wait", "--for=condition=Ready", "pod/survivor", "--timeout=30s")
	c.waitLog("survivor", "first life\n")
	c.waitFor("pod/finished", "{.status.phase}", "Succeeded")
	if marked(t, mark) == 0 {
		t.Fatal("the pod's processes are not found")
	}
	c.kill()
	wantGone(t, mark)
	etcdLog := filepath.Join(dir, "logs", "etcd.log")
	if err := os.Truncate(etcdLog, 17<<20); err != nil { // a long life
		t.Fatal(err)
	}

	c = start(t, dir)
	if info, err := os.Stat(etcdLog); err != nil || info.Size() > 16<<20 {
		t.Errorf("etcd.log grows on: %v, %v", info, err)
	}
	want(t, "state", c.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}"), "b")
	c.waitFor("pod/survivor", "{.status.containerStatuses[0].restartCount}", "1")
	c.kubectl("exec", "survivor", "--", "true")
	want(t, "finished pod", c.kubectl("get", "pod", "finished", "-o", "jsonpath={.status.phase}"), "Succeeded")
	want(t, "its log", c.kubectl("logs", "finished"), "last words\n")
	want(t, "log of the earlier run", c.kubectl("logs", "survivor", "--previous"), "first life\n")
	c.stop()
	wantGone(t, mark)
}

// TestSpoiltState: what a crash has spoilt is set aside, and sound state is kept,
// however the cluster ended.
func TestSpoiltState(t *testing.T) {
	dir := t.TempDir()
	c := start(t, dir)
	c.kubectl("create", "configmap", "kept", "--from-literal=a=b")
	c.kill()
	c = start(t, dir)
	want(t, "state", c.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}"), "b")
	c.kill()
	if err := os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), []byte(strings.Repeat("spoilt", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir)
	if found, err := filepath.Glob(filepath.Join(dir, "etcd.spoilt-*", "member")); err != nil || len(found) != 1 {
		t.Errorf("set aside: %q, %v", found, err)
	}
	if r := c.try(nil, "get", "configmap", "kept"); r.code == 0 {
		t.Error("the state is still there")
	}
	c.stop()
	if _, err := os.Stat(filepath.Join(dir, "etcd.closed")); err != nil {
		t.Error(err)
	}
}

// TestSideBySide runs two clusters that know nothing of each other, and
// refuses a second one in a folder.
func TestSideBySide(t *testing.T) {
	a, b := start(t, t.TempDir()), start(t, t.TempDir(), "--nodes", "3")
	// They share the machine's network; their pods have addresses of their own.
	a.serve("web-of-a")
	b.serve("web-of-b")
	a.wantForwarded("web-of-a")
	b.wantForwarded("web-of-b")
	a.run("only-in-a", "sleep", "infinity")
	want(t, "pods in b", b.kubectl("get", "pods", "-o", "name"), "pod/web-of-b\n")
	want(t, "nodes in b", b.kubectl("get", "nodes", "-o", "name"), "node/node-1\nnode/node-2\nnode/node-3\n")
	second := exec.Command(devclusterBin, "--dir", a.dir)
	out, err := second.CombinedOutput()
	if err == nil {
		t.Error("two clusters run in one folder")
	}
	wantIn(t, "message", string(out), "another devcluster already runs in")
	a.stop()
	b.kubectl("get", "nodes")
	b.stop()
}

// TestNodesOfAnEarlierRun are not there for pods to be bound to, but for the one that joins.
func TestNodesOfAnEarlierRun(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, "--nodes", "2").stop()
	c := start(t, dir, "--join", "node-2=10.1.2.3")
	want(t, "nodes", c.kubectl("get", "nodes", "-o", "name"), "node/node-2\n")
	c.stop()
}

// TestJoin lets the API see a kubelet's identity, and no node until one joins.
func TestJoin(t *testing.T) {
	c := start(t, t.TempDir(), "--join", "real=10.1.2.3")
	want(t, "nodes", c.kubectl("get", "nodes", "-o", "name"), "")
	kubelet := filepath.Join(c.dir, "kubelet", "kubeconfig")
	want(t, "who joins", c.kubectl("--kubeconfig", kubelet, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"), "system:node:real")
	c.stop()
}

// TestImageFolder gives an image a root of its own, with nothing but a program.
func TestImageFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	folder := t.TempDir()
	program, err := os.ReadFile(kubectlBin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "entrypoint"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, t.TempDir(), "--image", "registry.local/own="+folder)
	// The program finds the cluster as one in a cluster does.
	c.kubectl("create", "clusterrolebinding", "reader", "--clusterrole=view", "--serviceaccount=default:default")
	c.kubectl("run", "own", "--image=registry.local/own:1.2", "--restart=Never", "--", "get", "pods", "-o", "name")
	c.waitFor("pod/own", "{.status.phase}", "Succeeded")
	want(t, "output", c.kubectl("logs", "own"), "pod/own\n")
	c.stop()
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the image has changed: %v, %v", entries, err)
	}
}

// TestExitWithParent: a cluster does not outlive a parent that was killed.
func TestExitWithParent(t *testing.T) {
	dir := t.TempDir()
	ready := filepath.Join(dir, "ready")
	parent := exec.Command("sh", "-c", `"$0" --dir "$1" --exit-with-parent > "$2" & echo $!; wait`, devclusterBin, filepath.Join(dir, "c"), ready)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGKILL)
	await(t, "ready", func() bool {
		data, _ := os.ReadFile(ready)
		return string(data) == "ready\n"
	})
	parent.Process.Kill()
	parent.Wait()
	await(t, "the end", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(readyTimeout)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
		time.Sleep(20 * time.Millisecond) // another process can only be polled
	}
}

func TestBadFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "--dir is missing"},
		{[]string{"--dir", "x", "--nodes", "0"}, "--nodes must be between"},
		{[]string{"--dir", "x", "--join", "real"}, "want NAME=ADDRESS"},
		{[]string{"--dir", "x", "--addr", "nowhere"}, "must be an IP address and a port"},
		{[]string{"--dir", "x", "--colour", "red"}, "flag provided but not defined: -colour"},
		{[]string{"--dir", "x", "surplus"}, `"surplus" is not a flag`},
		{[]string{"--dir", "x", "--image", "a=/does/not/exist"}, "is not a folder"},
	} {
		cmd := exec.Command(devclusterBin, test.args...)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%v is accepted", test.args)
		}
		wantIn(t, fmt.Sprint(test.args), string(out), test.says)
		if n := strings.Count(string(out), "\n"); n != 1 {
			t.Errorf("%v: %d lines for one mistake:\n%s", test.args, n, out)
		}
	}
}
