// Vercel's AI SDK with its provider for Ollama, both unchanged.
import assert from 'node:assert/strict'
import { embedMany, generateObject, generateText, jsonSchema, streamText, tool } from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'
import { assertPerson, collect, embedModel, host, messages, model, person, run, toolsModel, weather } from './checks.mjs'

const ollama = createOllama({ baseURL: `${host}/api` })
// The provider passes the SDK's own settings on only in part; these it passes on as they are.
const limited = (tokens) => ({
  maxRetries: 0,
  providerOptions: { ollama: { options: { temperature: 0, seed: 1, num_predict: tokens } } },
})
const options = limited(12)

await run('vercel-ollama', {
  async wholeAndStreamedAreTheSame() {
    const whole = await generateText({ model: ollama(model), messages, ...options })
    assert.ok(whole.text && whole.usage.outputTokens > 0)
    const parts = await collect(streamText({ model: ollama(model), messages, ...options }).textStream)
    assert.equal(parts.join(''), whole.text)
  },

  async object() {
    const { object } = await generateObject({
      model: ollama(model), prompt: 'Describe a person.', schema: jsonSchema(person), ...limited(200),
    })
    assertPerson(object)
  },

  async tools() {
    const tools = { get_weather: tool({ description: weather.description, inputSchema: jsonSchema(weather.parameters) }) }
    const prompt = 'What is the weather in Paris?'
    // The native route has no choice among tools: that the request goes through is all that can be asked.
    const answer = await generateText({ model: ollama(toolsModel), prompt, tools, ...options })
    assert.ok(answer.finishReason)
  },

  async embeddings() {
    const { embeddings } = await embedMany({ model: ollama.embedding(embedModel), values: ['hello', 'world'], maxRetries: 0 })
    assert.equal(embeddings.length, 2)
  },

  async errors() {
    await assert.rejects(generateText({ model: ollama('no-such-model'), messages, ...options }), { statusCode: 404 })
  },

  async abort() {
    const controller = new AbortController()
    const long = streamText({
      model: ollama(model), messages, ...limited(2000), abortSignal: controller.signal, onError() {},
    })
    for await (const _ of long.textStream) {
      controller.abort()
      break
    }
    const started = performance.now()
    await generateText({ model: ollama(model), messages, ...limited(1) })
    assert.ok(performance.now() - started < 5000, 'the next request waited')
  },
})
