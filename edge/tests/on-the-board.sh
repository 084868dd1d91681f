#!/usr/bin/env bash
# Installs the Debian package on a board with 128 MB and systemd, boots it again, and looks whether posts arrive, how it is, and whom the
# watchdog starts again:
#   ARM_BOARD=path/to/arm-board edge/tests/on-the-board.sh
# ARM_BOARD is a program `arm-board --systemd --disk CARD DIR` that boots the card CARD with DIR at /board and runs DIR/boot there; this machine's
# 127.0.0.1 is the board's 10.0.2.2. DEB names a package; without one it is built (see edge/dist/package.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${ARM_BOARD:?name the program that boots a board}"
posts=${POSTS:-500}
if [ -z "${DEB:-}" ]; then
  edge/dist/package.sh armhf
  DEB=$(echo target/packages/headwater_*_armhf.deb)
fi

work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
python3 edge/tests/board/stand_in.py "$posts" >"$work/port" &
server=$!
until [ -s "$work/port" ]; do sleep 0.1; done
port=$(cat "$work/port")

mkdir "$work/board"
cp edge/tests/board/boot "$work/board/"
cp "$DEB" "$work/board/headwater.deb"
echo "$posts" >"$work/board/posts"
echo "http://10.0.2.2:$port" >"$work/board/server"

"$ARM_BOARD" --systemd --timeout 600 --disk "$work/card" "$work/board"
"$ARM_BOARD" --systemd --timeout 1500 --disk "$work/card" "$work/board"

tally=$(curl -s "http://127.0.0.1:$port/tally")
echo
echo "the server's tally: $tally"
python3 - "$tally" <<'PY'
import json, sys
tally = json.loads(sys.argv[1])
sys.exit(tally["sent"] != tally["arrived"])
PY
echo "every post that was sent has arrived"
