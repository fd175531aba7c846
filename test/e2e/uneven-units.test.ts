import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, i32, op, print } from '../../cli/sandbox-check/assemble.js'
import { clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'

const UNITS = 400
const ENDLESS = 230
/** Longest wait for what takes seconds on a machine with nothing else to do. */
const PATIENCE_MS = 60_000

const READ = 0
const WRITE = 1
const TEXT_AT = 1024

/** Prints the first four bytes of its standard input; loops for ever when the first is an `x`. */
function copyUnlessX(): Uint8Array {
  const read = [
    ...[...i32(0), ...i32(TEXT_AT), ...op.i32Store, ...i32(4), ...i32(4), ...op.i32Store],
    ...[...i32(0), ...i32(0), ...i32(1), ...i32(8), ...call(READ), ...op.drop],
  ]
  const and = 0x71
  const isX = [...i32(TEXT_AT), ...op.i32Load, ...i32(0xff), and, ...i32('x'.charCodeAt(0)), ...op.i32Eq]
  const start = [...read, ...isX, ...op.if, ...op.loop, ...op.br(0), ...op.end, ...op.end, ...print(WRITE, TEXT_AT, 4)]
  return assemble({ imports: ['fd_read', 'fd_write'], start })
}

const cluster = new GridCluster()
const uneven = suite('units of very different length, on a worker with two threads')
const test = clusterTests(cluster, uneven)

uneven.before(async () => {
  await cluster.node('peer')
  await cluster.worker('worker', ['--cpus', '2'])
})
uneven.after(() => cluster.close())

test('all short ones are settled while one that never ends is still computed', async () => {
  const program = join(cluster.folder, 'copy.wasm')
  const lines = join(cluster.folder, 'lines.txt')
  writeFileSync(program, copyUnlessX())
  writeFileSync(lines, Array.from({ length: UNITS }, (_, i) => (i === ENDLESS ? 'x' : `${1000 + i}`)).join('\n'))
  const argv = ['submit', program, '--lines', lines, '--verify', 'none', '--no-trial', '--no-audit', '--quiet']
  expectCode(await cluster.asked(argv), 0)
  let settled: unknown
  await cluster.until(
    async () => {
      const { stdout } = await cluster.asked(['units', 'last', '--state', 'settled', '--json'])
      settled = stdout.trim().split('\n').length
      return settled === UNITS - 1
    },
    'all but one are settled',
    PATIENCE_MS,
  )
  const results = await cluster.asked(['results', 'last'])
  expectCode(results, 1)
  assert.is(results.stdout.length, 4 * (UNITS - 1))
  expectCode(await cluster.asked(['cancel', 'last']), 0)
})

uneven.run()
