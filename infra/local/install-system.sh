#!/bin/sh
# Installs what the database servers on this machine need, and only what is missing: MariaDB's,
# PostgreSQL's and Redis's servers and clients, what copies a MariaDB that runs, Python's venv module,
# and the unprivileged users that they run as.
set -eu

packages=""
[ -x /usr/sbin/mariadbd ] || packages="$packages mariadb-server-core"
[ -x /usr/bin/mariadb ] || packages="$packages mariadb-client-core"
[ -x /usr/bin/mariadb-backup ] || packages="$packages mariadb-backup"
[ -n "$(ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ] || packages="$packages postgresql-15"
[ -x /usr/bin/redis-server ] || packages="$packages redis-server"
if ! "${PYTHON:-python3.11}" -c 'import ensurepip' 2>/dev/null; then
    packages="$packages python3.11-venv"
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo"
fi

if [ -n "$packages" ]; then
    if [ -n "$as_root" ] && ! command -v sudo >/dev/null; then
        echo "Missing:$packages. Install them as root, e.g.: apt-get install$packages" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    echo "Installing:$packages"
    # Debian's packages start servers of their own, unless told not to: the agents start theirs.
    case $packages in *postgresql*)
        $as_root mkdir -p /etc/postgresql-common/createcluster.d
        echo "create_main_cluster = false" |
            $as_root tee /etc/postgresql-common/createcluster.d/coffer.conf >/dev/null
        ;;
    esac
    case $packages in *redis*)
        ! command -v systemctl >/dev/null || $as_root systemctl --quiet mask redis-server.service
        ;;
    esac
    # The lists of a fresh machine are empty; those of an old one may name versions that are gone.
    # shellcheck disable=SC2086
    $as_root apt-get install -qq -y --no-install-recommends $packages >/dev/null 2>&1 || {
        $as_root apt-get update -qq
        $as_root apt-get install -qq -y --no-install-recommends $packages >/dev/null
    }
fi

# Only root can start the servers as another user; anybody else runs them as himself.
if [ -z "$as_root" ] && ! getent passwd mysql >/dev/null; then
    echo "Adding the system user mysql"
    useradd --system --user-group --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin mysql
fi
