#!/bin/sh
# Installs what the tests of the local backend need beside Node (Debian, Ubuntu; as root). Fast when all is there.
set -eu

missing=
need() { command -v "$1" > /dev/null 2>&1 || missing="$missing $2"; }
need bwrap bubblewrap
need podman podman
need runc runc
need conmon conmon
need newuidmap uidmap
need busybox busybox-static
need setpriv util-linux
need setsid util-linux
need mkfifo coreutils

if [ -z "$missing" ]; then
  echo 'test tools: all there'
  exit 0
fi
if ! command -v apt-get > /dev/null 2>&1; then
  echo "test tools: please install$missing" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "test tools: run as root, or: sudo apt-get install --no-install-recommends$missing" >&2
  exit 1
fi
echo "test tools: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing > /dev/null 2>&1 || {
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing > /dev/null
}
