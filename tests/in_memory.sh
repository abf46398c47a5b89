#!/bin/sh
# Runs a command whose temporary files are in memory: the databases of the tests are made to be
# thrown away, and the disk has a third of their time. They are mounted for this command and what it
# starts alone, so that nothing stays, however it ends. Who has chosen a TMPDIR keeps it; without the
# right to mount, or with little memory, all is where it always is.
set -u
ENOUGH_KB=12000000

has_room() {
    free_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo 2>/dev/null)
    most=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || echo max)
    [ "${free_kb:-0}" -ge $ENOUGH_KB ] && { [ "$most" = max ] || [ "${most%???}" -ge $ENOUGH_KB ]; }
}

if [ -n "${TMPDIR:-}" ] || ! has_room || ! unshare --mount true 2>/dev/null; then
    exec "$@"
fi
folder=$(mktemp -d /tmp/coffer-XXXXXX) || exec "$@"
unshare --mount sh -uc '
    mount -t tmpfs coffer "$0" && export TMPDIR="$0"
    exec "$@"' "$folder" "$@"
code=$?
rmdir "$folder"
exit $code
