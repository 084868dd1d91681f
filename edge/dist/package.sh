#!/usr/bin/env bash
# Builds the Debian packages for boards with a 32-bit (armhf: Raspberry Pi 2 and up) and a 64-bit system (arm64), into target/packages/:
#   edge/dist/package.sh [armhf|arm64]...
# Needs cargo-deb (cargo install cargo-deb), and gcc-arm-linux-gnueabihf or gcc-aarch64-linux-gnu.
set -euo pipefail
cd "$(dirname "$0")/../.."
need() { command -v "$1" >/dev/null || { echo "package.sh: $1 is missing: $2" >&2; exit 1; }; }
need cargo-deb "cargo install cargo-deb"
# The same sources give the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
mkdir -p target/packages
[ $# -gt 0 ] || set -- armhf arm64
for arch in "$@"; do
  case $arch in
    armhf) target=armv7-unknown-linux-gnueabihf gcc=arm-linux-gnueabihf ;;
    arm64) target=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu ;;
    *) echo "package.sh: there is no architecture '$arch': it is armhf or arm64" >&2; exit 2 ;;
  esac
  need "$gcc-gcc" "Debian: apt install gcc-$gcc"
  rustup target add "$target" 2>/dev/null
  cargo deb --quiet --package headwater --target "$target" --no-strip --output target/packages/
done
ls -l target/packages/*.deb
