"""Schemathesis over /openapi.json: schema_python.py HOST MODEL TOOLS EMBED.

Requests made from the description must be answered as described and never with a 5xx. Then requests that break the
description, anything in the place of anything: those may get the few 5xx that Ollama has for wrong options, formats and
templates (schema_hooks.py), and again only what is described.

Names of models are narrowed to one that is there, with short answers, and one that is not, for what makes and takes away
models to one that nobody needs: everything would be refused otherwise, or go on for minutes.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HOST, CHAT, _, EMBED = sys.argv[1:5]
MODEL, MISSING, WASTE = "short-answers", "no-such-model", "throw-away"
LENGTHS = {"num_predict", "max_tokens", "max_completion_tokens", "max_output_tokens"}
# Names of models by the request that they stand in.
NAMES = {"Create": [WASTE], "Delete": [WASTE, MISSING], "Embed": [EMBED, MISSING]}
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


def narrow(name, schema):
    """Changes the schema of a request."""
    properties = schema.get("properties", {})
    names = next((names for kind, names in NAMES.items() if kind in name), [MODEL, MISSING])
    for key, value in properties.items():
        if key in ("model", "name"):
            properties[key] = {"enum": names}
        elif key in ("from", "source"):
            properties[key] = {"enum": [MODEL, MISSING, WASTE]}
        elif key == "stream" and "Transfer" in name:
            # Whatever is transferred fails; without a stream that is a status of 5xx.
            properties[key] = {"enum": [True, None]}
        elif key == "destination":
            properties[key] = {"enum": [WASTE]}
        elif key in LENGTHS:
            properties[key] = {"type": "integer", "minimum": 1, "maximum": 3}
            schema["required"] = sorted({*schema.get("required", []), key})
        elif key == "keep_alive":
            properties[key] = {"enum": [30, "1m", -1]}
        elif key == "options":
            schema["required"] = sorted({*schema.get("required", []), key})
            properties[key] = next((part for part in value.get("oneOf", []) if "$ref" in part), value)


def run(location, mode, check, examples):
    here = pathlib.Path(__file__).parent
    command = [
        pathlib.Path(sys.executable).with_name("schemathesis"), "run", location, "--url", HOST, "--no-color",
        "--mode", mode, "--checks", f"{check},{CHECKS}", "--phases", "coverage,fuzzing",
        # One worker: threads that parse sources at once fail at times in Python before 3.13, and are no faster.
        "--max-examples", str(examples), "--seed", "1", "--workers", "1", "--request-timeout", "60",
        "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
    ]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schema_hooks", "PYTHONPATH": str(here)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=location.parent)
    verdict = "ok     " if done.returncode == 0 else "FAILED "
    tail = 12 if done.returncode == 0 else 200
    print("\n".join(done.stdout.splitlines()[-tail:]), done.stderr, sep="\n")
    print(f"{verdict} schemathesis {mode}", flush=True)
    return done.returncode == 0


def send(method, path, body):
    request = urllib.request.Request(f"{HOST}{path}", json.dumps(body).encode(), method=method)
    urllib.request.urlopen(request).close()


send("POST", "/api/create", {"model": MODEL, "from": CHAT, "parameters": {"num_predict": 3}, "stream": False})
with urllib.request.urlopen(f"{HOST}/openapi.json") as response:
    document = json.load(response)
for name, schema in document["components"]["schemas"].items():
    # The request itself, or a part of it that has the lengths of answers.
    if name.endswith(("Request", "Options")):
        narrow(name, schema)
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "openapi.json")
    path.write_text(json.dumps(document))
    good = run(path, "positive", "not_a_server_error", 15)
    bad = run(path, "negative", "no_server_error_but_those_due", 15)
send("DELETE", "/api/delete", {"model": MODEL})
# It is there if it was made last.
with contextlib.suppress(urllib.error.HTTPError):
    send("DELETE", "/api/delete", {"model": WASTE})
sys.exit(0 if good and bad else 1)
