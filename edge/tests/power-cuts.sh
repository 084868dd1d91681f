#!/usr/bin/env bash
# Cuts the power of a board while it spools onto ext4, again and again on one card, and looks after each cut whether the spool opens and
# holds every line that had reached its deadline:
#   ARM_BOARD=path/to/arm-board edge/tests/power-cuts.sh
# ARM_BOARD is a program `arm-board --disk CARD --cut-after S DIR` that boots the card CARD with DIR at /board, runs DIR/boot there, and cuts
# the power S seconds later: what the board's kernel had not flushed to the card is gone, and its RAM with it. CUTS is how often, SEED
# draws the moments. First comes a control: a board that never flushes must fail, or these cuts would prove nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${ARM_BOARD:?name the program that boots a board}"
cuts=${CUTS:-20} seed=${SEED:-1}
target=armv7-unknown-linux-gnueabihf
parts=edge/tests/power-cuts
cargo build -q --release --target "$target" -p headwater

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/board"
cp "$parts"/{boot,feed} "target/$target/release/headwater" "$work/board/"

# cut CARD RUN S: numbers its lines from RUN * 100000 on, and leaves what the board said in console.
cut() {
  echo $(($2 * 100000)) >"$work/board/first"
  # The pipe ends with the last of the console, a moment after the board.
  "$ARM_BOARD" --disk "$1" --cut-after "$3" "$work/board" | cat >"$work/console"
}

# take_out CARD: gets the spool as the next boot would find it, from a copy whose journal is replayed.
take_out() {
  rm -f "$work/spool"*
  cp --sparse=always "$1" "$work/copy"
  e2fsck -p -E journal_only "$work/copy" >"$work/fsck" 2>&1 || [ $? = 1 ] || { cat "$work/fsck"; exit 1; }
  debugfs -R "dump /var/lib/headwater/spool $work/spool" "$work/copy" 2>/dev/null
}

survivors() { python3 "$parts/survivors.py" "$work/console" "$work/spool" "$1" "$work/board/headwater"; }

echo "seed $seed, $cuts cuts; a line is due once it was read 1 s before the last sign of life, and 0.5 s more for the machine"
touch "$work/board/never-flush"
cut "$work/control" 1 8
take_out "$work/control"
if survivors "$work/control.json" >"$work/said"; then
  cat "$work/said"
  echo "FAILED: without a flush all of this should be gone, so a cut here loses nothing"
  exit 1
fi
grep -q '[1-9][0-9]* missing' "$work/said" || { cat "$work/said" "$work/console"; exit 1; }
echo "control, never flushed: $(head -n 1 "$work/said")"
rm "$work/board/never-flush" "$work/control"

RANDOM=$seed
for run in $(seq "$cuts"); do
  after=$((3 + RANDOM % 13))
  cut "$work/card" "$run" "$after"
  take_out "$work/card"
  printf 'cut %2d after %2d s: ' "$run" "$after"
  survivors "$work/survivors.json" || { trap - EXIT; echo "FAILED: see $work"; exit 1; }
done
python3 "$parts/survivors.py" --total "$work/survivors.json"
echo "in $((SECONDS / 60)) min $((SECONDS % 60)) s"
