#!/usr/bin/env bash
# From nothing to a post in the table, as a user goes: cloud/deploy to a local AWS, edge/ship over ssh to an emulated board, a line read there,
# its item in the table. Then both again, which must change nothing, and after a run that was killed:
#   ARM_BOARD=path/to/arm-board edge/tests/ship.sh
# ARM_BOARD is as in on-the-board.sh. HEADWATER names a program for the board, and FUNCTION a zip for this machine's processor; without them
# they are built. Needs root (the board's card is mounted once, to install Debian's ssh server), the aws command, and the binfmt of qemu-arm.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${ARM_BOARD:?name the program that boots a board}"
command -v aws >/dev/null || { echo "ship.sh: the aws command is missing: pip install awscli" >&2; exit 1; }
command -v ssh >/dev/null || { echo "ship.sh: ssh is missing: apt install openssh-client" >&2; exit 1; }

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
failed() { echo "FAILED: $*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }
# Up to a number of seconds.
within() {
  local end=$((SECONDS + $1)); shift
  until "$@"; do [ $SECONDS -lt $end ] || failed "never: $*"; sleep 1; done
}

step "a card with an ssh server, once"
ship=$PWD/target/ship
mkdir -p "$ship" "$work/once"
[ -e "$ship/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$ship/key"
if [ ! -e "$ship/card" ]; then
  printf '#!/bin/sh\n' >"$work/once/boot"
  chmod +x "$work/once/boot"
  rm -f "$ship/card.new"
  "$ARM_BOARD" --timeout 600 --disk "$ship/card.new" "$work/once"
  mkdir "$work/card"
  mount -o loop "$ship/card.new" "$work/card"
  cp /etc/resolv.conf "$work/card/etc/resolv.conf"
  printf '#!/bin/sh\nexit 101\n' >"$work/card/usr/sbin/policy-rc.d"
  chmod +x "$work/card/usr/sbin/policy-rc.d"
  {
    chroot "$work/card" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$work/card" apt-get install -y -qq --no-install-recommends openssh-server openssh-sftp-server sudo
    chroot "$work/card" useradd --create-home --shell /bin/bash pi
    install -D -m 600 "$ship/key.pub" "$work/card/home/pi/.ssh/authorized_keys"
    chroot "$work/card" chown -R pi:pi /home/pi/.ssh
  } >"$work/card.log" 2>&1 || { umount "$work/card"; failed "the ssh server was not installed"; }
  echo 'pi ALL=(ALL) NOPASSWD: ALL' >"$work/card/etc/sudoers.d/pi"
  echo 'nameserver 10.0.2.3' >"$work/card/etc/resolv.conf"
  rm "$work/card/usr/sbin/policy-rc.d"
  umount "$work/card"
  mv "$ship/card.new" "$ship/card"
fi

step "the board boots"
python3 edge/tests/board/relay.py >"$work/ports" 2>"$work/relay.log" &
pids+=($!)
within 20 test -s "$work/ports"
read -r call_port board_port <"$work/ports"
mkdir "$work/board"
cp edge/tests/board/ssh-boot "$work/board/boot"
echo "$board_port" >"$work/board/port"
cp --sparse=always "$ship/card" "$work/card.img"
"$ARM_BOARD" --systemd --timeout 2400 --disk "$work/card.img" "$work/board" >"$work/board.log" 2>&1 &
pids+=($!)
cat >"$work/ssh" <<CONFIG
Host board
  HostName 127.0.0.1
  Port $call_port
  User pi
  IdentityFile $ship/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
CONFIG
board() { ssh -F "$work/ssh" -o ConnectTimeout=600 board "$@" </dev/null; }

step "cloud/deploy to a local AWS"
cargo build -q --workspace --bin ministack
mkfifo "$work/stays"
target/debug/ministack <"$work/stays" >"$work/aws" 2>"$work/ministack.log" &
pids+=($!)
sleep infinity >"$work/stays" &
pids+=($!)
within 90 test -s "$work/aws"
AWS_ENDPOINT_URL=$(cat "$work/aws")
export AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
unset AWS_PROFILE AWS_SESSION_TOKEN
env=$work/headwater.env
case $(uname -m) in aarch64) arch=arm64 ;; *) arch=x86_64 ;; esac
deploy() { cloud/deploy headwater --bucket functions --region eu-west-1 --arch $arch ${FUNCTION:+--zip "$FUNCTION"} --env "$env" --yes </dev/null; }
deploy

step "edge/ship to the board"
within 600 board true
shipped() { edge/ship board --ssh-config "$work/ssh" --env "$env" ${HEADWATER:+--binary "$HEADWATER"} "$@"; }
# The board sees this machine's AWS under another name; that is a test's setting, not a user's.
local_settings=(--set HEADWATER_SOURCE=lines --set HEADWATER_INPUT=/var/log/posts.log --set HEADWATER_ALLOW_HTTP=1
  --set "AWS_ENDPOINT_URL=http://10.0.2.2:${AWS_ENDPOINT_URL##*:}")
board 'sudo install -m 666 /dev/null /var/log/posts.log'
shipped "${local_settings[@]}" | tee "$work/ship.log"
grep -q '^headwater runs on board' "$work/ship.log" || failed "it does not say that headwater runs"
[ "$(board 'sudo stat -c "%a %U" /etc/headwater/headwater.env')" = "600 root" ] || failed "the settings on the board are open to others"

step "a post"
items() { aws --region eu-west-1 dynamodb scan --table-name headwater-EventData --query 'Items[].Message.S' --output text; }
stored() { items | grep -qF "$1"; }
board 'echo "margherita, please" >>/var/log/posts.log'
within 120 stored "margherita, please"
items

step "the second run of both changes nothing"
cp -p "$env" "$work/env.before"
deploy | tee "$work/deploy.log"
grep -q 'stack headwater: no changes' "$work/deploy.log" || failed "the stack was changed"
cmp "$env" "$work/env.before" || failed "the settings have changed"
process() { board 'systemctl show headwater -p MainPID --value'; }
before=$(process)
shipped "${local_settings[@]}" | tee "$work/ship.log"
grep -q 'nothing had to be changed' "$work/ship.log" || failed "the board was changed"
[ "$(process)" = "$before" ] || failed "the service was started again"

step "a run that is killed while it copies is taken up by the next"
shipped --keyword pizza >"$work/ship.log" 2>&1 &
run=$!
within 300 grep -q '^to do' "$work/ship.log"
kill -9 "$run"
wait "$run" 2>/dev/null || true
shipped --keyword pizza | tee "$work/ship.log"
grep -q '^headwater runs on board' "$work/ship.log" || failed "it does not say that headwater runs"
board 'sudo grep -qx HEADWATER_KEYWORD=pizza /etc/headwater/headwater.env' || failed "the new keyword is not on the board"
[ -z "$(board 'ls -d headwater-ship 2>/dev/null; true')" ] || failed "the folder of the copy is left"
board 'echo "no pasta" >>/var/log/posts.log; echo "one more pizza" >>/var/log/posts.log'
within 120 stored "one more pizza"
! stored "no pasta" || failed "the keyword is not in force"

step "a board that does not let in is named, with what to do"
! edge/ship nobody@board --ssh-config "$work/ssh" --env "$env" >"$work/ship.log" 2>&1 </dev/null || failed "it went on"
grep 'ssh-copy-id' "$work/ship.log" || failed "it does not say what to do"

board 'sudo touch /run/off' || true
step "from nothing to a post in the table, again, and after a kill"
