// The ollama package for JavaScript, unchanged.
import assert from 'node:assert/strict'
import { Ollama } from 'ollama'
import {
  assertCall, assertPerson, collect, embedModel, enough, host, messages, model, person, run, toolsModel, weather, weatherQuestion,
} from './checks.mjs'

const client = new Ollama({ host })
const options = { temperature: 0, seed: 1, num_predict: 12 }

await run('ollama-js', {
  async version() {
    const { version } = await client.version()
    assert.match(version, /^\d+\.\d+\.\d+$/)
  },

  async listing() {
    const { models } = await client.list()
    assert.ok(models.some((entry) => entry.name.split(':')[0] === model.split(':')[0]))
    assert.equal(models[0].digest.length, 64)
  },

  async show() {
    const shown = await client.show({ model })
    assert.ok(shown.model_info['general.architecture'])
    assert.ok(shown.capabilities.includes('completion'))
  },

  async generateWholeAndStreamedAreTheSame() {
    const whole = await client.generate({ model, prompt: 'Say hello.', options })
    const parts = await collect(await client.generate({ model, prompt: 'Say hello.', options, stream: true }))
    assert.equal(parts.map((part) => part.response).join(''), whole.response)
    assert.ok(parts.at(-1).done && parts.at(-1).eval_count > 0)
    assert.ok(whole.total_duration > 0)
  },

  async chatWholeAndStreamedAreTheSame() {
    const whole = await client.chat({ model, messages, options })
    const parts = await collect(await client.chat({ model, messages, options, stream: true }))
    assert.equal(parts.map((part) => part.message.content).join(''), whole.message.content)
    assert.ok(whole.message.content && parts.every((part) => part.message.role === 'assistant'))
  },

  async format() {
    const answer = await client.chat({ model, messages, format: person, options: { ...options, num_predict: 200 } })
    assertPerson(JSON.parse(answer.message.content))
  },

  async tools() {
    const tools = [{ type: 'function', function: weather }]
    const question = { role: 'user', content: weatherQuestion }
    const asked = { model: toolsModel, messages: [question], tools, options: { ...options, num_predict: enough } }
    const whole = await client.chat(asked)
    const parts = await collect(await client.chat({ ...asked, stream: true }))
    const streamed = parts.flatMap((part) => part.message.tool_calls ?? [])
    for (const calls of [whole.message.tool_calls, streamed]) {
      assert.equal(calls.length, 1)
      assertCall(calls[0].function.name, calls[0].function.arguments)
      assert.match(calls[0].id, /^call_[a-z0-9]{8}$/)
    }
    assert.notEqual(whole.message.tool_calls[0].id, streamed[0].id)
    const result = { role: 'tool', tool_name: 'get_weather', content: 'sunny' }
    const after = await client.chat({ ...asked, messages: [question, whole.message, result] })
    assert.ok(after.prompt_eval_count > whole.prompt_eval_count)
  },

  async thoughtsAreApart() {
    const asked = {
      model: toolsModel, messages: [{ role: 'user', content: weatherQuestion }], options: { ...options, num_predict: enough },
    }
    const whole = await client.chat({ ...asked, think: true })
    const parts = await collect(await client.chat({ ...asked, think: true, stream: true }))
    assert.ok(whole.message.thinking.includes('Paris') && !whole.message.content.includes('think>'))
    assert.equal(parts.map((part) => part.message.thinking ?? '').join(''), whole.message.thinking)
    assert.ok(!(await client.chat({ ...asked, think: false })).message.thinking)
  },

  async embeddings() {
    const { embeddings } = await client.embed({ model: embedModel, input: ['hello', 'world'] })
    assert.equal(embeddings.length, 2)
    assert.equal((await client.embeddings({ model: embedModel, prompt: 'hello' })).embedding.length, embeddings[0].length)
  },

  async loadPsAndUnload() {
    const loaded = await client.generate({ model, prompt: '', keep_alive: '2m' })
    assert.equal(loaded.done_reason, 'load')
    const { models } = await client.ps()
    const running = models.find((entry) => entry.model.split(':')[0] === model)
    // On a card, or on the software card, which is the CPU.
    assert.ok([running.size, 0].includes(running.size_vram))
    const unloaded = await client.chat({ model, messages: [], keep_alive: 0 })
    assert.equal(unloaded.done_reason, 'unload')
  },

  async errors() {
    await assert.rejects(client.chat({ model: 'no-such-model', messages }), {
      status_code: 404,
      message: "model 'no-such-model' not found",
    })
    await assert.rejects(client.generate({ model, prompt: 'x', format: 'xml' }), { status_code: 500 })
  },

  async abort() {
    const stream = await client.generate({ model, prompt: 'Tell a long story.', stream: true, options: { num_predict: 2000 } })
    await assert.rejects(
      (async () => {
        for await (const _ of stream) stream.abort()
      })(),
      { name: 'AbortError' },
    )
    const started = performance.now()
    await client.generate({ model, prompt: 'Hi', options: { ...options, num_predict: 1 } })
    assert.ok(performance.now() - started < 5000, 'the next request waited')
  },
})
