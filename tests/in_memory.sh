#!/bin/sh
# Runs a command whose temporary files are in memory. The databases of the tests are made to be
# thrown away, and the disk's part of their time is a third. The folder is mounted for this
# command alone, so that nothing is left of it however it ends. Without the right to mount, or with
# little memory, the command has its files where they always are.
set -eu
FOLDER=/tmp/coffer-tests
ENOUGH_KB=8000000
free_kb=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
mkdir -p "$FOLDER"
if [ "$free_kb" -ge $ENOUGH_KB ] && unshare --mount mount -t tmpfs coffer "$FOLDER" 2>/dev/null; then
    exec unshare --mount sh -euc '
        mount -t tmpfs coffer "$0"
        export TMPDIR="$0"
        exec "$@"' "$FOLDER" "$@"
fi
exec "$@"
