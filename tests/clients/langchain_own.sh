#!/usr/bin/env bash
# LangChain's own tests of its classes for Ollama, those that need a live server, from its source distribution:
# langchain_own.sh CACHE HOST CHAT TOOLS EMBED
#
# They name models that would fill a machine; the small ones here take their places, under those names where the tests have
# them fixed. What is not run asks for more judgement than a small model has: jokes that come to an end, an explanation
# after two rounds with tools.
set -euo pipefail
cache=$1 host=$2 chat=$3 tools=$4 embed=$5
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
create() { # name, from, tokens, more fields
    local parameters="{\"num_predict\": $3, \"temperature\": 0}"
    post /api/create "{\"model\": \"$1\", \"from\": \"$2\", \"stream\": false, \"parameters\": $parameters${4-}}"
}
# A question of the kind that a test has, and the call that answers it: the model does the same with the next one.
example() { # question, tool
    local call="{\"function\": {\"name\": \"$2\", \"arguments\": {\"location\": \"London\"}}}"
    echo ", \"messages\": [{\"role\": \"user\", \"content\": \"$1\"}, {\"role\": \"assistant\",
        \"thinking\": \"The user asks: $1\", \"tool_calls\": [$call]}]"
}
models=(langchain-chat langchain-embed deepseek-r1:1.5b llama3.1 gpt-oss:20b)
create "${models[0]}" "$chat" 24
post /api/copy "{\"source\": \"$embed\", \"destination\": \"${models[1]}\"}"
create "${models[2]}" "$tools" 40
create "${models[3]}" "$tools" 200 "$(example "What is the weather today in London?" get_current_weather)"
create "${models[4]}" "$tools" 120 "$(example "What is the weather in London?" get_weather)"

cd "$source"
pytest() {
    "$cache/venv/bin/python" -m pytest -q -p no:cacheprovider -o addopts= -o asyncio_mode=auto "$@"
}
export OLLAMA_HOST=$host OLLAMA_TEST_MODEL=${models[0]}
status=0
pytest tests/integration_tests/test_llms.py tests/integration_tests/chat_models/test_chat_models_reasoning.py || status=1
pytest tests/integration_tests/chat_models/test_chat_models.py \
    -k "not structured_output and not response_format and not v1" || status=1
OLLAMA_TEST_MODEL=${models[1]} pytest tests/integration_tests/test_embeddings.py || status=1
for model in "${models[@]}"; do
    curl -fsS -X DELETE "$host/api/delete" -d "{\"model\": \"$model\"}" >/dev/null
done
exit "$status"
