// The openai package for JavaScript, unchanged.
import assert from 'node:assert/strict'
import OpenAI, { APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import {
  assertCall, assertPerson, collect, embedModel, enough, host, messages, model, person, run, toolsModel, weather, weatherQuestion,
} from './checks.mjs'

const client = new OpenAI({ baseURL: `${host}/v1`, apiKey: 'unused', maxRetries: 0 })
const greedy = { temperature: 0, seed: 1, max_tokens: 12 }

await run('openai-js', {
  async models() {
    const models = await collect(client.models.list())
    assert.ok(models.some((entry) => entry.id.split(':')[0] === model))
    assert.equal((await client.models.retrieve(model)).id, model)
  },

  async chatWholeAndStreamedAreTheSame() {
    const whole = await client.chat.completions.create({ model, messages, ...greedy })
    const chunks = await collect(
      await client.chat.completions.create({
        model, messages, ...greedy, stream: true, stream_options: { include_usage: true },
      }),
    )
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    assert.equal(text, whole.choices[0].message.content)
    assert.deepEqual(chunks.at(-1).usage, whole.usage)
  },

  async streamHelper() {
    const final = await client.chat.completions.stream({ model, messages, ...greedy }).finalChatCompletion()
    assert.ok(final.choices[0].message.content)
  },

  async jsonSchema() {
    const answer = await client.chat.completions.create({
      model, messages, temperature: 0, max_tokens: 200,
      response_format: { type: 'json_schema', json_schema: { name: 'person', schema: person, strict: true } },
    })
    assertPerson(JSON.parse(answer.choices[0].message.content))
  },

  async tools() {
    const question = { role: 'user', content: weatherQuestion }
    const ids = new Set()
    let asked, whole
    for (const tool_choice of ['auto', 'required', { type: 'function', function: { name: 'get_weather' } }]) {
      asked = {
        model: toolsModel, messages: [question], temperature: 0, max_tokens: enough, tool_choice,
        tools: [{ type: 'function', function: weather }],
      }
      whole = await client.chat.completions.create(asked)
      const streamed = await client.chat.completions.stream(asked).finalChatCompletion()
      for (const { choices: [choice] } of [whole, streamed]) {
        assert.equal(choice.finish_reason, 'tool_calls')
        assert.equal(choice.message.tool_calls.length, 1)
        assertCall(choice.message.tool_calls[0].function.name, choice.message.tool_calls[0].function.arguments)
        ids.add(choice.message.tool_calls[0].id)
      }
    }
    assert.equal(ids.size, 6)
    const said = whole.choices[0].message
    const result = { role: 'tool', tool_call_id: said.tool_calls[0].id, content: 'sunny' }
    const after = await client.chat.completions.create({ ...asked, messages: [question, said, result], tool_choice: 'auto' })
    assert.ok(after.usage.prompt_tokens > whole.usage.prompt_tokens)
  },

  // The library's own loop: it calls the function and sends the result until there is nothing left to call.
  async runTools() {
    let asked
    const look = ({ city }) => {
      asked = city
      return 'sunny'
    }
    const runner = client.chat.completions.runTools({
      model: toolsModel, temperature: 0, max_tokens: enough, messages: [{ role: 'user', content: weatherQuestion }],
      tools: [{ type: 'function', function: { ...weather, parse: JSON.parse, function: look } }],
    }, { maxChatCompletions: 2 })
    await runner.done()
    assert.equal(asked, 'Paris')
  },

  async responses() {
    const options = { model, input: 'Say hello.', temperature: 0, max_output_tokens: 12 }
    const whole = await client.responses.create(options)
    const events = await collect(await client.responses.create({ ...options, stream: true }))
    assert.equal(events.at(-1).type, 'response.completed')
    const text = events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta)
    assert.equal(text.join(''), whole.output_text)
  },

  async embeddings() {
    const plain = await client.embeddings.create({ model: embedModel, input: ['hello'], encoding_format: 'float' })
    const packed = await client.embeddings.create({ model: embedModel, input: ['hello'] })
    const differences = plain.data[0].embedding.map((value, index) => Math.abs(value - packed.data[0].embedding[index]))
    assert.ok(Math.max(...differences) < 1e-5)
  },

  async errors() {
    await assert.rejects(client.chat.completions.create({ model: 'no-such-model', messages }), (error) => {
      assert.ok(error instanceof NotFoundError && error.requestID)
      return error.error.type === 'not_found_error'
    })
    await assert.rejects(client.chat.completions.create({ model, messages: [] }), BadRequestError)
  },

  async abort() {
    const stream = await client.chat.completions.create({ model, messages, stream: true, max_tokens: 2000 })
    for await (const _ of stream) break
    const controller = new AbortController()
    const waiting = client.chat.completions.create({ model, messages, max_tokens: 2000 }, { signal: controller.signal })
    setTimeout(() => controller.abort(), 100)
    await assert.rejects(waiting, APIUserAbortError)
    const started = performance.now()
    await client.chat.completions.create({ model, messages, max_tokens: 1 })
    assert.ok(performance.now() - started < 5000, 'the next request waited')
  },
})
