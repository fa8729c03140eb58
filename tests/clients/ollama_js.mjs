// The ollama package for JavaScript, unchanged.
import assert from 'node:assert/strict'
import { Ollama } from 'ollama'
import { assertPerson, collect, embedModel, host, messages, model, person, run, toolsModel, weather } from './checks.mjs'

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
    assert.equal(whole.message.role, 'assistant')
  },

  async format() {
    const answer = await client.chat({ model, messages, format: person, options: { ...options, num_predict: 200 } })
    assertPerson(JSON.parse(answer.message.content))
  },

  async tools() {
    const tools = [{ type: 'function', function: weather }]
    const question = { role: 'user', content: 'What is the weather in Paris?' }
    const answer = await client.chat({ model: toolsModel, messages: [question], tools, options })
    assert.ok(answer.message.content || answer.message.tool_calls)
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
