#!/usr/bin/env bash
# Builds the Debian packages for boards with a 32-bit (armhf: Raspberry Pi 2 and up) and a 64-bit system (arm64), or for PCs (amd64), into
# target/packages/:
#   edge/dist/package.sh [armhf|arm64|amd64]...
# They need glibc 2.28, whatever this machine has: edge/dist/zig brings the linker. Needs cargo-deb (cargo install cargo-deb), Python 3 with
# venv, and binutils.
set -euo pipefail
cd "$(dirname "$0")/../.."
oldest_glibc=2.28 # as edge/Cargo.toml says in `depends`
need() { command -v "$1" >/dev/null || { echo "package.sh: $1 is missing: $2" >&2; exit 1; }; }
need cargo-deb "cargo install cargo-deb"
edge/dist/zig
export PATH=$PWD/target/zig/bin:$PATH
# The same sources give the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
mkdir -p target/packages
[ $# -gt 0 ] || set -- armhf arm64
for arch in "$@"; do
  case $arch in
    armhf) target=armv7-unknown-linux-gnueabihf ;;
    arm64) target=aarch64-unknown-linux-gnu ;;
    amd64) target=x86_64-unknown-linux-gnu ;;
    *) echo "package.sh: there is no architecture '$arch': it is armhf, arm64 or amd64" >&2; exit 2 ;;
  esac
  rustup target add "$target" 2>/dev/null
  cargo zigbuild --quiet --release --package headwater --target "$target.$oldest_glibc"
  echo "$arch: needs glibc $(edge/dist/glibc "target/$target/release/headwater" "$oldest_glibc")"
  cargo deb --quiet --package headwater --target "$target" --no-build --no-strip --output target/packages/
done
ls -l target/packages/*.deb
