#!/usr/bin/env bash
# Measures headwater on a board with 64 MB: memory, CPU and posts a second. The board is an emulated one, started by the program ARM_BOARD
# names: `$ARM_BOARD --ram MiB DIR` boots it, runs DIR/boot as root and shows what that prints; 127.0.0.1 is 10.0.2.2 to it.
#
#   ARM_BOARD=arm-board bench/on-the-board.sh [POSTS [OPTION...]]     OPTION is one of headwater's: --pack --linger 1s
#
# Emulated instructions take other times than a Pi's: memory is exact, the rate is a hint. About two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${ARM_BOARD:?names the program that boots a board}"
posts=${1:-10000}
options=${*:2}
target=armv7-unknown-linux-gnueabihf

cargo build -q --release --target "$target"
(cd bench && cargo build -q --release -p sink)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
coproc sink { exec target/bench/release/sink "$dir/certificate.pem"; }
read -r port <&"${sink[0]}"
echo hold >&"${sink[1]}"

cp "target/$target/release/headwater" "$dir/"
(cd bench && python3 -c "import contenders; print(contenders.posts($posts, 465).decode(), end='')") >"$dir/posts"
cat >"$dir/settings" <<END
export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secret AWS_REGION=eu-west-1 AWS_STREAM_NAME=posts
export AWS_ENDPOINT_URL=https://10.0.2.2:$port AWS_CA_BUNDLE=/board/certificate.pem
export HEADWATER_SOURCE=lines HEADWATER_WHEN_FULL=block HEADWATER_SPOOL=/var/lib/headwater/spool
# As headwater.service has it.
export MALLOC_ARENA_MAX=1
export HEADWATER_METRICS_FILE=/run/metrics RUNTIME_DIRECTORY=/run/headwater HEADWATER_SPOOL_SIZE=16MiB
posts=$posts options="$options"
date -s @$(date +%s) >/dev/null
END
cat >"$dir/boot" <<'END'
#!/bin/sh
. /board/settings
mkdir -m 755 "$RUNTIME_DIRECTORY"
memory() { sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$2/status" 2>/dev/null; }
read_total() { sed -n 's/^headwater_read_total //p' /run/metrics 2>/dev/null; }

# The board's console is read one line behind: another line brings this one through.
mark() { printf '%s\n\n' "$1"; }

# A backlog: all is read while no call is answered, then it drains.
/board/headwater pizza $options </board/posts >/run/log 2>&1 &
pid=$!
while [ "$(read_total)" != "$posts" ] && kill -0 $pid; do sleep 0.2; done
mark FILLED
while peak=$(memory VmHWM $pid) && [ -n "$peak" ]; do
  last=$peak
  sleep 0.1
done
wait $pid || { cat /run/log; exit 1; }
mark "peak $last"

# Ten posts a second.
head -n 60 /board/posts | while read -r line; do
  echo "$line"
  sleep 0.1
done | /board/headwater pizza $options >/run/log 2>&1 &
pid=$!
sleep 6
mark "idle $(memory VmRSS $pid) KiB, RssAnon $(memory RssAnon $pid) KiB"
wait $pid || { cat /run/log; exit 1; }
END
chmod +x "$dir/boot"

report() { # FIELD...
  local line field
  echo report >&"${sink[1]}"
  read -r line <&"${sink[0]}"
  for field; do sed "s/.*\"$field\":\([0-9]*\).*/\1/" <<<"$line"; done
}

while read -r what value; do
  case $what in
    FILLED)
      report calls >/dev/null
      echo open >&"${sink[1]}"
      ;;
    peak)
      mapfile -t seen < <(report posts first_ns last_ns)
      echo "posts a second, draining: $((seen[0] * 1000000000 / (seen[2] - seen[1])))"
      echo "peak memory, draining:    $value KiB"
      ;;
    idle) echo "memory at 10 posts/s:     $value" ;;
    '') ;;
    *) echo "board: $what $value" ;;
  esac
done < <("$ARM_BOARD" --ram 64 "$dir" || echo "failed: $?")
