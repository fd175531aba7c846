import { readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, i32, op, print } from '../../../../cli/sandbox-check/assemble.js'
import { endlessLoop, printArithmetic, printRandom } from '../../../../cli/sandbox-check/programs.js'
import { blobOf } from '../../../../job/blob.js'
import { digestOutput } from '../../../../job/facts/digest.js'
import { PROFILES_KNOWN } from '../../../../job/spec/spec.js'
import { unitOutputCodec } from '../../../../proto/codec/facts.js'
import { type Clock, systemClock } from '../../../../runtime/clock.js'
import { sha256 } from '../../../../runtime/hash.js'
import { PROFILE } from '../../../../sandbox/index.js'
import type { UnitOnThread } from '../../../../worker/compute/compute.js'
import { computeSpec } from '../../../support/compute/compute.js'
import { type ModuleBench, moduleBench } from '../../../support/compute/module-job.js'
import { eventually } from '../../../support/deadline.js'

/** Ends with `code`, after it has printed the text. */
function say(text: string, code: number): Uint8Array {
  return assemble({
    imports: ['fd_write', 'proc_exit'],
    start: [...print(0, 1024, text.length), ...i32(code), ...call(1)],
    texts: [[1024, text]],
  })
}

/** Ends with 0 if `/in/NAME` (descriptor 4, a name of one letter) can be opened, else with the error. */
function openInput(name: string): Uint8Array {
  const open = [
    ...[...i32(4), ...i32(0), ...i32(1024), ...i32(name.length), ...i32(0)],
    ...[0x42, 0x02, 0x42, 0x00, ...i32(0), ...i32(16), ...call(0)],
  ]
  return assemble({ imports: ['path_open', 'proc_exit'], start: [...open, ...call(1)], texts: [[1024, name]] })
}

/** Reads all of `/in/NAME` and ends with 0, or with the error of the first call that fails. */
function readInput(name: string): Uint8Array {
  const open = [
    ...[...i32(4), ...i32(0), ...i32(1024), ...i32(name.length), ...i32(0)],
    ...[0x42, 0x02, 0x42, 0x00, ...i32(0), ...i32(16), ...call(0)],
  ]
  const endIfNot0 = [...op.set(0), ...op.get(0), ...op.if, ...op.get(0), ...call(2), ...op.end]
  const read = [...i32(16), ...op.i32Load, ...i32(24), ...i32(1), ...i32(32), ...call(1)]
  const start = [
    ...[...open, ...endIfNot0, ...i32(24), ...i32(2048), ...op.i32Store, ...i32(28), ...i32(60_000), ...op.i32Store],
    ...[...op.loop, ...read, ...endIfNot0, ...i32(32), ...op.i32Load, ...op.brIf(0), ...op.end],
  ]
  return assemble({ imports: ['path_open', 'fd_read', 'proc_exit'], start, texts: [[1024, name]] })
}

const test = suite<{ bench: ModuleBench }>('module jobs in the compute process')
test.before((context) => {
  context.bench = moduleBench(2)
})
test.after(({ bench }) => bench.close())

test('the newest profile known is that of the sandbox', () => {
  assert.is(PROFILES_KNOWN.newest, PROFILE)
})

test('a unit gives what the program prints, and its digest covers it', async ({ bench }) => {
  const result = await bench.one(say('hello', 0))
  assert.is(result.outcome, 'done')
  assert.is(Buffer.from(result.says!.stdout).toString(), 'hello')
  assert.is(result.digest, digestOutput(sha256, unitOutputCodec.decode(result.output)))
  assert.ok(result.fuel > 0n)
})

test('an exit code fails the unit unless the job allows it', async ({ bench }) => {
  const failed = await bench.one(say('no', 3))
  assert.is(failed.outcome, 'exit')
  assert.is(failed.says?.exitCode, 3)
  assert.is(Buffer.from(failed.says!.stdout).toString(), 'no')
  assert.is((await bench.one(say('no', 3), { okExit: [3] })).outcome, 'done')
})

test('each unit has random bytes of its own, the same on every thread and in every process', async ({ bench }) => {
  const digests = async (of: ModuleBench) => {
    const results = await of.collect(of.start(printRandom(), 8), 8)
    return results.map(({ digest }) => digest)
  }
  const here = await digests(bench)
  assert.is(new Set(here).size, 8)
  const other = moduleBench(1)
  try {
    assert.equal(await digests(other), here)
  } finally {
    await other.close()
  }
})

test('shared inputs are seen below /in, and nothing else is', async ({ bench }) => {
  const there = await bench.one(openInput('a'), {}, { a: new Uint8Array(10) })
  assert.is(there.outcome, 'done')
  const missing = await bench.one(openInput('b'), {}, { a: new Uint8Array(10) })
  assert.is(missing.outcome, 'exit')
})

test('a file that cannot be read, or is not what the job names, is the fault of this host', async ({ bench }) => {
  const module = say('x', 0)
  const task = { type: 'module', module: blobOf(sha256, module).blob } as const
  const spec = computeSpec('', 1, { profile: PROFILE, task })
  for (const path of [bench.file('gone', module).replace('gone', 'never'), bench.file('other', say('y', 0))]) {
    const jobId = bench.start(module, 0)
    bench.compute.closeJob(jobId)
    bench.compute.openJob({ jobId, spec, inputs: [], modulePath: path })
    bench.compute.run({ jobId, units: [{ unit: 0, items: [] }] })
    assert.is((await bench.collect(jobId, 1))[0]?.outcome, 'host')
    bench.compute.closeJob(jobId)
  }
})

test('fuel is told while a unit runs', async ({ bench }) => {
  const told: UnitOnThread[] = []
  bench.compute.onProgress((running) => told.push(...running))
  const job = bench.start(endlessLoop())
  const fuels = () => told.filter(({ jobId, fuel }) => jobId === job && fuel > 0n).map(({ fuel }) => fuel)
  await eventually(() => new Set(fuels()).size >= 2, 20_000, 'fuel moves')
  bench.compute.closeJob(job)
})

test('killed from outside, the process comes back with the files of its jobs', async ({ bench }) => {
  const job = bench.start(openInput('a'), 1, {}, { a: new Uint8Array(2_000_000) })
  await bench.collect(job, 1)
  const { pid } = bench.compute
  process.kill(pid!, 'SIGKILL')
  await eventually(() => bench.compute.pid !== undefined && bench.compute.pid !== pid, 20_000, 'a new process')
  bench.compute.run({ jobId: job, units: [{ unit: 1, items: [] }] })
  const results = await bench.collect(job, 2)
  assert.equal(
    results.map(({ outcome }) => outcome),
    ['done', 'done'],
  )
  bench.compute.closeJob(job)
})

test('jobs whose files have no room together take turns, and one that has none alone is refused', async () => {
  const bench = moduleBench(1, { contentBytesMax: 2_500_000 })
  try {
    const jobs = ['a', 'b', 'c'].map((name) =>
      bench.start(openInput(name), 3, {}, { [name]: new Uint8Array(2_000_000) }),
    )
    for (const job of jobs) {
      const results = await bench.collect(job, 3)
      assert.ok(results.every(({ outcome }) => outcome === 'done'))
    }
    const large = bench.start(openInput('d'), 1, {}, { d: new Uint8Array(3_000_000) })
    assert.is((await bench.collect(large, 1))[0]?.outcome, 'host')
  } finally {
    await bench.close()
  }
})

test('large inputs take no memory, are given back by an idle process, and are there again when units come', async () => {
  const hurried: Clock = {
    ...systemClock,
    now: () => systemClock.now() * 100,
    setTimer: (delayMs, action) => systemClock.setTimer(delayMs / 100, action),
  }
  const bench = moduleBench(1, { clock: hurried })
  try {
    assert.is((await bench.one(openInput('a'), {}, { a: new Uint8Array(9) })).outcome, 'done')
    const beforeMib = process.platform === 'linux' ? bench.residentMib() : 0
    const job = bench.start(readInput('a'), 1, {}, { a: new Uint8Array(70_000_000).fill(7) })
    assert.is((await bench.collect(job, 1))[0]?.outcome, 'done')
    const { pid } = bench.compute
    if (process.platform === 'linux') assert.ok(bench.residentMib() < beforeMib + 30, `${beforeMib}`)
    await eventually(() => bench.compute.pid !== pid, 20_000, 'a fresh process')
    bench.compute.run({ jobId: job, units: [{ unit: 1, items: [] }] })
    assert.is((await bench.collect(job, 2))[1]?.outcome, 'done')
  } finally {
    await bench.close()
  }
})

test('what is in force is told, and is what the system says', async ({ bench }) => {
  const restrictions = await bench.compute.restrictions()
  assert.is(restrictions?.permissionModel, true)
  if (process.platform !== 'linux') return
  const { pid } = bench.compute
  assert.is(readFileSync(`/proc/${pid}/environ`, 'latin1'), '')
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  assert.is(/NoNewPrivs:\s+1/.test(status), restrictions?.noNewPrivileges)
  assert.is(Number(/Uid:\s+(\d+)/.exec(status)?.[1]) === restrictions?.uid || process.getuid?.() !== 0, true)
  if (restrictions?.givenUp.length === 0) assert.is(restrictions.network, 'none')
})

test('a module is compiled once, however many threads run it', async ({ bench }) => {
  const results = await bench.collect(bench.start(printArithmetic(), 40), 40)
  assert.ok(results.every(({ outcome, fuel }) => outcome === 'done' && fuel === results[0]!.fuel))
})

test.run()
