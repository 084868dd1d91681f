#!/usr/bin/env bash
# Writes bench/results/size.md: what each crate costs in the board's binary. Bytes of code, told apart by the names of functions
# (cargo-bloat): an estimate, good enough to see who does not earn its place.
#
#   bench/size.sh
#
# Needs gcc-arm-linux-gnueabihf and cargo-bloat (cargo install cargo-bloat).
set -euo pipefail
cd "$(dirname "$0")/.."
board=armv7-unknown-linux-gnueabihf

cargo build -q --release --target "$board"
shipped=$(stat -c %s "target/$board/release/headwater")
CARGO_PROFILE_RELEASE_STRIP=none cargo bloat --release -p headwater --target "$board" --target-dir target/bench/size \
  --crates -n 0 --message-format json |
  python3 -c '
import json, sys

found = json.load(sys.stdin)
crates = sorted(found["crates"], key=lambda crate: -crate["size"])
large = [crate for crate in crates if crate["size"] >= 2048]
small = sum(crate["size"] for crate in crates) - sum(crate["size"] for crate in large)
print("# What each crate costs on the board\n")
print(f"By `bench/size.sh`: the armv7 binary has {int(sys.argv[1]) / 1e6:.2f} MB, {found['"'text-section-size'"'] / 1e6:.2f} MB of them code.\n")
print("| crate | KiB of code |\n|---|---:|")
for crate in large:
    print(f"| {crate['"'name'"']} | {crate['"'size'"'] / 1024:.1f} |")
print(f"| {len(crates) - len(large)} others | {small / 1024:.1f} |")
' "$shipped" >target/bench/size.md
mv target/bench/size.md bench/results/size.md
cat bench/results/size.md
