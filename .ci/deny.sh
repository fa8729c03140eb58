#!/usr/bin/env bash
# cargo-deny without its advisory database, which is a network service of its own. Built once into .cache.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
tool=.cache/tools/bin/cargo-deny
if ! "$tool" --version 2>/dev/null | grep -qF "$version"; then
    # Unoptimised: building takes a minute instead of ten and the check itself two seconds.
    cargo install cargo-deny --version "$version" --locked --debug --root .cache/tools
fi
"$tool" --color never check bans licenses sources
