// Vercel's AI SDK with its provider for Ollama, both unchanged.
import assert from 'node:assert/strict'
import { embedMany, generateObject, generateText, jsonSchema, stepCountIs, streamObject, streamText, tool } from 'ai'
import { createOllama } from 'ollama-ai-provider-v2'
import {
  assertCall, assertPerson, collect, embedModel, enough, host, messages, model, person, run, toolsModel, weather, weatherQuestion,
} from './checks.mjs'

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
    const streamed = streamObject({
      model: ollama(model), prompt: 'Describe a person.', schema: jsonSchema(person), ...limited(200),
    })
    // Nothing comes unless somebody reads.
    const parts = await collect(streamed.partialObjectStream)
    assert.deepEqual([parts.at(-1), await streamed.object], [object, object])
  },

  async tools() {
    const tools = { get_weather: tool({ description: weather.description, inputSchema: jsonSchema(weather.parameters) }) }
    const asked = { model: ollama(toolsModel), prompt: weatherQuestion, tools, ...limited(enough) }
    const whole = await generateText(asked)
    const stream = streamText(asked)
    const [streamed, reason] = [await stream.toolCalls, await stream.finishReason]
    for (const calls of [whole.toolCalls, streamed]) {
      assert.equal(calls.length, 1)
      assertCall(calls[0].toolName, calls[0].input)
      assert.match(calls[0].toolCallId, /^call_/)
    }
    assert.deepEqual([whole.finishReason, reason], ['tool-calls', 'tool-calls'])
    // Its own loop: the function is called, and the result goes back.
    const execute = async ({ city }) => `sunny in ${city}`
    const working = { get_weather: { ...tools.get_weather, execute } }
    const both = await generateText({ ...asked, tools: working, stopWhen: stepCountIs(2) })
    assert.equal(both.steps[0].toolResults[0].output, 'sunny in Paris')
    assert.ok(both.steps[1].usage.inputTokens > both.steps[0].usage.inputTokens)
  },

  async thoughtsAreApart() {
    const settings = limited(enough)
    settings.providerOptions.ollama.think = true
    const asked = { model: ollama(toolsModel), prompt: weatherQuestion, ...settings }
    const whole = await generateText(asked)
    assert.ok(whole.reasoningText.includes('Paris') && !whole.text.includes('think>'))
    assert.equal(await streamText(asked).reasoningText, whole.reasoningText)
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
