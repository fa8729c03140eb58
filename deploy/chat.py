"""Streams one chat from an Ollama server to the terminal and prints its speed. usage: chat.py URL MODEL QUESTION"""

import json
import sys
import urllib.request

url, model, question = sys.argv[1:]
body = {"model": model, "messages": [{"role": "user", "content": question}], "options": {"temperature": 0}}
request = urllib.request.Request(url + "/api/chat", json.dumps(body).encode())
# A proxy of the environment must not stand between us and this machine.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

print(f">>> {question}", flush=True)
with opener.open(request, timeout=600) as answer:
    for line in answer:
        record = json.loads(line)
        if "error" in record:
            sys.exit(f"\nerror: {record['error']}")
        print(record["message"]["content"], end="", flush=True)
if not record.get("done"):
    sys.exit("\nthe answer ended in the middle")

print("\n")
for name, count, duration in [
    ("prompt", record["prompt_eval_count"], record["prompt_eval_duration"]),
    ("answer", record["eval_count"], record["eval_duration"]),
]:
    print(f"{name}: {count} tokens, {count / duration * 1e9:.1f} tokens/s")
