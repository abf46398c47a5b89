#!/bin/sh
# Makes a virtual environment below .cache hold exactly the packages of a list, unless it does. Its
# commands name the folder that it was made in: when that was moved it is made anew. The list is
# whole, and the pip of PYTHON installs it: to choose, and a pip in there first, is two fifths of the time.
#   PYTHON=.venv/bin/python sh tests/support/environment.sh openstack tests/openstack/requirements.txt
set -eu
cd "$(dirname "$0")/../.."
environment=.cache/$1
wanted=$2
folder=$(readlink -m "$environment")
if ! cmp -s "$wanted" "$environment/installed" ||
    ! grep -qE "VIRTUAL_ENV=[\"']?$folder" "$environment/bin/activate"; then
    echo "Installing the packages of $wanted into $environment"
    rm -rf "$environment"
    "$PYTHON" -m venv --without-pip "$folder"
    "$PYTHON" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check \
        --no-compile --no-deps -r "$wanted"
    cp "$wanted" "$environment/installed"
fi
