import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../../runtime/errors.js'
import { GridError } from '../../../runtime/errors.js'
import { builtInTasks, findTask, loadTaskModules, TaskRegistry, taskRegistry } from '../../../tasks/registry.js'
import type { Task } from '../../../tasks/task.js'
import { runUnit } from '../../support/compute/run-task.js'
import { rejects } from '../../support/rejects.js'

const task = (fields: Readonly<Record<string, unknown>> = {}): Task =>
  ({
    name: 'echo',
    version: 1,
    summary: 'print the arguments',
    usage: 'manyhands submit echo --count 3',
    defaultArguments: ['{i}'],
    sources: ['count'],
    execute: () => ({ exitCode: 0, stdout: new Uint8Array(0) }),
    ...fields,
  }) as Task

const MODULE = `export const tasks = [{
  name: 'echo', version: 3, summary: 'print the arguments', usage: '', defaultArguments: ['{i}'], sources: ['count'],
  execute: ({ args, burn }) => { burn(args.length); return { exitCode: 0, stdout: new TextEncoder().encode(args.join(' ')) } },
}]`

let folder = ''
const path = (name: string, content: string) => {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}
const refused = (action: () => void, code: ErrorCode, message: RegExp) => {
  assert.throws(
    action,
    (error: unknown) => error instanceof GridError && error.code === code && message.test(error.message),
  )
}

const test = suite('TaskRegistry')

test.before(() => {
  folder = mkdtempSync(join(tmpdir(), 'manyhands-tasks-'))
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

test('has the four built-in tasks, each fit to be listed', () => {
  assert.equal(
    taskRegistry.list().map(({ name, version }) => `${name} ${version}`),
    ['align 1', 'mandelbrot 1', 'mersenne 1', 'primes 1'],
  )
  for (const { summary, usage } of builtInTasks) {
    assert.ok(summary.length <= 80 && !summary.includes('\n'))
    assert.match(usage, 'manyhands submit ')
  }
})

test('finds the newest version unless one is named, and no other than the named', () => {
  const registry = new TaskRegistry([task(), task({ version: 10 }), task({ version: 9 })])
  assert.is(registry.find('echo')?.version, 10)
  assert.is(registry.find('echo', 9)?.version, 9)
  assert.is(registry.find('echo', 2), undefined)
  assert.is(registry.find('ech'), undefined)
  assert.is(registry.find('toString'), undefined)
  assert.equal(
    registry.list().map(({ version }) => version),
    [10, 9, 1],
  )
})

test('refuses a name that is taken and a version given twice, and adds nothing of that origin', () => {
  const registry = new TaskRegistry()
  refused(
    () => registry.add([task(), task({ name: 'primes', version: 2 })], 'x.mjs'),
    'exists',
    /^x\.mjs defines the task 'primes', which is already there$/,
  )
  refused(() => registry.add([task(), task()], 'x.mjs'), 'exists', /'echo' version 1 twice/)
  assert.is(registry.find('echo'), undefined)
  registry.add([task()], 'x.mjs')
  refused(() => registry.add([task({ version: 2 })], 'y.mjs'), 'exists', /^y\.mjs defines the task 'echo'/)
})

test('refuses what is no task, naming the field', () => {
  const registry = new TaskRegistry([])
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /must export 'tasks'/],
    [{}, /must export 'tasks'/],
    [[null], /a task must be an object/],
    [[task({ name: 'Echo' })], /the name of a task/],
    [[task({ name: '../x' })], /the name of a task/],
    [[task({ version: 0 })], /the version of 'echo'/],
    [[task({ version: '1' })], /the version of 'echo'/],
    [[task({ summary: 1 })], /'summary' of 'echo'/],
    [[task({ usage: undefined })], /'usage' of 'echo'/],
    [[task({ defaultArguments: '{i}' })], /'defaultArguments' of 'echo'/],
    [[task({ sources: [] })], /'sources' of 'echo'/],
    [[task({ sources: ['stars'] })], /'sources' of 'echo'/],
    [[task({ execute: 1 })], /'execute' of 'echo'/],
    [[task({ check: 1 })], /'check' of 'echo'/],
    [[task({ reduce: {} })], /'reduce' of 'echo'/],
  ]
  for (const [tasks, message] of cases) refused(() => registry.add(tasks, 'x.mjs'), 'invalid', message)
  assert.equal(registry.list(), [])
})

test('loads the tasks of a local module once, and runs them', async () => {
  const registry = new TaskRegistry()
  const file = path('echo.mjs', MODULE)
  await registry.loadModules([file, file])
  await registry.loadModules([file])
  const run = await runUnit(registry.find('echo', 3)!, ['a', 'b'])
  assert.is(run.text, 'a b')
  assert.is(run.fuel, 2n)
})

test('says why a module cannot be used', async () => {
  const registry = new TaskRegistry()
  await rejects(registry.loadModules([join(folder, 'absent.mjs')]), 'notFound')
  await rejects(registry.loadModules([path('broken.mjs', 'export const tasks = [')]), /broken\.mjs cannot be loaded/)
  await rejects(registry.loadModules([path('empty.mjs', 'export const task = {}')]), /empty\.mjs must export 'tasks'/)
  await rejects(registry.loadModules([path('clash.mjs', MODULE.replace("'echo'", "'align'"))]), 'exists')
})

test('loads into the registry of the process by default', async () => {
  await loadTaskModules([path('process.mjs', MODULE.replace("'echo'", "'echo-of-a-test'"))])
  assert.is(findTask('echo-of-a-test')?.version, 3)
  assert.is(findTask('primes', 1)?.name, 'primes')
})

test.run()
