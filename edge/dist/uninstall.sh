#!/bin/sh
# Removes headwater from this machine:  sudo ./uninstall.sh [--purge]
# Settings and unsent posts stay, unless --purge is given.
set -eu
[ "$(id -u)" = 0 ] || { echo "uninstall.sh: run it with sudo" >&2; exit 1; }
systemctl disable --quiet --now headwater 2>/dev/null || true
rm -f /usr/local/bin/headwater /etc/systemd/system/headwater.service /etc/sysusers.d/headwater.conf \
  /usr/local/share/man/man1/headwater.1 /usr/local/share/bash-completion/completions/headwater \
  /usr/local/share/zsh/site-functions/_headwater /usr/local/share/fish/vendor_completions.d/headwater.fish
systemctl daemon-reload
if [ "${1:-}" = --purge ]; then
  rm -rf /etc/headwater /var/lib/headwater /run/headwater
  echo "headwater is gone, with its settings and posts"
else
  echo "headwater is gone; /etc/headwater and /var/lib/headwater stay (--purge takes them too)"
fi
