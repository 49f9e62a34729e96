#!/usr/bin/env bash
# deps.sh [real]: makes sure that the tools the build and the tests need are on
# this machine; with real also those of a real node.
set -euo pipefail

need_go=1.26
missing=()

have() { command -v "$1" >/dev/null 2>&1; }

if ! have go; then
  echo "Go $need_go or newer is needed and there is none on this machine. Install it from go.dev/dl, then run this again." >&2
  exit 1
fi
found=$(go env GOVERSION | sed 's/^go//')
if [ "$(printf '%s\n%s\n' "$need_go" "$found" | sort -V | head -n1)" != "$need_go" ]; then
  echo "Go $need_go or newer is needed; this machine has $found. Install a newer one from go.dev/dl, then run this again." >&2
  exit 1
fi
have gcc || missing+=(gcc libc6-dev)
have git || missing+=(git)
{ have node && have npm; } || missing+=(nodejs npm)
# Both at once: they share a package, of one version.
{ have chromium && have chromium-headless-shell; } || missing+=(chromium chromium-headless-shell)
[ -x /usr/sbin/haproxy ] || missing+=(haproxy)
compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
have fc-list && fc-list : family 2>/dev/null | grep -qi 'cjk' || missing+=(fontconfig fonts-noto-cjk)
have fc-list && fc-list : family 2>/dev/null | grep -qi 'emoji' || missing+=(fonts-noto-color-emoji)
if [ "${1:-}" = real ]; then
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
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "Installing ${missing[*]} with apt-get"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" | sed -n '/^Setting up/p'
