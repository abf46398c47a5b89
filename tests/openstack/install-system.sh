#!/bin/sh
# Installs what OpenStack's services need of Debian, and only what is missing: RabbitMQ, and the C
# library of Swift. None is started as a service of the machine: the tests start their own.
set -eu

packages=""
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || packages="$packages rabbitmq-server"
ldconfig -p | grep -q 'liberasurecode\.so\.1' || packages="$packages liberasurecode1"
[ -n "$packages" ] || exit 0

as_root=""
[ "$(id -u)" -eq 0 ] || as_root="sudo"
install() {
    # RUNLEVEL is for invoke-rc.d, which then starts nothing.
    # shellcheck disable=SC2086
    $as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends $packages >/dev/null
}
echo "Installing:$packages"
# The lists of a fresh machine are empty; those of an old one may name versions that are gone.
install 2>/dev/null || {
    $as_root apt-get update -qq
    install
}
