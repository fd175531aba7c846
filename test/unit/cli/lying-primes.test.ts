import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as lying from '../../../cli/demo/lying-primes.js'
import { TaskRegistry } from '../../../tasks/registry.js'
import { runUnit } from '../../support/compute/run-task.js'

const liar = suite('the liar of the demo')

liar('takes the place of a built-in task only because its module says so', () => {
  const registry = new TaskRegistry()
  assert.throws(() => registry.add(lying.tasks, 'lying.mjs'), /already there/)
  registry.add(lying.tasks, 'lying.mjs', lying.replaces)
  assert.is(registry.find('primes', 1), lying.tasks[0])
  assert.is(registry.list().filter(({ name }) => name === 'primes').length, 1)
})

liar('a module says what it replaces as a list of names', () => {
  assert.throws(() => new TaskRegistry().add(lying.tasks, 'lying.mjs', 'primes'), /'replaces' must be an array/)
})

liar('each of its counts is one too high', async () => {
  const { text } = await runUnit(lying.tasks[0]!, ['0', '100'])
  assert.is(text, '26\n')
})

liar.run()
