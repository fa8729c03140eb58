#!/bin/sh
# Runs the real client libraries, unchanged, against a running server.
#
#   tests/clients/run.sh http://127.0.0.1:11434 smollm2
#
# MODEL must be in the server's store; nothing else may use the server meanwhile. The libraries are installed once into
# tests/clients/.cache (git-ignored), in the versions pinned in requirements.txt and package.json. Both languages must be
# on this machine: a client that was not run has not passed.
set -eu

if [ $# -ne 2 ]; then
    echo "usage: $0 HOST MODEL" >&2
    exit 2
fi
host=$1
model=$2
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/.cache
mkdir -p "$cache"
failed=0

# Installs again only when the pinned versions change.
fresh() {
    [ -f "$cache/$2" ] && cmp -s "$here/$1" "$cache/$2"
}

if command -v python3 >/dev/null 2>&1; then
    if ! fresh requirements.txt python.stamp; then
        rm -rf "$cache/venv"
        python3 -m venv "$cache/venv"
        "$cache/venv/bin/pip" install --quiet -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$cache/python.stamp"
    fi
    "$cache/venv/bin/python" "$here/ollama_python.py" "$host" "$model" || failed=1
else
    echo "FAILED: ollama-python was not run: there is no python3 on this machine" >&2
    failed=1
fi

if command -v npm >/dev/null 2>&1; then
    if ! fresh package.json javascript.stamp; then
        mkdir -p "$cache/js"
        cp "$here/package.json" "$cache/js/package.json"
        npm install --prefix "$cache/js" --silent --no-audit --no-fund
        cp "$here/package.json" "$cache/javascript.stamp"
    fi
    # Modules resolve from the script's own place, so the script runs from beside its node_modules.
    cp "$here/ollama_js.mjs" "$cache/js/ollama_js.mjs"
    node "$cache/js/ollama_js.mjs" "$host" "$model" || failed=1
else
    echo "FAILED: ollama-js was not run: there is no npm on this machine" >&2
    failed=1
fi
exit "$failed"
