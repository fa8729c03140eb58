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
need c++ build-essential
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
# Before the system's directories: a toolchain of one's own is there because the system's is too old.
export PATH="$HOME/.cargo/bin:$PATH"
rust="install Rust $minimum or newer with: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
have_rust() { command -v cargo >/dev/null 2>&1; }
apt_install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }

if [ ${#missing[@]} -gt 0 ] || ! have_rust; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sed '/^$/d' | sort -u)
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here" >&2
        # Debian 13 and Ubuntu 24.04 have rustup as a package, older ones do not.
        if ! have_rust && [ -n "$(apt-cache madison rustup 2>/dev/null)" ]; then
            missing+=(rustup)
        fi
        if [ ${#missing[@]} -gt 0 ]; then
            echo "installing: ${missing[*]}" >&2
            failed=()
            # One by one if not all at once, so that a package that does not exist keeps no other one out.
            apt_install "${missing[@]}" || for package in "${missing[@]}"; do
                apt_install "$package" || failed+=("$package")
            done
            [ ${#failed[@]} -eq 0 ] || { echo "apt-get cannot install ${failed[*]}: see above" >&2; exit 1; }
        fi
    elif [ ${#missing[@]} -gt 0 ]; then
        echo "missing: ${missing[*]}; on Debian and Ubuntu: sudo apt install ${missing[*]}" >&2
        have_rust || echo "$rust" >&2
        exit 1
    fi
fi

have_rust || { echo "$rust" >&2; exit 1; }
# rustup as a package comes without a toolchain.
cargo --version >/dev/null 2>&1 || rustup default stable
found=$(cargo --version | awk '{print $2}')
if [ "$(printf '%s\n%s\n' "$minimum" "$found" | sort -V | head -1)" != "$minimum" ]; then
    echo "Rust $found ($(command -v cargo)) is too old" >&2
    if command -v rustup >/dev/null 2>&1; then echo "update it with: rustup update stable" >&2; else echo "$rust" >&2; fi
    exit 1
fi
if [ "$purpose" = test ]; then
    for component in rustfmt clippy; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
    done
fi
