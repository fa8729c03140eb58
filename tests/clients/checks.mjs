// What the checks of every JavaScript library share: their results on standard output, and arguments: HOST MODEL TOOLS EMBED.
import assert from 'node:assert/strict'

export const [host, model, toolsModel, embedModel] = process.argv.slice(2)
export const messages = [{ role: 'user', content: 'Say hello.' }]
export const person = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['name', 'age'],
  additionalProperties: false,
}
export const weather = {
  name: 'get_weather',
  description: 'Gets the weather of a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string', enum: ['Paris', 'Rome'] } },
    required: ['city'],
    additionalProperties: false,
  },
}
// What the model for tools answers with a call, after a thought; it takes some fifty tokens.
export const weatherQuestion = 'What is the weather in Paris?'
export const enough = 150

export async function collect(stream) {
  const parts = []
  for await (const part of stream) parts.push(part)
  return parts
}

// The call that the question asks for; arguments may be an object or its text.
export function assertCall(name, given) {
  assert.equal(name, 'get_weather')
  assert.deepEqual(typeof given === 'string' ? JSON.parse(given) : given, { city: 'Paris' })
}

export function assertPerson(value) {
  assert.deepEqual(Object.keys(value).sort(), ['age', 'name'])
  assert.ok(typeof value.name === 'string' && value.age >= 1 && value.age <= 99)
}

// Runs all checks, also after one has failed, and ends the process with 1 if any has.
export async function run(library, checks) {
  let failed = 0
  let current
  // Node ends a program that waits for what will never come, and says nothing.
  process.on('exit', (code) => code === 13 && console.log(`FAILED  ${library} ${current}: it never ended`))
  for (const [name, check] of Object.entries(checks)) {
    const began = performance.now()
    current = name
    try {
      await check()
      console.log(`ok      ${library} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`)
    } catch (error) {
      failed += 1
      console.log(`FAILED  ${library} ${name}: ${error.stack ?? error}`)
    }
  }
  process.exit(failed ? 1 : 0)
}
