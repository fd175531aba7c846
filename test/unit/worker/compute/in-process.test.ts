import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock, Millis } from '../../../../runtime/clock.js'
import type { UnitOnThread } from '../../../../worker/compute/compute.js'
import {
  type InProcessCompute,
  type InProcessOptions,
  startInProcessCompute,
} from '../../../../worker/compute/in-process.js'
import { ComputeBench, computeSpec } from '../../../support/compute/compute.js'
import { tasks } from '../../../support/compute/tasks/compute-tasks.js'

/** A clock that moves only when told. */
class HandClock implements Clock {
  #nowMs = 0
  #timers: { readonly atMs: Millis; readonly action: () => void }[] = []

  now(): Millis {
    return this.#nowMs
  }
  wallMs(): Millis {
    return this.#nowMs
  }
  setTimer(delayMs: Millis, action: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, action }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }
  advance(ms: Millis): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const due = this.#timers.filter((timer) => timer.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#nowMs = due.atMs
      due.action()
    }
    this.#nowMs = endMs
  }
}

function simulated(options: Partial<InProcessOptions> = {}): {
  clock: HandClock
  bench: ComputeBench<InProcessCompute>
} {
  const clock = new HandClock()
  const compute = startInProcessCompute({
    threads: 2,
    clock,
    costMs: () => 100,
    findTask: (spec) => tasks.find((task) => spec.task.type === 'builtin' && task.name === spec.task.name),
    ...options,
  })
  return { clock, bench: new ComputeBench(compute) }
}

const test = suite('InProcessCompute')

test('as many units run at once as there are threads, each for the time it costs', () => {
  const { clock, bench } = simulated()
  bench.submit(computeSpec('hash', 5), 5)
  const counts = [99, 1, 100, 100].map((ms) => {
    clock.advance(ms)
    return bench.results.length
  })
  assert.equal(counts, [0, 2, 4, 5])
  assert.ok(bench.results.every(({ outcome, wallMs }) => outcome === 'done' && wallMs === 100))
})

test('a unit that costs more than allowed ends in wall at the limit', () => {
  const { clock, bench } = simulated()
  bench.submit(computeSpec('hash', 1, { limits: { wallMs: 40 } }), 1)
  clock.advance(40)
  assert.is(bench.results[0]?.outcome, 'wall')
})

test('a pause stops the time of a unit', () => {
  const { clock, bench } = simulated()
  bench.submit(computeSpec('hash', 1), 1)
  clock.advance(60)
  bench.compute.pause()
  clock.advance(1000)
  bench.compute.resume()
  clock.advance(39)
  assert.is(bench.results.length, 0)
  clock.advance(1)
  assert.is(bench.results[0]?.wallMs, 100)
})

test('an aborted unit gives no result and makes room', () => {
  const { clock, bench } = simulated({ threads: 1 })
  const job = bench.submit(computeSpec('hash', 3), 3)
  clock.advance(50)
  bench.compute.abort(job, [0, 1])
  clock.advance(100)
  assert.equal(
    bench.results.map((result) => result.unit),
    [2],
  )
})

test('progress moves while a unit runs', () => {
  const { clock, bench } = simulated({ costMs: () => 5000 })
  const told: UnitOnThread[] = []
  bench.compute.onProgress((running) => told.push(...running))
  bench.submit(computeSpec('hash', 1), 1)
  clock.advance(2500)
  assert.equal(
    told.map((unit) => unit.fuel),
    [1000n, 2000n],
  )
})

test('a task nobody knows is the fault of the host', () => {
  const { clock, bench } = simulated()
  bench.submit(computeSpec('unheard-of', 1), 1)
  clock.advance(100)
  assert.is(bench.results[0]?.outcome, 'host')
})

test('closed, it takes no more units', async () => {
  const { clock, bench } = simulated()
  const jobId = bench.submit(computeSpec('hash', 1), 1)
  await bench.compute.close()
  clock.advance(1000)
  assert.is(bench.results.length, 0)
  assert.throws(() => bench.compute.run({ jobId, units: [] }), /ended/)
})

test.run()
