import { ZERO_DIGEST } from '../../../job/facts/digest.js'
import type { Clock } from '../../../runtime/clock.js'
import type { Compute, ComputeResult } from '../../../worker/compute/compute.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import type { SeededRandom } from '../world/random.js'
import type { Character } from './plan.js'
import { gridTasks, wrongOutput } from './task.js'

/** Share of its units that a liar answers wrongly, and that a broken host fails. */
const WRONG = 0.5
const BROKEN = 0.4

/** A worker's compute side as its character has it. `name` makes the wrong answers of one liar its own. */
export function makeCompute(
  character: Character,
  name: string,
  parts: { readonly clock: Clock; readonly random: SeededRandom; readonly unitMs: number; readonly threads: number },
): Compute {
  const { clock, random, unitMs, threads } = parts
  const tasks = gridTasks()
  const speeds = random.split('speed')
  const compute = startInProcessCompute({
    threads,
    clock,
    costMs: (_spec, unit) => unitMs * (0.5 + speeds.split(String(unit)).exponential(0.7)),
    findTask: ({ task }) => (task.type === 'builtin' ? tasks.find(task.name, task.version) : undefined),
  })
  if (character !== 'liar' && character !== 'broken') return compute
  return {
    threads,
    openJob: (job) => compute.openJob(job),
    closeJob: (jobId) => compute.closeJob(jobId),
    run: (batch) => compute.run(batch),
    abort: (jobId, units) => compute.abort(jobId, units),
    onResults: (handler) => compute.onResults((results) => handler(results.map((result) => bend(result)))),
    onProgress: (handler) => compute.onProgress(handler),
    pause: () => compute.pause(),
    resume: () => compute.resume(),
    reshape: (threads) => compute.reshape(threads),
    cpuMs: () => compute.cpuMs(),
    close: () => compute.close(),
  }

  function bend(result: ComputeResult): ComputeResult {
    const fate = random.split(`${result.jobId} ${result.unit}`).next()
    if (character === 'broken') {
      if (fate >= BROKEN) return result
      return { ...result, outcome: 'host', digest: ZERO_DIGEST, output: new Uint8Array(0), fuel: 0n }
    }
    if (fate >= WRONG) return result
    const { digest, output } = wrongOutput(`${name} says ${result.jobId} ${result.unit}`)
    return { ...result, outcome: 'done', digest, output }
  }
}
