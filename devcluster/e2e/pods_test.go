package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// TestPods shares one cluster, because most of the time goes into starting it.
func TestPods(t *testing.T) {
	for _, variant := range []struct {
		name string
		args []string
	}{
		{"spdy", nil},
		{"websocket", []string{"--websocket-kubelet", "--nodes", "2"}},
	} {
		t.Run(variant.name, func(t *testing.T) {
			audit := filepath.Join(t.TempDir(), "audit.log")
			c := start(t, t.TempDir(), append(variant.args, "--audit-log", audit)...)
			for _, test := range []struct {
				name string
				run  func(*testing.T, *cluster)
			}{
				{"exec", testExec}, {"exec terminal", testTerminal}, {"exec fails", testExecFails}, {"bytes", testBytes},
				{"run and attach", testRun}, {"logs", testLogs}, {"volumes", testVolumes}, {"init and sidecar", testInit},
				{"no shell", testNoShell}, {"debug", testDebug}, {"copy", testCopy}, {"port-forward", testPortForward},
				{"crash loop", testCrashLoop}, {"end of a pod", testDelete}, {"seed", testSeed},
			} {
				t.Run(test.name, func(t *testing.T) {
					sub := *c
					sub.t = t
					test.run(t, &sub)
				})
			}
			data, err := os.ReadFile(audit)
			if err != nil {
				t.Fatal(err)
			}
			wantIn(t, "audit log", string(data), `"subresource":"exec"`)
			c.stop()
		})
	}
}

func testExec(t *testing.T, c *cluster) {
	c.run("exec", "sleep", "infinity")
	r := c.try(nil, "exec", "exec", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
	want(t, "stdout", r.out, "out\n")
	wantIn(t, "stderr", r.err, "err\n")
	want(t, "code", fmt.Sprint(r.code), "7")
	want(t, "host name", c.kubectl("exec", "exec", "--", "hostname"), "exec\n")
	want(t, "stdin", c.kubectlIn(strings.NewReader("hello"), "exec", "-i", "exec", "--", "cat"), "hello")
	want(t, "signalled", fmt.Sprint(c.try(nil, "exec", "exec", "--", "sh", "-c", "kill -9 $$").code), "137")
	// Neither ignored signals nor a terminal of the caller's reach a pod.
	want(t, "ignored signals", c.kubectl("exec", "exec", "--", "sh", "-c", "grep SigIgn /proc/self/status"), "SigIgn:\t0000000000000000\n")
	list := c.kubectl("exec", "exec", "--", "sh", "-c", "ls -d /proc/[0-9]* | wc -l")
	if n := len(strings.TrimSpace(list)); n > 1 {
		t.Errorf("a pod sees %s processes", list)
	}
}

var terminalSize = regexp.MustCompile(`(\d+ \d+)\r\n`)

func testTerminal(t *testing.T, c *cluster) {
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	terminal, err := pty.StartWithSize(c.command(ctx, "exec", "-it", "exec", "--", "sh"), &pty.Winsize{Rows: 37, Cols: 113})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var seen bytes.Buffer
	until := func(pattern *regexp.Regexp) string {
		buf := make([]byte, 4096)
		for {
			if m := pattern.FindSubmatchIndex(seen.Bytes()); m != nil {
				from, to := m[len(m)-2], m[len(m)-1]
				return string(seen.Next(m[1])[from:to]) // what came after it stays
			}
			n, err := terminal.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				t.Fatalf("terminal ended: %v\n%s", err, seen.String())
			}
		}
	}
	until(regexp.MustCompile(`[#$] $`))
	io.WriteString(terminal, "stty size\n")
	want(t, "size at the start", until(terminalSize), "37 113")
	pty.Setsize(terminal, &pty.Winsize{Rows: 20, Cols: 60})
	io.WriteString(terminal, "until [ \"$(stty size)\" = '20 60' ]; do sleep 0.1; done; stty size\n")
	want(t, "size after a change", until(terminalSize), "20 60")
	// The line comes from a process that has the terminal's foreground already;
	// a shell that is still about to start one swallows the interrupt.
	io.WriteString(terminal, "sh -c 'echo a\"\"sleep; exec sleep 1000'\n")
	until(regexp.MustCompile(`asleep\r\n`))
	// The interrupt throws away what the terminal holds, which may be the next
	// prompt: there is nothing to wait for.
	io.WriteString(terminal, "\x03")
	io.WriteString(terminal, "tty; exit 5\n")
	until(regexp.MustCompile(`/dev/pts/\d+`))
	io.Copy(&seen, terminal) // ends with EIO
	wantIn(t, "end", seen.String(), "exit code 5")
}

func testExecFails(t *testing.T, c *cluster) {
	for _, command := range []string{"no-such-program", "/no/such/program"} {
		r := c.try(nil, "exec", "exec", "--", command)
		want(t, "code", fmt.Sprint(r.code), "1")
		wantIn(t, "message", r.err, "Internal error occurred")
		wantIn(t, "message", r.err, "OCI runtime exec failed: exec failed: unable to start container process: exec: \""+command+"\"")
	}
	// The error quotes the command; the container lives on.
	r := c.try(nil, "exec", "exec", "--", strings.Repeat("x", 40_000))
	wantIn(t, "long name", r.err, "OCI runtime exec failed")
	c.kubectl("exec", "exec", "--", "true")
	want(t, "restarts", c.kubectl("get", "pod", "exec", "-o", "jsonpath={.status.containerStatuses[0].restartCount}"), "0")
	r = c.try(nil, "exec", "exec", "-c", "nobody", "--", "true")
	wantIn(t, "unknown container", r.err, "container nobody is not valid for pod exec")
	c.kubectl("run", "done", "--image=registry.local/test:1", "--restart=Never", "--", "true")
	c.waitFor("pod/done", "{.status.phase}", "Succeeded")
	r = c.try(nil, "exec", "done", "--", "true")
	wantIn(t, "completed pod", r.err, "cannot exec into a container in a completed pod; current phase is Succeeded")
}

func testBytes(t *testing.T, c *cluster) {
	data := make([]byte, 8<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	back := c.kubectlIn(bytes.NewReader(data), "exec", "-i", "exec", "--", "cat")
	if sha256.Sum256([]byte(back)) != sha256.Sum256(data) {
		t.Errorf("%d bytes came back as %d others", len(data), len(back))
	}
}

func testRun(t *testing.T, c *cluster) {
	r := c.try(strings.NewReader("through\n"), "run", "once", "--rm", "-i", "--image=registry.local/test:1", "--restart=Never", "--", "sh", "-c", "cat; exit 3")
	wantIn(t, "output", r.out, "through\n")
	want(t, "code", fmt.Sprint(r.code), "3")
}

func testLogs(t *testing.T, c *cluster) {
	c.run("logs", "sh", "-c", `for i in 1 2 3 4 5; do echo "line $i 字 🎬"; done; printf half; sleep 0.1; echo " a line"; head -c 40000 /dev/zero | tr '\0' x; echo; sleep infinity`)
	want(t, "tail", c.kubectl("logs", "logs", "--limit-bytes=15"), "line 1 字 🎬")
	wantIn(t, "joined", c.waitLog("logs", strings.Repeat("x", 40000)+"\n"), "line 5 字 🎬\nhalf a line\n")
	stamped := c.kubectl("logs", "logs", "--timestamps")
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line 1 `).MatchString(stamped) {
		t.Errorf("no time stamp: %.60q", stamped)
	}
	want(t, "since", c.kubectl("logs", "logs", "--since-time="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), "")

	c.kubectl("run", "follow", "--image=registry.local/test:1", "--restart=Never", "--", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
	c.kubectl("wait", "--for=jsonpath={.status.startTime}", "pod/follow", "--timeout=30s")
	c.waitFor("pod/follow", "{.status.containerStatuses[0].restartCount}", "0")
	want(t, "follow ends with the container", c.kubectl("logs", "-f", "follow", "--pod-running-timeout=30s"), "1\n2\n3\n")
	want(t, "tail", c.kubectl("logs", "follow", "--tail=2"), "2\n3\n")
}

// waitLog follows a log until it contains text.
func (c *cluster) waitLog(pod, text string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	cmd := c.command(ctx, "logs", "-f", pod)
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var seen strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.Contains(seen.String(), text) {
		n, err := out.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			c.t.Fatalf("log of %s ended with %v:\n%s", pod, err, seen.String())
		}
	}
	return seen.String()
}

const volumesManifest = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, settings.ini: "a = 1"}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {key: hidden}
---
apiVersion: v1
kind: Pod
metadata: {name: volumes, labels: {kind: test}}
spec:
  containers:
  - name: main
    image: registry.local/test:1
    command: [sh, -c, 'echo "$@"; sleep infinity', sh, $(GREETING), $$(GREETING), $(UNKNOWN)]
    workingDir: /data/work
    envFrom:
    - {prefix: CFG_, configMapRef: {name: settings}}
    env:
    - {name: WHO, value: pods}
    - {name: GREETING, value: "hello $(WHO)"}
    - {name: KEY, valueFrom: {secretKeyRef: {name: keys, key: key}}}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['kind']"}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    resources: {limits: {memory: 64Mi}}
    volumeMounts:
    - {name: data, mountPath: /data}
    - {name: settings, mountPath: /settings}
    - {name: settings, mountPath: /opt/one.ini, subPath: settings.ini}
    - {name: keys, mountPath: /keys}
    - {name: about, mountPath: /about}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: settings, configMap: {name: settings}}
  - {name: keys, secret: {secretName: keys, items: [{key: key, path: nested/key}]}}
  - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
`

func testVolumes(t *testing.T, c *cluster) {
	c.apply(volumesManifest)
	c.kubectl("wait", "--for=condition=Ready", "pod/volumes", "--timeout=30s")
	sh := func(script string) string { return c.kubectl("exec", "volumes", "--", "sh", "-c", script) }
	want(t, "environment", sh(`echo "$GREETING|$KEY|$LABEL|$MEMORY|$CFG_colour"; echo $IP | cut -c1-4`), "hello pods|hidden|test|64|blue\n127.\n")
	want(t, "files", sh("cat /settings/colour /opt/one.ini /keys/nested/key; pwd; cat /about/labels"), "bluea = 1hidden/data/work\nkind=\"test\"")
	want(t, "command", c.waitLog("volumes", "\n"), "hello pods $(GREETING) $(UNKNOWN)\n")
	want(t, "read only", sh("touch /settings/x 2>/dev/null || echo refused; touch /data/x && echo made"), "refused\nmade\n")
	want(t, "token", sh("cut -d. -f1 /var/run/secrets/kubernetes.io/serviceaccount/token | tr -d '\\n' | wc -c | sed 's/[0-9][0-9]*/there/'"), "there\n")
	// What a pod changes outside its volumes stays in it.
	sh("echo spoilt > /usr/spoilt; rm -rf /usr/share/doc 2>/dev/null || true")
	if _, err := os.Stat("/usr/spoilt"); err == nil {
		t.Error("a pod has written to the host")
	}
}

const initManifest = `
apiVersion: v1
kind: Pod
metadata: {name: init}
spec:
  terminationGracePeriodSeconds: 2
  initContainers:
  - {name: proxy, image: "registry.local/test:1", restartPolicy: Always, command: [sh, -c, 'echo up; sleep infinity']}
  - {name: first, image: "registry.local/test:1", command: [sh, -c, 'echo 1 >> /data/order'], volumeMounts: [{name: data, mountPath: /data}]}
  - {name: second, image: "registry.local/test:1", command: [sh, -c, 'echo 2 >> /data/order'], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
  - name: main
    image: registry.local/test:1
    command: [sh, -c, 'touch /tmp/ready; sleep infinity']
    readinessProbe: {exec: {command: [test, -f, /tmp/ready]}, periodSeconds: 1}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
`

func testInit(t *testing.T, c *cluster) {
	c.apply(initManifest)
	c.kubectl("wait", "--for=condition=Ready", "pod/init", "--timeout=30s")
	want(t, "order", c.kubectl("exec", "init", "-c", "main", "--", "cat", "/data/order"), "1\n2\n")
	want(t, "sidecar", c.kubectl("logs", "init", "-c", "proxy"), "up\n")
	c.kubectl("exec", "init", "-c", "main", "--", "rm", "/tmp/ready")
	c.kubectl("wait", "--for=condition=Ready=false", "pod/init", "--timeout=30s")
	c.kubectl("delete", "pod", "init", "--timeout=30s")
}

func testNoShell(t *testing.T, c *cluster) {
	c.kubectl("run", "bare", "--image=registry.local/bare-distroless:1", "--", "--say=still here", "--every=100ms")
	c.kubectl("wait", "--for=condition=Ready", "pod/bare", "--timeout=30s")
	c.waitLog("bare", "still here")
	r := c.try(nil, "exec", "bare", "--", "sh")
	want(t, "code", fmt.Sprint(r.code), "1")
	wantIn(t, "message", r.err, `exec: "sh": executable file not found in $PATH: unknown`)
}

func testDebug(t *testing.T, c *cluster) {
	r := c.try(strings.NewReader("ls /proc/1/root/app; exit 0\n"), "debug", "-i", "bare", "--image=registry.local/tools:1", "--target=bare", "--", "sh")
	if os.Geteuid() == 0 {
		wantIn(t, "the target's processes", r.out, "/proc/1/root/app")
	}
	c.waitFor("pod/bare", "{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}", "0")
}

func testCopy(t *testing.T, c *cluster) {
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(from, data, 0o600); err != nil {
		t.Fatal(err)
	}
	// Without root, a container cannot give files to other users.
	c.kubectl("cp", "--no-preserve", from, "exec:/tmp/copied")
	c.kubectl("cp", "exec:/tmp/copied", to)
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back as %d, %v", len(data), len(got), err)
	}
}

// serve starts a pod on the first node that listens on its own address at port 8731
// and answers its name at /hostname.
func (c *cluster) serve(name string) {
	c.t.Helper()
	c.apply(strings.ReplaceAll(`{apiVersion: v1, kind: Pod, metadata: {name: NAME}, spec: {nodeName: node-1, containers: [{name: web, image: "registry.local/test:1",
		command: [python3, -m, http.server, "8731", --bind, $(IP)], workingDir: /etc,
		env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}],
		readinessProbe: {tcpSocket: {port: 8731}, periodSeconds: 1}}]}}`, "NAME", name))
	c.kubectl("wait", "--for=condition=Ready", "pod/"+name, "--timeout=30s")
}

func testPortForward(t *testing.T, c *cluster) {
	c.serve("web")
	c.wantForwarded("web")
}

// wantForwarded reaches such a pod by port-forward.
func (c *cluster) wantForwarded(pod string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), callTimeout)
	defer cancel()
	forward := c.command(ctx, "port-forward", "pod/"+pod, ":8731")
	out, err := forward.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		c.t.Fatal(err)
	}
	defer forward.Wait()
	defer forward.Process.Kill()
	buf := make([]byte, 256)
	n, err := out.Read(buf)
	m := regexp.MustCompile(`127\.0\.0\.1:(\d+)`).FindSubmatch(buf[:n])
	if m == nil {
		c.t.Fatalf("no port in %q, %v", buf[:n], err)
	}
	for range 3 {
		response, err := http.Get("http://127.0.0.1:" + string(m[1]) + "/hostname")
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != pod+"\n" {
			c.t.Errorf("got %q, %v", body, err)
		}
	}
}

func testCrashLoop(t *testing.T, c *cluster) {
	c.kubectl("run", "crash", "--image=registry.local/test:1", "--", "sh", "-c", "echo run; echo last words > /dev/termination-log; exit 9")
	status := "{.status.containerStatuses[0]"
	c.waitFor("pod/crash", status+".state.waiting.reason}", "CrashLoopBackOff")
	want(t, "last state", c.kubectl("get", "pod", "crash", "-o", "jsonpath="+status+".lastState.terminated.exitCode}:"+status+".lastState.terminated.message}:"+status+".restartCount}"), "9:last words\n:1")
	want(t, "previous log", c.kubectl("logs", "crash", "--previous"), "run\n")
	c.kubectl("delete", "pod", "crash", "--timeout=30s")
	c.kubectl("run", "nothing", "--image=registry.local/test:1", "--restart=Never", "--", "/no/such/program")
	c.waitFor("pod/nothing", status+".state.terminated.reason}", "StartError")
	c.kubectl("run", "unpulled", "--image=registry.invalid/x:1")
	c.waitFor("pod/unpulled", status+".state.waiting.reason}", "ImagePullBackOff")
}

func testDelete(t *testing.T, c *cluster) {
	mark := fmt.Sprintf("DEVCLUSTER_TEST_MARK=%d", time.Now().UnixNano())
	c.kubectl("run", "end", "--image=registry.local/test:1", "--env="+mark, "--", "sh", "-c", "trap 'echo bye; exit 0' TERM; sleep infinity & wait; wait")
	c.kubectl("wait", "--for=condition=Ready", "pod/end", "--timeout=30s")
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	// A command that goes on in the background, and one that is in use.
	c.kubectl("exec", "end", "--", "sh", "-c", "nohup sleep infinity >/dev/null 2>&1 & exit 0")
	running := c.command(ctx, "exec", "end", "--", "sleep", "infinity")
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for marked(t, mark) < 4 && time.Since(begin) < 10*time.Second {
		time.Sleep(20 * time.Millisecond) // see wantGone
	}
	c.kubectl("delete", "pod", "end", "--timeout=30s")
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("deletion took %s", took)
	}
	running.Wait()
	want(t, "code of the interrupted exec", fmt.Sprint(running.ProcessState.ExitCode()), "137")
	wantGone(t, mark)

	c.kubectl("run", "stubborn", "--image=registry.local/test:1", "--env="+mark, "--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
	c.kubectl("wait", "--for=condition=Ready", "pod/stubborn", "--timeout=30s")
	c.kubectl("delete", "pod", "stubborn", "--grace-period=1", "--timeout=30s")
	wantGone(t, mark)
}

func testSeed(t *testing.T, c *cluster) {
	c.kubectl("apply", "-f", "../seed")
	c.kubectl("-n", "shop", "wait", "--for=condition=Available", "deploy", "--all", "--timeout=60s")
	c.kubectl("-n", "media", "wait", "--for=condition=Complete", "job", "--all", "--timeout=60s")
	c.kubectl("-n", "shop", "rollout", "status", "statefulset/inventory", "--timeout=60s")
	want(t, "developers", c.kubectl("auth", "can-i", "create", "pods/exec", "-n", "shop", "--as=somebody", "--as-group=periscope:dev"), "yes\n")
}
