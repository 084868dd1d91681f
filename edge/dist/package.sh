#!/usr/bin/env bash
# Builds the Debian packages for boards with a 32-bit (armhf: Raspberry Pi 2 and up) and a 64-bit system (arm64), or for PCs (amd64), into
# target/packages/:
#   edge/dist/package.sh [armhf|arm64|amd64]...
# They need glibc 2.28, whatever this machine has: edge/dist/build builds the programs, and says what it needs. Needs cargo-deb, too.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v cargo-deb >/dev/null || { echo "package.sh: cargo-deb is missing: cargo install cargo-deb" >&2; exit 1; }
# The same sources give the same package.
SOURCE_DATE_EPOCH=$(edge/dist/commit-time)
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
  edge/dist/build "$target"
  cargo deb --quiet --package headwater --target "$target" --no-build --no-strip --output target/packages/
done
ls -l target/packages/*.deb
