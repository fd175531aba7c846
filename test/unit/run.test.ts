import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../runtime/package-root.js'

const compiled = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const HEAD = "import { suite } from 'uvu'; import * as assert from 'uvu/assert'; const t = suite('s');"

interface Run {
  readonly code: number | string | null | undefined
  readonly output: string
  readonly lastLine: string
}

/** Runs the test runner over these files, each a body for a suite `t`, in a package of its own. */
async function runTests(files: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'manyhands-run-'))
  try {
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await symlink(join(packageRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')
    for (const file of ['test/run.js', 'test/support/source-places.js', 'runtime/package-root.js']) {
      await mkdir(join(folder, 'out', dirname(file)), { recursive: true })
      await cp(join(compiled, file), join(folder, 'out', file))
    }
    for (const [file, body] of Object.entries(files)) {
      await mkdir(join(folder, 'out/test', dirname(file)), { recursive: true })
      await writeFile(join(folder, 'out/test', file), `${HEAD} ${body}`)
    }
    return await new Promise((resolve) => {
      execFile(process.execPath, [join(folder, 'out/test/run.js'), ...args], (error, output) => {
        resolve({ code: error ? error.code : 0, output, lastLine: output.trimEnd().split('\n').at(-1) ?? '' })
      })
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const GOOD = "t('a', () => {}); t('b', () => {}); t.run()"
const test = suite('test runner')

test('adds up the test cases of all files and kinds', async () => {
  const run = await runTests({ 'unit/deep/a.test.js': GOOD, 'e2e/b.test.js': GOOD, 'unit/no-test.js': 'throw 1' })
  assert.equal([run.code, run.lastLine], [0, '4 passed, 0 failed'])
})

test('runs only the files that a filter names, and fails when there is none', async () => {
  const files = {
    'unit/a.test.js': GOOD,
    'unit/b.test.js': "t('x', () => { throw new Error('not to be run') }); t.run()",
  }
  assert.is((await runTests(files, ['unit/a'])).lastLine, '2 passed, 0 failed')
  const none = await runTests(files, ['nothing'])
  assert.equal([none.code, none.lastLine], [1, '0 passed, 1 failed'])
})

test('shows what a failing test printed', async () => {
  const run = await runTests({
    'unit/a.test.js': "t('a', () => {}); t('bad', () => { console.log('hint'); assert.is(1, 2) }); t.run()",
  })
  assert.equal([run.code, run.lastLine], [1, '1 passed, 1 failed'])
  assert.match(run.output, /hint[\s\S]*"bad"/)
})

test('counts a file that crashes, ends early, runs nothing or fails in a hook', async () => {
  for (const body of [
    "throw new Error('boom')",
    "t('a', () => new Promise(() => {})); t.run()",
    "t('a', () => {})",
    "t.before(() => { throw new Error('in a hook') }); t('a', () => {}); t.run()",
    "t('a', () => {}); t.run(); process.on('exit', () => process.exit(3))",
  ]) {
    const run = await runTests({ 'unit/a.test.js': body })
    assert.is(run.code, 1, body)
    assert.match(run.lastLine, /, [1-9]\d* failed$/, body)
  }
})

test('kills a file that hangs and names it', async () => {
  const run = await runTests(
    {
      'unit/slow.test.js': "t('a', () => new Promise(() => setInterval(() => {}, 1000))); t.run()",
      'unit/a.test.js': GOOD,
    },
    ['--limit', '2'],
  )
  assert.equal([run.code, run.lastLine], [1, '2 passed, 1 failed'])
  assert.match(run.output, /slow\.test\.js[\s\S]*hung/)
})

test.run()
