#!/usr/bin/env bash
# Counts the instructions a post costs at each step of its way, and compares them with bench/instructions.txt.
#
#   bench/instructions.sh           fails where a step costs over 5% more or less than it did
#   bench/instructions.sh --update  writes what it counts as the new baseline
#   bench/instructions.sh --board   counts on armv7 (under qemu) instead, and compares with nothing
#
# Unlike time, instructions are nearly the same on every run and machine. Each step is counted for some posts and for twice as many: the
# difference is the step, without what starting costs. Needs valgrind; for --board qemu-user (the static one takes
# no plugins), gcc and gcc-arm-linux-gnueabihf.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
baseline=bench/instructions.txt
board=armv7-unknown-linux-gnueabihf
mode=${1:-}
case $mode in '' | --update | --board) ;; *) sed -n '2,7s/^# \?//p' "$0" >&2; exit 2 ;; esac

build=(cargo bench -q -p headwater --bench instructions --no-run --message-format=json)
[ "$mode" = --board ] && build+=(--target "$board")
program=$("${build[@]}" | sed -n 's/.*"executable":"\([^"]*instructions-[^"]*\)".*/\1/p')

if [ "$mode" = --board ]; then
  command -v qemu-arm >/dev/null || { echo "qemu-arm is missing: apt install qemu-user" >&2; exit 1; }
  plugin=$PWD/target/count-instructions.so
  gcc -O2 -Wall -Wextra -shared -fPIC -o "$plugin" bench/count-instructions.c
  counter=(qemu-arm -L /usr/arm-linux-gnueabihf -plugin "$plugin")
else
  counter=(valgrind --tool=callgrind --callgrind-out-file=/dev/null)
fi

count() { # STEP POSTS
  "${counter[@]}" "$program" "$@" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}

posts=2000
counted=$(
  for step in append commit peek filter request request-cbor request-pack sign-500 sign-cbor sign-pack sign-1; do
    once=$(count "$step" "$posts")
    twice=$(count "$step" $((2 * posts)))
    printf '%-12s %7d\n' "$step" $(((twice - once) / posts))
  done
)

case $mode in
  --board) echo "$counted" ;;
  --update) { echo "# Instructions a post, x86-64; written by bench/instructions.sh --update"; echo "$counted"; } | tee "$baseline" ;;
  *)
    awk '
      /^#/ { next }
      NR == FNR { was[$1] = $2; next }
      !($1 in was) { printf "%-12s %7d a post, new\n", $1, $2; failed = 1; next }
      {
        change = ($2 / was[$1] - 1) * 100
        bad = change > 5 || change < -5
        printf "%-12s %7d a post, %+.1f%%%s\n", $1, $2, change, bad ? "  <- over 5%" : ""
        failed = failed || bad
      }
      END { exit failed }
    ' "$baseline" - <<<"$counted" || {
      echo "A step costs more or less than it did. Find out why; if it is right, run bench/instructions.sh --update." >&2
      exit 1
    } ;;
esac
