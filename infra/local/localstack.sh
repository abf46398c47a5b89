#!/bin/sh
# Runs a command with COFFER_WIRE_ENDPOINT naming a LocalStack: the one in AWS_ENDPOINT_URL, else one
# from ../shared/localstack, which is installed below .cache, started on a free port and stopped after.
#   PYTHON=… sh infra/local/localstack.sh command [argument …]
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
shared=../shared/localstack

if [ -n "${AWS_ENDPOINT_URL:-}" ]; then
    COFFER_WIRE_ENDPOINT=$AWS_ENDPOINT_URL exec "$@"
fi
if [ ! -x "$shared/install.sh" ]; then
    cat >&2 <<'END'
There is no LocalStack to test against. Start one, for example
    docker run --rm --network host -v /var/run/docker.sock:/var/run/docker.sock \
        -e LAMBDA_DOCKER_NETWORK=host localstack/localstack:4.9.2
and name it:
    AWS_ENDPOINT_URL=http://127.0.0.1:4566 make test-localstack
END
    exit 2
fi

DIR=$PWD/.cache/localstack
export DIR
mkdir -p "$DIR"
echo "LocalStack: installing what is missing below .cache (about a minute the first time)"
PYTHON=$(command -v "${PYTHON3:-python3.11}") "$shared/install.sh" >"$DIR/install.txt" 2>&1 || {
    tail -n 20 "$DIR/install.txt" >&2
    exit 1
}
# A certificate of ours: LocalStack 4.9.2 can't make its own with today's pyOpenSSL.
"$PYTHON" -m infra.local.certificate "$DIR/certificate.pem"
# Below the ports that Linux gives to clients, one of which could have it before LocalStack does.
PORT=$("$PYTHON" -c 'from tests.support.loopback import free_port; print(free_port())')
export PORT
trap '"$shared/stop.sh"' EXIT
trap 'exit 130' INT TERM
COFFER_WIRE_ENDPOINT=$("$shared/start.sh" "CUSTOM_SSL_CERT_PATH=$DIR/certificate.pem" \
    "LAMBDA_LOCAL_PYTHON=$(realpath -s "$PYTHON")")
export COFFER_WIRE_ENDPOINT
echo "LocalStack answers at $COFFER_WIRE_ENDPOINT"
"$@"
