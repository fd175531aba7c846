import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { crash, endlessLoop, printRandom, unlistedImport } from '../../cli/sandbox-check/programs.js'
import { clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'

const cluster = new GridCluster()
const program = (name: string, bytes: Uint8Array) => {
  const path = join(cluster.folder, name)
  writeFileSync(path, bytes)
  return path
}
const random = program('random.wasm', printRandom())
const crashing = program('crash.wasm', crash())
const endless = program('endless.wasm', endlessLoop())
const forbidden = program('forbidden.wasm', unlistedImport())
/** ChaCha20 under the key of seed 0 and unit 0. */
const FIRST = 'b3e183cf865c56e90ec1cc58a6d6cd30aa1d5110ab46562a05ed63427bc8f2d8'

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

const programs = suite('programs over a real grid')
const test = clusterTests(cluster, programs)

programs.before(async () => {
  await cluster.node('peer')
  await Promise.all([cluster.worker('worker-1'), cluster.worker('worker-2')])
})
programs.after(() => cluster.close())

test('the grid gives the same bytes as run-local', async () => {
  const submitted = await cluster.command(['submit', random, '--count', '20', '--no-trial', '--wait', '--json'])
  expectCode(submitted, 0)
  const local = await cluster.run(['run-local', random, '--count', '20', '--json'])
  expectCode(local, 0)
  const { resultBase64, proved, donorsMin } = json(submitted.stdout)
  assert.is(resultBase64, json(local.stdout).resultBase64)
  assert.equal([proved, donorsMin], [20, 2])
  assert.is(Buffer.from(String(resultBase64), 'base64').subarray(0, 32).toString('hex'), FIRST)
})

test('results -o writes the output of each unit', async () => {
  const out = join(cluster.folder, 'out')
  expectCode(await cluster.asked(['results', 'last', '-o', out, '--layout', 'r_{i:03}.bin']), 0)
  assert.is(readdirSync(out).length, 21)
  assert.is(readFileSync(join(out, 'r_000.bin')).toString('hex'), FIRST)
})

test('replay computes an accepted unit again and finds the same digest', async () => {
  const replayed = await cluster.asked(['replay', 'last', '3', '--json'])
  expectCode(replayed, 0)
  const { verdict, donors, grantors, accepted, here } = json(replayed.stdout)
  assert.is(verdict, 'match')
  assert.equal([(donors as []).length, (grantors as []).length], [2, 1])
  assert.is((accepted as { digest: string }).digest, (here as { digest: string }).digest)
  const shown = await cluster.asked(['replay', 'last', '3'])
  assert.match(shown.stdout, /checked here +signatures of 2 reports and \d+ grants\n.*\nmatch: /s)
  expectCode(await cluster.asked(['replay', 'last', '20']), 2)
})

test('a job that has finished cannot be cancelled any more, and it is said', async () => {
  const result = await cluster.asked(['cancel', 'last'])
  expectCode(result, 0)
  assert.match(result.stdout, /has finished already: 20 settled/)
})

test('a crash is agreed on, shown, replay and run-local say where, and units names the command that does', async () => {
  const crash = /unit 0 failed: the program crashed: unreachable in function 0\n/
  const failing = await cluster.asked(['submit', crashing, '--count', '1', '--no-trial', '--wait'])
  expectCode(failing, 1)
  assert.match(failing.stderr, crash)
  assert.match((await cluster.asked(['results', 'last', '--failed'])).stdout, crash)
  const units = await cluster.asked(['units', 'last'])
  assert.match(
    units.stderr,
    /why, where: +manyhands results [0-9a-f]{12} --failed .*\n.*manyhands replay [0-9a-f]{12} 0 /,
  )
  const replayed = await cluster.asked(['replay', 'last', '0'])
  expectCode(replayed, 0)
  assert.match(replayed.stdout, /crashed +unreachable in function 0\n.*match: /s)
  const local = await cluster.run(['run-local', crashing, '--count', '1'])
  assert.match(local.stderr, crash)
})

test('a limit that was hit is named with its value and flag', async () => {
  const argv = ['submit', endless, '--count', '2', '--fuel', '1e6', '--no-trial', '--wait']
  const failing = await cluster.command(argv)
  expectCode(failing, 1)
  assert.match(failing.stderr, /unit 1 failed: out of fuel: the limit is 1000000 steps \(raise --fuel\)/)
})

test('a program that is refused is never sent', async () => {
  const refused = await cluster.asked(['submit', forbidden, '--count', '2'])
  expectCode(refused, 2)
  assert.match(refused.stderr, /forbidden\.wasm is refused: /)
})

test('map runs a program for each line', async () => {
  const { code, stdout, stderr } = await cluster.command(['map', random, '--json'], { stdin: 'a\nb\n' })
  assert.is(code, 0, stderr)
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => json(line))
  assert.equal(
    lines.map(({ line, state }) => [line, state]),
    [
      [1, 'done'],
      [2, 'done'],
    ],
  )
  assert.is(Buffer.from(String(lines[0]!.resultBase64), 'base64').toString('hex'), FIRST)
})

test('several jobs are waited for, each with a line of its own', async () => {
  const ids: string[] = []
  for (const seed of ['1', '2']) {
    const submitted = await cluster.asked(['submit', random, '--count', '4', '--seed', seed, '--no-trial', '--quiet'])
    expectCode(submitted, 0)
    ids.push(submitted.stdout.trim())
  }
  const waited = await cluster.asked(['wait', ...ids, '--timeout', '30s'])
  expectCode(waited, 0)
  for (const id of ids) {
    assert.match(waited.stderr, new RegExp(`^${id.slice(0, 12)}  4/4`, 'm'))
    assert.match(waited.stdout, new RegExp(`^${id.slice(0, 12)}  finished: 4 settled`, 'm'))
  }
})

programs.run()
