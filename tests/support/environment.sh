#!/bin/sh
# Makes a virtual environment below .cache hold exactly the packages of a list, unless it does.
#   PYTHON=… sh tests/support/environment.sh openstack tests/openstack/requirements.txt
set -eu
cd "$(dirname "$0")/../.."
environment=.cache/$1
wanted=$2
if ! cmp -s "$wanted" "$environment/installed"; then
    echo "Installing the packages of $wanted into $environment"
    rm -rf "$environment"
    "${PYTHON:-python3.11}" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$environment/installed"
fi
