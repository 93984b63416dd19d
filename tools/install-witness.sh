#!/bin/sh
# Unpacks litewitness and witnessctl, a witness of others, into .beacon/bin/torchwood: Debian's package `torchwood` of sid,
# whose programs need nothing but libc. apt's own state is not touched. Fast when they are there.
set -eu
cd "$(dirname "$0")/.."
target=.beacon/bin/torchwood
if [ -x "$target/usr/bin/litewitness" ] && [ -x "$target/usr/bin/witnessctl" ]; then
  echo 'litewitness: there'
  exit 0
fi
for program in apt-get dpkg ssh-agent ssh-add ssh-keygen; do
  command -v "$program" > /dev/null 2>&1 || { echo "litewitness: needs $program" >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/deb"
# From the mirror that this machine uses for its own release.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' 'Origin: Debian' | grep -v security | head -n 1)
[ -n "$mirror" ] || { echo 'litewitness: apt knows no mirror of Debian' >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" > "$work/sources.list"
set -- -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
  -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root
apt-get "$@" update > "$work/log" 2>&1 || { tail -3 "$work/log" >&2; exit 1; }
(cd "$work/deb" && apt-get "$@" download torchwood >> "$work/log" 2>&1) || { tail -3 "$work/log" >&2; exit 1; }
mkdir -p "$target"
dpkg -x "$work"/deb/torchwood_*.deb "$target"
echo "litewitness: unpacked into $target"
