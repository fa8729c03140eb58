#!/usr/bin/env bash
# LangChain's own tests of its classes for Ollama, those that need a live server, from its source distribution:
# langchain_own.sh CACHE HOST CHAT TOOLS EMBED
#
# They name models that would fill a machine; the small ones here take their places. Not run are the tests of reasoning, which
# need a model that thinks, and those of chat models: most judge what is said, or expect a call of a tool unasked.
set -euo pipefail
cache=$1 host=$2 chat=$3 embed=$5
version=$(sed -n 's/^langchain-ollama==//p' "$(dirname "$0")/constraints.txt")
source=$cache/langchain_ollama-$version
if [ ! -d "$source" ]; then
    "$cache/venv/bin/pip" download --quiet --no-deps --no-binary :all: -d "$cache" "langchain-ollama==$version"
    tar -xzf "$source.tar.gz" -C "$cache"
fi

post() { # path, body
    curl -fsS "$host$1" -d "$2" >/dev/null
}
# Short answers: the tests ask for as much as a model likes to say.
post /api/create "{\"model\": \"langchain-chat\", \"from\": \"$chat\", \"parameters\": {\"num_predict\": 24}, \"stream\": false}"
post /api/copy "{\"source\": \"$embed\", \"destination\": \"langchain-embed\"}"

cd "$source"
pytest() {
    "$cache/venv/bin/python" -m pytest -q -p no:cacheprovider -o addopts= -o asyncio_mode=auto "$@"
}
export OLLAMA_HOST=$host
status=0
OLLAMA_TEST_MODEL=langchain-chat pytest tests/integration_tests/test_llms.py -k "not reasoning" || status=1
OLLAMA_TEST_MODEL=langchain-embed pytest tests/integration_tests/test_embeddings.py || status=1
for model in langchain-chat langchain-embed; do
    curl -fsS -X DELETE "$host/api/delete" -d "{\"model\": \"$model\"}" >/dev/null
done
exit "$status"
