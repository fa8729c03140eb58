#!/usr/bin/env bash
# usage: deploy/deps.sh demo|test
# Makes sure that what the build and the scripts need is there. As root on Debian or Ubuntu missing packages are
# installed, by name; otherwise this says what to install and fails.
set -euo pipefail

purpose=${1:-demo}
minimum=1.95
missing=()
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
need cc build-essential
need git git
need python3 python3
# Debian ships the venv module without pip's bootstrap unless python3-venv is there.
python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
python3 -m pip --version >/dev/null 2>&1 || missing+=(python3-pip)
if [ "$purpose" = test ]; then
    need npm npm
    need node nodejs
    need curl curl
fi
# Debian 13 and Ubuntu 24.04 have rustup as a package.
command -v cargo >/dev/null 2>&1 || { [ -x "$HOME/.cargo/bin/cargo" ] || missing+=(rustup); }

if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing: ${missing[*]}"
        apt-get update -qq
        if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
            echo "cannot install ${missing[*]}; for Rust follow https://rustup.rs" >&2
            exit 1
        fi
    else
        echo "missing: ${missing[*]}" >&2
        echo "install with: sudo apt install ${missing[*]}    (Rust also from https://rustup.rs)" >&2
        exit 1
    fi
fi

export PATH="$PATH:$HOME/.cargo/bin"
cargo --version >/dev/null 2>&1 || rustup default stable
found=$(cargo --version | awk '{print $2}')
if [ "$(printf '%s\n%s\n' "$minimum" "$found" | sort -V | head -1)" != "$minimum" ]; then
    echo "Rust $found is too old, $minimum or newer is needed: rustup update stable" >&2
    exit 1
fi
if [ "$purpose" = test ]; then
    for component in rustfmt clippy; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
    done
fi
