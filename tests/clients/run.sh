#!/usr/bin/env bash
# Runs the real client libraries, unchanged, against a running server.
#
#   tests/clients/run.sh http://127.0.0.1:11434 CHAT TOOLS EMBED [NAME...]
#
# CHAT, TOOLS and EMBED are models in the server's store: one that chats, one that thinks and calls tools when it is asked
# for the weather (tools.modelfile), one that embeds; nothing else may use the server meanwhile. NAMEs choose clients
# (ollama_python, openai_js, ...), else all run; SOAK_SECONDS is how long the fifty clients of soak.py stay.
# The libraries are installed once into tests/clients/.cache (git-ignored), in the versions pinned in constraints.txt and
# package.json. Both languages must be on this machine: a client that was not run has not passed.
set -euo pipefail

[ $# -ge 4 ] || { echo "usage: $0 HOST CHAT TOOLS EMBED [NAME...]" >&2; exit 2; }
models=("$1" "$2" "$3" "$4")
shift 4
here=$(cd "$(dirname "$0")" && pwd)
cache=$here/.cache
mkdir -p "$cache"
failed=0

# Fails if a copy of these files, made after what they pin was installed, is not there or not the same.
fresh() { # stamp, file...
    local stamp=$cache/$1
    shift
    [ -f "$stamp" ] && cat "$@" | cmp -s - "$stamp"
}

install_python() {
    local pins=("$here/requirements.txt" "$here/constraints.txt")
    fresh python.stamp "${pins[@]}" && return
    rm -rf "$cache/venv"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install --quiet -r "$here/requirements.txt" -c "$here/constraints.txt"
    cat "${pins[@]}" > "$cache/python.stamp"
}

install_javascript() {
    fresh javascript.stamp "$here/package.json" && return
    mkdir -p "$cache/js"
    cp "$here/package.json" "$cache/js/package.json"
    npm install --prefix "$cache/js" --silent --no-audit --no-fund
    cp "$here/package.json" "$cache/javascript.stamp"
}

command -v python3 >/dev/null || { echo "FAILED: there is no python3 on this machine" >&2; exit 1; }
command -v npm >/dev/null || { echo "FAILED: there is no npm on this machine" >&2; exit 1; }
install_python
install_javascript
# Modules resolve from the script's own place, so the scripts run from beside their node_modules.
cp "$here"/*.mjs "$cache/js/"

client() { # name
    local began=$SECONDS
    case $1 in
        *_python) "$cache/venv/bin/python" "$here/$1.py" "${models[@]}" || failed=1 ;;
        *_js) node "$cache/js/$1.mjs" "${models[@]}" || failed=1 ;;
        langchain_own) "$here/langchain_own.sh" "$cache" "${models[@]}" || failed=1 ;;
        soak) "$cache/venv/bin/python" "$here/soak.py" "${models[@]}" "${SOAK_SECONDS:-120}" || failed=1 ;;
        *) echo "there is no client $1" >&2; exit 2 ;;
    esac
    echo "        $1: $((SECONDS - began)) s"
}

[ $# -gt 0 ] || set -- ollama_python ollama_js openai_python openai_js anthropic_python litellm_python \
    llama_index_python langchain_python vercel_js langchain_own schema_python soak
for name in "$@"; do
    client "$name"
done
exit "$failed"
