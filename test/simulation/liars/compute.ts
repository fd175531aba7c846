import { digestOutput, isDeterministic, ZERO_DIGEST } from '../../../job/facts/digest.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import type { Outcome } from '../../../proto/model.js'
import type { Clock, Millis } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import type { Compute, ComputeResult } from '../../../worker/compute/compute.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import { gridTasks, wrongOutput } from '../grid/task.js'
import type { SeededRandom } from '../world/random.js'
import { type Conduct, REPORTED_FAILURES } from './populations.js'

/** Share of an honest worker's answers that are wrong by mischance: each such answer is its own. */
const HONEST_ERRORS = 0.001

/** The compute side of one worker. */
export interface LiarParts {
  readonly clock: Clock
  /** Of this worker alone. */
  readonly random: SeededRandom
  /** Makes wrong answers of this worker its own. */
  readonly name: string
  readonly conduct: Conduct | 'honest'
  readonly threads: number
  readonly costMs: (unit: number) => Millis
  /** Told of every instance that reaches the machine. */
  readonly granted: () => void
}

/** Computes the units it is given, and then says what its conduct has it say. */
export function makeLiarCompute({ clock, random, name, conduct, threads, costMs, granted }: LiarParts): Compute {
  const tasks = gridTasks()
  const compute = startInProcessCompute({
    threads,
    clock,
    costMs: (_spec, unit) => costMs(unit),
    findTask: ({ task }) => (task.type === 'builtin' ? tasks.find(task.name, task.version) : undefined),
  })
  return {
    threads: compute.threads,
    openJob: (job) => compute.openJob(job),
    closeJob: (jobId) => compute.closeJob(jobId),
    run: (batch) => {
      for (let i = 0; i < batch.units.length; i++) granted()
      compute.run(batch)
    },
    abort: (jobId, units) => compute.abort(jobId, units),
    onResults: (handler) => {
      compute.onResults((results) => {
        if (conduct !== 'silent') handler(results.map(bend))
      })
    },
    onProgress: (handler) => {
      compute.onProgress((running) => {
        if (conduct !== 'silent') handler(running)
      })
    },
    pause: () => compute.pause(),
    resume: () => compute.resume(),
    reshape: (threads) => compute.reshape(threads),
    cpuMs: () => compute.cpuMs(),
    close: () => compute.close(),
  }

  function bend(result: ComputeResult): ComputeResult {
    const { unit } = result
    switch (conduct) {
      case 'honest':
        return random.chance(HONEST_ERRORS) ? wrong(result, `${name} misread ${unit}`) : result
      case 'lone':
        return wrong(result, `${name} says ${unit}`)
      case 'ring':
      case 'stalling':
        return wrong(result, `the ring says ${unit}`)
      case 'failures':
        return failed(result, REPORTED_FAILURES[unit % REPORTED_FAILURES.length]!)
      case 'silent':
        return result
    }
  }
}

function wrong(result: ComputeResult, text: string): ComputeResult {
  return { ...result, outcome: 'done', ...wrongOutput(text) }
}

function failed(result: ComputeResult, outcome: Outcome): ComputeResult {
  if (!isDeterministic(outcome)) return { ...result, outcome, digest: ZERO_DIGEST, output: new Uint8Array(0), fuel: 0n }
  const empty = new Uint8Array(0)
  const end = {
    outcome,
    exitCode: outcome === 'exit' ? 1 : 0,
    stdout: empty,
    stderr: utf8('failed'),
    stderrLength: 6,
    files: [],
  }
  return { ...result, outcome, digest: digestOutput(sha256, end), output: unitOutputCodec.encode(end) }
}
