import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { BlobRef, Digest, JobId, JobSpec } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { silentLogger } from '../../../runtime/logger.js'
import { CONTENT_BYTES_MAX, type Compute, type ComputeResult } from '../../../worker/compute/compute.js'
import type { WorkerEvent } from '../../../worker/core/messages.js'
import type { Inputs } from '../../../worker/inputs.js'
import { WorkerTally } from '../../../worker/tally.js'
import { UnitRunner } from '../../../worker/unit-runner.js'
import { computeSpec } from '../../support/compute/compute.js'

const jobOf = (digit: string) => digit.repeat(64) as JobId
const blob = (digit: string, size: number): BlobRef => ({ digest: digit.repeat(64) as Digest, size })

/** A runner whose computing and fetching do nothing but be noted. */
function runnerOf(specs: ReadonlyMap<JobId, JobSpec>, room: number) {
  const log: string[] = []
  const events: WorkerEvent[] = []
  let held = 0
  let onResults: (results: readonly ComputeResult[]) => void = () => {}
  const compute = {
    openJob: ({ jobId, modulePath }: { jobId: string; modulePath?: string }) =>
      log.push(`open ${jobId[0]} ${modulePath}`),
    closeJob: (jobId: string) => log.push(`close ${jobId[0]}`),
    run: ({ jobId, units }: { jobId: string; units: readonly { unit: number }[] }) =>
      log.push(`run ${jobId[0]} ${units.map(({ unit }) => unit)}`),
    abort: () => {},
    onResults: (handler: typeof onResults) => {
      onResults = handler
    },
    onProgress: () => {},
  } as unknown as Compute
  const inputs = {
    files: async ({ task }: JobSpec) => {
      if (held >= room) throw new GridError('quota', 'no room')
      held++
      const release = () => {
        held--
      }
      return { inputs: [], modulePath: task.type === 'module' ? task.module.digest[0] : undefined, release }
    },
  } as unknown as Inputs
  const runner = new UnitRunner({
    dependencies: { clock: systemClock, logger: silentLogger, compute, inputs },
    tally: new WorkerTally(),
    specs: { get: (jobId: JobId) => specs.get(jobId) } as never,
    reports: { addOutput: () => {}, forgetUnreported: () => {} } as never,
    handle: (event) => events.push(event),
    onProgress: () => {},
  })
  const finish = (jobId: JobId, unit: number) =>
    onResults([
      {
        jobId,
        unit,
        outcome: 'done',
        digest: '0'.repeat(64) as Digest,
        output: new Uint8Array(0),
        fuel: 0n,
        wallMs: 1,
      },
    ])
  return { runner, log, events, finish }
}

const moduleJob = (module: BlobRef) => computeSpec('', 10, { profile: 1, task: { type: 'module', module } })

const test = suite('UnitRunner')

test('the module of a job is there before its units run', async () => {
  const { runner, log } = runnerOf(new Map([[jobOf('a'), moduleJob(blob('c', 100))]]), 1)
  await runner.run(jobOf('a'), [3, 4])
  assert.equal(log, ['open a c', 'run a 3,4'])
})

test('for want of room the files of jobs without units go, never those of a job at work', async () => {
  const jobs = new Map(['a', 'b', 'c', 'd'].map((name) => [jobOf(name), moduleJob(blob(name, 100))] as const))
  const { runner, log, events, finish } = runnerOf(jobs, 2)
  await runner.run(jobOf('a'), [0])
  await runner.run(jobOf('b'), [0])
  await runner.run(jobOf('c'), [0])
  assert.is(events.at(-1)?.type, 'jobFailed')
  finish(jobOf('a'), 0)
  runner.abort(jobOf('b'), [1])
  await runner.run(jobOf('d'), [0])
  assert.equal(log.slice(-3), ['close a', 'open d d', 'run d 0'])
  assert.ok(runner.isOpen(jobOf('b')))
})

test('more input than a unit can be given is refused, with the limit', async () => {
  const { runner, events } = runnerOf(new Map([[jobOf('a'), moduleJob(blob('c', CONTENT_BYTES_MAX + 1))]]), 1)
  await runner.run(jobOf('a'), [0])
  const event = events.at(-1)
  assert.ok(event?.type === 'jobFailed' && event.reason.includes(String(CONTENT_BYTES_MAX)))
})

test('a job with a long unit stays open while many others come and go', async () => {
  const long = jobOf('a')
  const others = Array.from({ length: 100 }, (_, i) => sha256(utf8(`job ${i}`)) as string as JobId)
  const { runner, finish } = runnerOf(new Map([long, ...others].map((jobId) => [jobId, computeSpec('', 10)])), 1_000)
  await runner.run(long, [0])
  for (const jobId of others) {
    await runner.run(jobId, [0])
    finish(jobId, 0)
  }
  assert.ok(runner.isOpen(long))
  assert.is(others.filter((jobId) => runner.isOpen(jobId)).length, 63, 'of the others the last ones')
})

test.run()
