package podexec

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
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

// endShell ends the session of processes that PID ($1), started at START ($2),
// leads: HUP to all of it, then after a second KILL to the leader and to its
// foreground group. It touches nothing unless PID and START both match. It
// prints "gone", or "left N" where N processes of the session live on (such as
// background jobs that ignore HUP).
//
// Many shells of one container may end together, so it looks at all processes
// as rarely as it can and, where there is a cat, by that: the read of most
// shells asks the kernel for one byte at a time.
const endShell = `p=$1 t=$2 nl='
'
stats() {
	if command -v cat >/dev/null; then cat /proc/[0-9]*/stat; return; fi
	for d in /proc/[0-9]*; do read -r s <$d/stat && echo "$s"; done
}
fields() { q=${1%% *}; set -- ${1##*) }; z=$1 g=$3 n=$4 f=$6 b=${20}; }
dead() { [ "$z" = Z ] || [ "$z" = X ]; }
look() { { read -r s </proc/$1/stat; } 2>/dev/null && fields "$s" && ! dead; }
scan() {
	set +f; l=$(stats 2>/dev/null); set -f
	IFS=$nl; set -- $l; IFS=' '
	all= front= c=0
	for s; do
		case $s in *" $p "*) fields "$s";; *) continue;; esac
		[ "$n" = "$p" ] && ! dead || continue
		all="$all $q" c=$((c+1))
		[ "$q" != "$p" ] && [ "$g" != "$fg" ] || front="$front $q"
	done
}
alive() {
	for d in $front; do look "$d" && [ "$n" = "$p" ] && return; done
	return 1
}
await() {
	i=0
	while alive && [ "$i" -lt "$1" ]; do
		i=$((i+1)); sleep 0.1 2>/dev/null || { sleep 1; i=$((i+10)); }
	done
}
look "$p" && [ "$b" = "$t" ] || { echo gone; exit 0; }
fg=$f; [ "$fg" -gt 0 ] || fg=$g
scan; { kill -HUP $all; kill -CONT $all; } 2>/dev/null
await 10; scan
[ -z "$front" ] || { kill -KILL $front 2>/dev/null; await 20; scan; }
[ "$c" = 0 ] && echo gone || echo "left $c"`

// endCommand is the command that ends p and all that it leads.
func endCommand(p process) []string {
	return []string{"sh", "-c", endShell, "periscope", strconv.Itoa(p.pid), p.start}
}

// ended is what became of a shell: a word of the audit event.
type ended string

const (
	endedVerified   ended = "verified"
	endedUnverified ended = "unverified"
	endedLeft       ended = "left"
)

// parseEnded reads what endShell printed.
func parseEnded(out []byte) ended {
	word := strings.TrimSpace(string(out))
	if word == "gone" {
		return endedVerified
	}
	var n int
	if _, err := fmt.Sscanf(word, "left %d", &n); err == nil {
		return endedLeft
	}
	return endedUnverified
}
