#!/usr/bin/env bash
# deps.sh build|test|real: makes sure that the tools that the build and the demo need
# are on this machine; with test also those of the tests, with real those of a real
# node too.
set -euo pipefail

need_go=1.26
need_node=20.19
missing=()

have() { command -v "$1" >/dev/null 2>&1; }

# older FOUND NEEDED: compares versions.
older() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" != "$2" ]; }

# check_node FOUND WHOSE: refuses a version that is too old.
check_node() {
  if older "$1" "$need_node" || { older "$1" 22.12 && ! older "$1" 21; }; then
    echo "Node.js $need_node, or 22.12 or newer, is needed; $2 has $1. Install a newer one from nodejs.org, then run this again." >&2
    exit 1
  fi
}

if ! have go; then
  echo "Go $need_go or newer is needed and there is none on this machine. Install it from go.dev/dl, then run this again." >&2
  exit 1
fi
found=$(go env GOVERSION | sed 's/^go//')
if older "$found" "$need_go"; then
  echo "Go $need_go or newer is needed; this machine has $found. Install a newer one from go.dev/dl, then run this again." >&2
  exit 1
fi
have git || missing+=(git)
{ have node && have npm; } || missing+=(nodejs npm)
! have node || check_node "$(node --version | sed 's/^v//')" "this machine"
if [ "$1" != build ]; then
  have gcc || missing+=(gcc libc6-dev)
  # Both at once: they share a package, of one version.
  { have chromium && have chromium-headless-shell; } || missing+=(chromium chromium-headless-shell)
  [ -x /usr/sbin/haproxy ] || missing+=(haproxy)
  compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
  # Read to its end: a reader that stops at a match has fc-list fail.
  families=$(fc-list : family 2>/dev/null) || true
  [[ ${families,,} = *cjk* ]] || missing+=(fontconfig fonts-noto-cjk)
  [[ ${families,,} = *emoji* ]] || missing+=(fonts-noto-color-emoji)
fi
if [ "$1" = real ]; then
  have containerd || missing+=(containerd)
  have runc || missing+=(runc)
  have ip || missing+=(iproute2)
  [ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
  { [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; } || missing+=(busybox-static)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! have apt-get; then
  echo "These are needed and this machine has no apt-get to install them: ${missing[*]}. Install them, then run this again." >&2
  exit 1
fi
if [ "$(id -u)" != 0 ] && ! have sudo; then
  echo "These are needed, and installing them needs root or sudo: ${missing[*]}. Run apt-get install ${missing[*]} as root, then run this again." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo DEBIAN_FRONTEND=noninteractive) # it passes no variable on
echo "Installing ${missing[*]} with apt-get"
"${as_root[@]}" apt-get update -qq
if ! have node; then # and is better off without one that is too old
  candidate=$(LC_ALL=C apt-cache policy nodejs | sed -n 's/^  Candidate: \([0-9]*:\)\?\([0-9.]*\).*/\2/p')
  [ -z "$candidate" ] || check_node "$candidate" "this machine's apt-get"
fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" | sed -n '/^Setting up/p'
