#!/bin/sh
# Installs the guest agent of the bundle that this file lies in: on a running server, in a chroot, in
# an element of diskimage-builder. Needs root and no network; the same bundle again changes nothing.
# `--beside BASE` makes the release below that folder and leaves the one that runs: an agent does so
# with the bundle of another one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$(cat "$here/VERSION")
base=/opt/coffer
[ "${1-}" != --beside ] || base=$2
release=$base/releases/$version
python=${PYTHON:-python3}

fail() {
    echo "install: $1" >&2
    exit 1
}

make_release() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or later is needed"
    [ ! -e "$release/complete" ] || return 0
    rm -rf "$release"
    mkdir -p "$base/releases"
    "$python" -m venv "$release" || fail "python3 -m venv does not work (Debian: apt install python3-venv)"
    "$release/bin/python" -m pip install --isolated --quiet --disable-pip-version-check --no-cache-dir \
        --no-index --find-links "$here/wheels" "coffer-guest-agent==$version"
    sync # before the mark: after a power cut what has it is whole
    touch "$release/complete"
    sync
}

if [ "${1-}" = --beside ]; then
    make_release
    exit
fi
[ "$(id -u)" = 0 ] || fail "has to run as root"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
for tool in python3 mkfs.ext4 resize2fs blkid mount setpriv systemctl; do
    command -v "$tool" >/dev/null ||
        fail "$tool is missing (Debian: apt install python3-venv e2fsprogs util-linux systemd)"
done
engine=''
for server in mariadbd redis-server /usr/lib/postgresql/*/bin/postgres; do
    ! command -v "$server" >/dev/null || engine=$server
done
[ -n "$engine" ] ||
    fail "no database server is there (Debian: apt install mariadb-server, postgresql-15 or redis-server)"
! command -v mariadbd >/dev/null || command -v mariadb-backup >/dev/null ||
    fail "mariadb-backup is missing, which copies a MariaDB that runs (Debian: apt install mariadb-backup)"
make_release
ln -sfn "releases/$version" "$base/next"
mv -T "$base/next" "$base/current" # one step: there is always an agent

install -D -m 0644 "$here/coffer-guest-agent.service" \
    /etc/systemd/system/coffer-guest-agent.service
# The agent starts the database itself, on the volume.
systemctl --quiet mask mariadb.service postgresql.service redis-server.service
systemctl --quiet enable coffer-guest-agent.service
echo "coffer-guest-agent $version is installed."
