import { readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, text as nameText, op, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { digestOutput, ZERO_DIGEST } from '../../../../job/facts/digest.js'
import { unitOutputCodec } from '../../../../proto/codec/facts.js'
import type { JobId } from '../../../../proto/model.js'
import { type Clock, systemClock } from '../../../../runtime/clock.js'
import { sha256 } from '../../../../runtime/hash.js'
import type { ComputeResult, UnitOnThread } from '../../../../worker/compute/compute.js'
import { processCpuMs } from '../../../../worker/compute/process-cpu.js'
import { type ComputeBench, computeBench, computeSpec } from '../../../support/compute/compute.js'
import { moduleBench } from '../../../support/compute/module-job.js'
import { buildModule, command } from '../../../support/compute/wasm-builder.js'
import { eventually } from '../../../support/deadline.js'

const text = (result: ComputeResult | undefined) =>
  Buffer.from(unitOutputCodec.decode(result!.output).stdout).toString()

const results = suite<{ bench: ComputeBench }>('results of the compute process')
results.before((context) => {
  context.bench = computeBench(2)
})
results.after(({ bench }) => bench.compute.close())

results('each unit gives one result whose digest covers its output', async ({ bench }) => {
  const job = bench.submit(computeSpec('hash', 500), 500)
  const list = await bench.collect(job, 500)
  assert.equal(
    list.map((result) => result.unit),
    Array.from({ length: 500 }, (_, unit) => unit),
  )
  for (const result of list) {
    assert.is(result.outcome, 'done')
    assert.is(text(result), Buffer.from(sha256(Buffer.from(String(result.unit)))).toString())
    assert.is(result.digest, digestOutput(sha256, unitOutputCodec.decode(result.output)))
  }
})

results('a unit sees its arguments, seed and environment', async ({ bench }) => {
  const spec = computeSpec('seen', 7, { args: ['{i}', 'x'], seed: 2n ** 63n, environment: [['A', 'b']] })
  const [result] = await bench.collect(bench.submit(spec, [3]), 1)
  assert.equal(JSON.parse(text(result)), [3, 7, ['3', 'x'], String(2n ** 63n), [['A', 'b']], []])
})

results('a unit sees neither the environment nor the folder of the worker', async ({ bench }) => {
  const [result] = await bench.collect(bench.submit(computeSpec('process', 1), 1), 1)
  const { env, cwd } = JSON.parse(text(result)) as { env: object; cwd: string }
  assert.equal(env, {})
  assert.is.not(cwd, process.cwd())
})

results('an exception is a trap with its message, from a promise too', async ({ bench }) => {
  const [thrown] = await bench.collect(bench.submit(computeSpec('throw', 1), 1), 1)
  assert.is(thrown?.outcome, 'trap')
  assert.is(Buffer.from(unitOutputCodec.decode(thrown!.output).stderr).toString(), 'Error: unit 0 is not to my taste\n')
  const list = await bench.collect(bench.submit(computeSpec('reject', 4), 4), 4)
  assert.equal(
    list.map((result) => result.outcome),
    ['trap', 'done', 'trap', 'done'],
  )
})

results('fuel is counted, and its limit ends the unit at the same step, caught or not', async ({ bench }) => {
  const limits = { fuel: 100n }
  const [within] = await bench.collect(bench.submit(computeSpec('burn', 1, { args: ['100'], limits }), 1), 1)
  assert.is(within?.outcome, 'done')
  assert.is(within?.fuel, 100n)
  const [over] = await bench.collect(bench.submit(computeSpec('burn', 1, { args: ['200'], limits }), 1), 1)
  assert.is(over?.outcome, 'fuel')
  assert.is(over?.fuel, 100n)
  const [swallowed] = await bench.collect(bench.submit(computeSpec('swallow', 1, { limits }), 1), 1)
  assert.is(swallowed?.outcome, 'fuel')
})

results('more output than allowed fails the unit', async ({ bench }) => {
  const limits = { outputBytes: 1000 }
  const [fits] = await bench.collect(bench.submit(computeSpec('flood', 1, { args: ['1000'], limits }), 1), 1)
  assert.is(fits?.outcome, 'done')
  const [over] = await bench.collect(bench.submit(computeSpec('flood', 1, { args: ['1001'], limits }), 1), 1)
  assert.is(over?.outcome, 'output')
  assert.is(unitOutputCodec.decode(over!.output).stdout.length, 0)
})

results(
  'an exit code fails the unit unless the job allows it; stderr is cut and its length kept',
  async ({ bench }) => {
    const limits = { stderrBytes: 10 }
    const [failed] = await bench.collect(bench.submit(computeSpec('complain', 1, { limits }), 1), 1)
    assert.is(failed?.outcome, 'exit')
    const output = unitOutputCodec.decode(failed!.output)
    assert.equal([output.exitCode, output.stderr.length, output.stderrLength], [3, 10, 1000])
    const [allowed] = await bench.collect(bench.submit(computeSpec('complain', 1, { okExit: [3] }), 1), 1)
    assert.is(allowed?.outcome, 'done')
  },
)

results('a task that is not installed is the fault of the host', async ({ bench }) => {
  const [result] = await bench.collect(bench.submit(computeSpec('unheard-of', 1), 1), 1)
  assert.is(result?.outcome, 'host')
  assert.is(result?.digest, ZERO_DIGEST)
})

results('items reach their unit, small ones together and large ones alone', async ({ bench }) => {
  const spec = computeSpec('echo', 40, { source: { type: 'count', count: 40 } })
  const large = new Uint8Array(1 << 20).map((_, i) => i * 7)
  const small = Buffer.from('a line')
  const job = bench.submit(spec, 0)
  bench.compute.run({
    jobId: job,
    units: Array.from({ length: 40 }, (_, unit) => ({ unit, items: [unit % 8 === 0 ? large : small] })),
  })
  for (const result of await bench.collect(job, 40)) {
    const { stdout } = unitOutputCodec.decode(result.output)
    const expected = result.unit % 8 === 0 ? large : small
    assert.ok(Buffer.from(stdout).equals(expected), `unit ${result.unit} has ${stdout.length} bytes`)
  }
})

results('aborted units give no result, whether they wait or run', async ({ bench }) => {
  const job = bench.submit(computeSpec('loop', 4, { args: ['0'] }), 4)
  await bench.collect(job, 3)
  bench.compute.abort(job, [0])
  const next = await bench.collect(bench.submit(computeSpec('hash', 50), 50), 50)
  assert.is(next.length, 50)
  const both = bench.submit(computeSpec('spin', 2, { args: ['300'] }), 2)
  await bench.collect(both, 2)
  assert.is((await bench.collect(job, 3)).length, 3)
})

results('a job that is closed, or was never open, takes no units', ({ bench }) => {
  const job = bench.submit(computeSpec('hash', 1), 0)
  bench.compute.closeJob(job)
  assert.throws(() => bench.compute.run({ jobId: job, units: [{ unit: 0, items: [] }] }), /not open/)
})

results('progress tells the fuel of units that run longer than a moment', async ({ bench }) => {
  const told: UnitOnThread[] = []
  bench.compute.onProgress((running) => told.push(...running))
  const job = bench.submit(computeSpec('loop', 1, { args: ['0'] }), 1)
  await eventually(() => told.filter((unit) => unit.jobId === job).length >= 2, 5000, 'two reports of progress')
  const fuels = told.filter((unit) => unit.jobId === job).map((unit) => unit.fuel)
  assert.ok(fuels[0]! < fuels[1]!, `fuel moves: ${fuels}`)
  bench.compute.abort(job)
})

results.run()

const ends = suite<{ bench: ComputeBench }>('threads and processes that end')
ends.before.each((context) => {
  context.bench = computeBench(2, { memoryBytes: 32 * 1024 * 1024 })
})
ends.after.each(({ bench }) => bench.compute.close())

ends('a unit over its time limit ends in wall, and everything else is still computed', async ({ bench }) => {
  const job = bench.submit(computeSpec('loop', 100, { args: ['17'], limits: { wallMs: 300 } }), 100)
  for (const { unit, outcome, digest, wallMs } of await bench.collect(job, 100)) {
    assert.is(outcome, unit === 17 ? 'wall' : 'done', `unit ${unit}`)
    if (unit !== 17) continue
    assert.is(digest, ZERO_DIGEST)
    assert.ok(wallMs >= 300 && wallMs < 5000, `${wallMs} ms`)
  }
})

ends('a unit that fills the heap ends in memory, and costs no other unit', async ({ bench }) => {
  const hoard = bench.submit(computeSpec('hoard', 1), 1)
  const hash = bench.submit(computeSpec('hash', 200), 200)
  const [result] = await bench.collect(hoard, 1)
  assert.is(result?.outcome, 'memory')
  assert.ok((await bench.collect(hash, 200)).every(({ outcome }) => outcome === 'done'))
})

ends('a unit that ends its thread is the fault of the host, and costs no other unit', async ({ bench }) => {
  const job = bench.submit(computeSpec('exit', 60, { args: ['30'] }), 60)
  for (const { unit, outcome } of await bench.collect(job, 60))
    assert.is(outcome, unit === 30 ? 'host' : 'done', `unit ${unit}`)
})

ends('a unit that ends the whole process is not tried for ever, and the process comes back', async ({ bench }) => {
  const { pid } = bench.compute
  const job = bench.submit(computeSpec('abort', 3, { args: ['1'] }), [1])
  const [result] = await bench.collect(job, 1)
  assert.is(result?.outcome, 'host')
  bench.compute.run({ jobId: job, units: [{ unit: 2, items: [] }] })
  assert.is((await bench.collect(job, 2))[1]?.outcome, 'done')
  assert.is.not(bench.compute.pid, pid)
})

ends(
  'killed from outside, the process comes back: running units end in host, waiting ones are computed',
  async ({ bench }) => {
    const job = bench.submit(computeSpec('spin', 6, { args: ['150'] }), 6)
    const progress = await bench.collect(job, 2)
    assert.ok(progress.length >= 2)
    process.kill(bench.compute.pid!, 'SIGKILL')
    const outcomes = (await bench.collect(job, 6)).map((result) => result.outcome)
    const lost = outcomes.filter((outcome) => outcome === 'host').length
    assert.ok(lost >= 1 && lost <= 2, `${lost} units lost`)
    assert.is(outcomes.filter((outcome) => outcome === 'done').length, 6 - lost)
  },
)

ends(
  'paused, nothing is computed, and the pause counts neither as time of the unit nor against its limit',
  async ({ bench }) => {
    const job = bench.submit(computeSpec('spin', 1, { args: ['900'], limits: { wallMs: 1500 } }), 1)
    let told = false
    bench.compute.onProgress(() => {
      told = true
    })
    await eventually(() => told, 5000, 'the unit runs')
    bench.compute.pause()
    bench.compute.pause()
    const isStopped = () => /State:\s+T/.test(readFileSync(`/proc/${bench.compute.pid}/status`, 'utf8'))
    if (process.platform === 'linux') await eventually(isStopped, 2000, 'the process is stopped')
    assert.is(bench.compute.stoppedPid(), undefined, 'not by somebody else')
    const started = performance.now()
    await eventually(() => performance.now() - started > 1500, 3000, 'the pause')
    assert.is(bench.results.length, 0)
    bench.compute.resume()
    const [result] = await bench.collect(job, 1)
    assert.is(result?.outcome, 'done')
    assert.ok(result!.wallMs < 1400, `${result!.wallMs} ms`)
  },
)

if (process.platform === 'linux') {
  ends('it is seen that somebody else has stopped the process, and that he lets it go on', async ({ bench }) => {
    const { compute } = bench
    await compute.restrictions()
    process.kill(compute.pid!, 'SIGSTOP')
    await eventually(() => compute.stoppedPid() === compute.pid, 5000, 'it is seen')
    process.kill(compute.pid!, 'SIGCONT')
    await eventually(() => compute.stoppedPid() === undefined, 5000, 'it is seen')
  })
}

ends('a short unit does not wait behind a long one while a thread is free', async ({ bench }) => {
  const short = bench.submit(computeSpec('hash', 2000), 1000)
  await bench.collect(short, 1000)
  const long = bench.submit(computeSpec('loop', 1, { args: ['0'] }), 1)
  const units = Array.from({ length: 1000 }, (_, i) => ({ unit: 1000 + i, items: [] }))
  bench.compute.run({ jobId: short, units })
  await bench.collect(short, 2000, 5000)
  bench.compute.abort(long)
})

ends('units of one call do not wait for a long one among them while a thread is free', async ({ bench }) => {
  const job = bench.submit(computeSpec('loop', 2000, { args: ['1700'] }), 1000)
  await bench.collect(job, 1000)
  // By now a call holds some hundreds of units.
  const rest = Array.from({ length: 1000 }, (_, i) => ({ unit: 1000 + i, items: [] }))
  bench.compute.run({ jobId: job, units: rest })
  const results = await bench.collect(job, 1999)
  assert.ok(results.every(({ outcome, unit }) => outcome === 'done' && unit !== 1700))
  assert.is(new Set(results.map(({ unit }) => unit)).size, 1999)
  bench.compute.abort(job)
})

ends('low priority reaches the process', async () => {
  const bench = computeBench(1, { lowPriority: true })
  try {
    await bench.collect(bench.submit(computeSpec('hash', 1), 1), 1)
    assert.is(getPriority(bench.compute.pid!), 19)
  } finally {
    await bench.compute.close()
  }
})

ends('closed, it takes no more units and can be closed again', async ({ bench }) => {
  const job = bench.submit(computeSpec('loop', 1, { args: ['0'] }), 1)
  const { pid } = bench.compute
  await bench.compute.close()
  await bench.compute.close()
  assert.throws(() => process.kill(pid!, 0), /ESRCH/)
  assert.throws(() => bench.compute.run({ jobId: job as JobId, units: [] }), /ended/)
})

ends.run()

const memory = suite('memory of the compute process')

memory('goes back to the machine when large modules are over, were they used one after the other', async () => {
  let aheadMs = 0
  const late = new Set<() => void>()
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + aheadMs,
    setTimer: (ms, run) => {
      if (ms < 50_000) return systemClock.setTimer(ms, run)
      late.add(run)
      return { cancel: () => late.delete(run) }
    },
  }
  const pass = (ms: number) => {
    aheadMs += ms
    const due = [...late]
    late.clear()
    for (const run of due) run()
  }
  const bench = moduleBench(1, { clock })
  try {
    const large = (byte: number) => {
      const section = Buffer.alloc(9 * 2 ** 20 + 5)
      section.set([0, ...u32(9 * 2 ** 20), ...nameText('pad'), byte])
      return Buffer.concat([assemble({ imports: [], start: [] }), section])
    }
    const pids: (number | undefined)[] = []
    for (const byte of [1, 2]) {
      const { outcome } = await bench.one(large(byte))
      assert.is(outcome, 'done')
      pids.push(bench.compute.pid)
      pass(61_000)
    }
    assert.is(pids[0], pids[1])
    await eventually(() => bench.compute.pid !== undefined && bench.compute.pid !== pids[0], 20_000, 'another process')
    assert.is((await bench.one(large(1))).outcome, 'done')
  } finally {
    await bench.close()
  }
})

/** Calls in turn `count` functions of some 800 KB, each of which keeps an optimising compiler busy, without end. */
function largeHotFunctions(count: number): Uint8Array {
  const locals = 60
  const branches = Array.from({ length: 44_000 }, (_, i) => {
    const [from, with_, to] = [i % locals, (i * 7 + 3) % locals, (i * 11 + 1) % locals]
    const sum = [...op.get(from), ...op.get(with_), 0x7c, ...op.set(to)]
    return [...op.get(from), 0xa7, 0x04, 0x40, ...op.get(with_), ...op.set(to), 0x05, ...sum, 0x0b]
  })
  const large = { locals: [[locals, 'i64']], body: branches } as const
  const calls = Array.from({ length: count }, (_, index) => call(index + 1))
  return buildModule(command([op.loop, calls, op.br(0), op.end], { functions: Array(count).fill(large) }))
}

if (process.platform === 'linux')
  memory('is not taken by compiling many large functions at once', async () => {
    const bench = moduleBench(1)
    try {
      bench.start(largeHotFunctions(8))
      await eventually(() => (processCpuMs(bench.compute.pid!) ?? 0) > 5_000, 60_000, 'some functions are compiled')
      const status = readFileSync(`/proc/${bench.compute.pid}/status`, 'latin1')
      const mostMib = Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1_024
      assert.ok(mostMib < 420, `${mostMib} MiB at the most`)
    } finally {
      await bench.close()
    }
  })

memory.run()
