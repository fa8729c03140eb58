#!/usr/bin/env bash
# usage: tests/libs/run.sh DIRECTORY      the directory with the software card's libraries
set -euo pipefail
cd "$(dirname "$0")/../.."
libraries=$(realpath "$1")
python3 tests/libs/exports.py "$libraries"
