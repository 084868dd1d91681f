#!/bin/sh
# Installs headwater and its service on this machine:  sudo ./install.sh [BINARY]
# An update is the same command again; settings and posts stay. Undo it with uninstall.sh.
set -eu
cd "$(dirname "$0")"
binary=${1:-./headwater}
[ "$(id -u)" = 0 ] || { echo "install.sh: run it with sudo" >&2; exit 1; }
[ -x "$binary" ] || { echo "install.sh: there is no program at $binary: name it, as in ./install.sh path/to/headwater" >&2; exit 1; }
"$binary" --version >/dev/null || { echo "install.sh: $binary does not run on this machine: build it for $(uname -m)" >&2; exit 1; }

install -D -m 755 "$binary" /usr/local/bin/headwater
install -D -m 644 headwater.service /etc/systemd/system/headwater.service
install -D -m 644 headwater.sysusers /etc/sysusers.d/headwater.conf
install -D -m 644 headwater.1 /usr/local/share/man/man1/headwater.1
install -D -m 644 completions/headwater.bash /usr/local/share/bash-completion/completions/headwater
install -D -m 644 completions/_headwater /usr/local/share/zsh/site-functions/_headwater
install -D -m 644 completions/headwater.fish /usr/local/share/fish/vendor_completions.d/headwater.fish
[ -e /etc/headwater/headwater.env ] || install -D -m 600 headwater.env.example /etc/headwater/headwater.env

systemd-sysusers headwater.conf
systemctl daemon-reload
systemctl enable --quiet headwater

if headwater check; then
  systemctl restart headwater
  echo "headwater runs: 'headwater status' shows what it does"
else
  echo "headwater is installed, and starts at the next boot. Settings: /etc/headwater/headwater.env, then"
  echo "  sudo headwater check && sudo systemctl restart headwater"
fi
