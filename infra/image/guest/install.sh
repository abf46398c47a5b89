#!/bin/sh
# Installs the guest agent of the bundle that this file lies in: on a running server, in a chroot, in
# an element of diskimage-builder. Needs root and no network; the same bundle again changes nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$(cat "$here/VERSION")
base=/opt/coffer
release=$base/releases/$version

fail() {
    echo "install: $1" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "has to run as root"
for tool in python3 mariadbd mkfs.ext4 resize2fs blkid mount systemctl; do
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
        fail "$tool is missing (Debian: apt install python3-venv mariadb-server e2fsprogs systemd)"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or later is needed"

if [ ! -e "$release/complete" ]; then
    rm -rf "$release"
    mkdir -p "$base/releases"
    python3 -m venv "$release" || fail "python3 -m venv does not work (Debian: apt install python3-venv)"
    "$release/bin/python" -m pip install --isolated --quiet --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" "coffer-guest-agent==$version"
    touch "$release/complete"
fi
ln -sfn "releases/$version" "$base/next"
mv -T "$base/next" "$base/current" # one step: there is always an agent

install -D -m 0644 "$here/coffer-guest-agent.service" \
    /etc/systemd/system/coffer-guest-agent.service
# The agent starts the database itself, on the volume.
systemctl --quiet mask mariadb.service
systemctl --quiet enable coffer-guest-agent.service
echo "coffer-guest-agent $version is installed."
