#!/bin/sh
# Makes a virtual environment below .cache hold exactly the packages of a list, unless it does. Its
# commands name the folder that it was made in: when that was moved it is made anew.
#   PYTHON=… sh tests/support/environment.sh openstack tests/openstack/requirements.txt
set -eu
cd "$(dirname "$0")/../.."
environment=.cache/$1
wanted=$2
python=$(readlink -m "$environment")/bin/python
if ! cmp -s "$wanted" "$environment/installed" || ! grep -qF "$python" "$environment/bin/pip"; then
    echo "Installing the packages of $wanted into $environment"
    rm -rf "$environment"
    "${PYTHON:-python3.11}" -m venv "${python%/bin/python}"
    "$python" -m pip install --quiet --disable-pip-version-check --no-compile -r "$wanted"
    cp "$wanted" "$environment/installed"
fi
