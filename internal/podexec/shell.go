package podexec

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The default shell is started by one sh that reports its own process, takes
// bash if there is one and becomes it by exec. The report is
//
//	SOH "periscope:" NONCE ":" PID ":" START ":" SHELL STX
//
// where START is the process's start time from /proc/PID/stat (field 22, clock
// ticks since boot; proc_pid_stat(5)). It is the first output of the process
// and never reaches the client. Where /proc cannot be read START is empty.
const (
	reportStart = "\x01periscope:"
	reportEnd   = '\x02'
	maxReport   = 256
)

const startShell = `s= t=
{ read -r s </proc/$$/stat; } 2>/dev/null && { s=${s##*) }; set -- "$1" $s; t=${21}; }
b=sh; command -v bash >/dev/null 2>&1 && b=bash
printf '\001periscope:%s:%s:%s:%s\002' "$1" "$$" "$t" "$b"
case "$TERM" in ''|dumb) TERM=xterm-256color; export TERM;; esac
exec "$b"`

// process is a shell of ours inside a container.
type process struct {
	pid   int
	start string
	shell string
}

// known reports whether the process can be told from any other that may bear
// its PID later.
func (p process) known() bool { return p.pid > 1 && p.start != "" }

func newNonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return hex.EncodeToString(b[:])
}

// shellCommand is the command that starts the default shell.
func shellCommand(nonce string) []string { return []string{"sh", "-c", startShell, "periscope", nonce} }

// startWindowsShell takes the first of pwsh, powershell and cmd that the container
// has, where the node runs Windows. It reports nothing, and cmd knows no exec. It
// has no quotes of its own: the runtime would escape them in a way that is not cmd's.
const startWindowsShell = `where /q pwsh 2>nul & if errorlevel 1 (where /q powershell 2>nul & if errorlevel 1 (cmd) else (powershell)) else (pwsh)`

// windowsShellCommand is shellCommand for a pod that runs Windows.
func windowsShellCommand() []string { return []string{"cmd", "/d", "/s", "/c", startWindowsShell} }

// systemOf is what the pod says that it runs; most say nothing.
func systemOf(pod *corev1.Pod) corev1.OSName {
	if pod.Spec.OS == nil {
		return ""
	}
	return pod.Spec.OS.Name
}

// parseReport looks for the report at the beginning of out. done is false while
// more bytes may complete it; rest is the output that follows it.
func parseReport(out []byte, nonce string) (p process, rest []byte, done bool) {
	prefix := []byte(reportStart + nonce + ":")
	if n := min(len(out), len(prefix)); !bytes.Equal(out[:n], prefix[:n]) {
		return process{}, out, true // something else printed first: no report will be trusted
	}
	end := bytes.IndexByte(out, reportEnd)
	if end < 0 {
		return process{}, out, len(out) >= maxReport
	}
	fields := strings.Split(string(out[len(prefix):end]), ":")
	if len(fields) != 3 {
		return process{}, out[end+1:], true
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || strings.Trim(fields[1], "0123456789") != "" {
		return process{shell: fields[2]}, out[end+1:], true
	}
	return process{pid: pid, start: fields[1], shell: fields[2]}, out[end+1:], true
}

// endShells ends the sessions of processes that some shells lead. $1 has a word
// PID:START for each: HUP to all of it, then after a second KILL to the leader
// and to its foreground group. It touches nothing unless PID and START both
// match. It prints "PID:START absent" where that was so from the beginning,
// "PID:START gone", or "PID:START left N" where N processes of the session live on
// (such as background jobs that ignore HUP).
//
// It looks at all processes as rarely as it can and, where there is a cat, by
// that: the read of most shells asks the kernel for one byte at a time.
const endShells = `nl='
'
stats() {
	if command -v cat >/dev/null; then cat /proc/[0-9]*/stat; return; fi
	for d in /proc/[0-9]*; do read -r s <$d/stat && echo "$s"; done
}
fields() { q=${1%% *}; set -- ${1##*) }; z=$1 g=$3 n=$4 f=$6 b=${20}; }
dead() { [ "$z" = Z ] || [ "$z" = X ]; }
look() { { read -r s </proc/$1/stat; } 2>/dev/null && fields "$s" && ! dead; }
ours() { case $led in *" $n:"*) ;; *) return 1;; esac; }
scan() {
	set +f; l=$(stats 2>/dev/null); set -f
	IFS=$nl; set -- $l; IFS=' '
	all= front= of=
	for s; do
		fields "$s"
		ours && ! dead || continue
		all="$all $q" of="$of $n"
		case " $n$led" in " $q "*|*" $n:$g "*) front="$front $q";; esac
	done
}
alive() {
	for d in $front; do look "$d" && ours && return; done
	return 1
}
await() {
	i=0
	while alive && [ "$i" -lt "$1" ]; do
		i=$((i+1)); sleep 0.1 2>/dev/null || { sleep 1; i=$((i+10)); }
	done
}
led=' ' words=
for w in $1; do
	p=${w%:*}
	look "$p" && [ "$b" = "${w#*:}" ] || { echo "$w absent"; continue; }
	[ "$f" -gt 0 ] || f=$g
	led="$led$p:$f " words="$words $w"
done
[ "$words" ] || exit 0
scan; { kill -HUP $all; kill -CONT $all; } 2>/dev/null
await 10; scan
[ -z "$front" ] || { kill -KILL $front 2>/dev/null; await 20; scan; }
for w in $words; do
	c=0
	for n in $of; do [ "$n" != "${w%:*}" ] || c=$((c+1)); done
	[ "$c" = 0 ] && echo "$w gone" || echo "$w left $c"
done`

// word names the process to endShells.
func (p process) word() string { return strconv.Itoa(p.pid) + ":" + p.start }

// endCommand is the command that ends shells and all that they lead.
func endCommand(shells []process) []string {
	words := make([]string, len(shells))
	for i, p := range shells {
		words[i] = p.word()
	}
	return []string{"sh", "-c", endShells, "periscope", strings.Join(words, " ")}
}

// fate is what became of a shell that was to be ended.
type fate int

const (
	fateUnknown   fate = iota // nobody could look
	fateUnreached             // its node, or the way there, gave no answer
	fateAbsent                // it had ended before
	fateGone                  // it was ended now
	fateLeft                  // something of it lives on
)

// ended is the same as a word of the audit event.
type ended string

const (
	endedVerified   ended = "verified"
	endedUnverified ended = "unverified"
	endedLeft       ended = "left"
)

func (f fate) ended() ended {
	switch f {
	case fateAbsent, fateGone:
		return endedVerified
	case fateLeft:
		return endedLeft
	}
	return endedUnverified
}

// parseFates reads what endShells printed: what became of each word. Of those
// that it does not name nothing is known.
func parseFates(out []byte) map[string]fate {
	became := map[string]fate{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[1] == "absent":
			became[words[0]] = fateAbsent
		case len(words) == 2 && words[1] == "gone":
			became[words[0]] = fateGone
		case len(words) == 3 && words[1] == "left":
			became[words[0]] = fateLeft
		}
	}
	return became
}
