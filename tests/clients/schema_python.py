"""Schemathesis over /openapi.json: schema_python.py HOST MODEL TOOLS EMBED.

Requests made from the description must be answered as described and never with a 5xx. Names of models are narrowed to one that is there and one that is not, and answers to a
few tokens: everything would be refused otherwise, or go on for minutes.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

HOST, MODEL, _, EMBED = sys.argv[1:5]
# Takes away or renames what the others use; transfers are not there yet and say so with 501.
EXCLUDED = ["/api/delete", "/api/copy", "/api/create", "/api/pull", "/api/push", "/api/blobs/{digest}"]
LENGTHS = {"num_predict", "max_tokens", "max_completion_tokens", "max_output_tokens"}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def narrow(name, schema):
    """Changes the schema of a request."""
    properties = schema.get("properties", {})
    embeds = "mbed" in name
    for key, value in properties.items():
        if key == "model":
            properties[key] = {"enum": [EMBED if embeds else MODEL, "no-such-model"]}
        elif key in LENGTHS:
            properties[key] = {"type": "integer", "minimum": 1, "maximum": 3}
            schema["required"] = sorted({*schema.get("required", []), key})
        elif key == "keep_alive":
            properties[key] = {"enum": [30, "1m", -1]}
        elif key == "options":
            schema["required"] = sorted({*schema.get("required", []), key})
            properties[key] = next((part for part in value.get("oneOf", []) if "$ref" in part), value)
        # Templates of clients and texts to match are tried elsewhere.
        elif key == "template":
            properties[key] = {"enum": [None, "{{ .Prompt }}"]}
    return schema


def run(location):
    command = [
        pathlib.Path(sys.executable).with_name("schemathesis"), "run", location, "--url", HOST, "--no-color",
        "--mode", "positive", "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "6",
        "--seed", "1", "--workers", "1", "--request-timeout", "60", "--generation-database", "none",
        "--suppress-health-check", "all", "--warnings", "off",
    ]
    for path in EXCLUDED:
        command += ["--exclude-path", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdict = "ok     " if done.returncode == 0 else "FAILED "
    tail = 12 if done.returncode == 0 else 200
    print("\n".join(done.stdout.splitlines()[-tail:]), done.stderr, sep="\n")
    print(f"{verdict} schemathesis")
    return done.returncode == 0


with urllib.request.urlopen(f"{HOST}/openapi.json") as response:
    document = json.load(response)
for name, schema in document["components"]["schemas"].items():
    if "Request" in name or name.endswith("Options"):
        narrow(name, schema)
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "openapi.json")
    path.write_text(json.dumps(document))
    good = run(path)
sys.exit(0 if good else 1)
