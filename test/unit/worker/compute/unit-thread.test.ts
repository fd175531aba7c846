import { tmpdir } from 'node:os'
import { Worker } from 'node:worker_threads'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { endlessLoop, printRandom } from '../../../../cli/sandbox-check/programs.js'
import { blobOf } from '../../../../job/blob.js'
import { sha256 } from '../../../../runtime/hash.js'
import { PROFILE } from '../../../../sandbox/index.js'
import { makeBatch } from '../../../../worker/compute/batch.js'
import { ContentFile } from '../../../../worker/compute/content-file.js'
import { makePoolJob } from '../../../../worker/compute/pool-job.js'
import { prepareModule } from '../../../../worker/compute/sandbox.js'
import { Slots } from '../../../../worker/compute/slots.js'
import type { ThreadCall, ThreadData } from '../../../../worker/compute/unit-thread.js'
import { computeSpec } from '../../../support/compute/compute.js'
import { eventually } from '../../../support/deadline.js'

const test = suite('a thread that computes')

test('what a call gave is told before the next begins, be that without an end', async () => {
  const content = new ContentFile(tmpdir())
  const slots = new Slots(4)
  const workerData: ThreadData = {
    slots: slots.buffer,
    closings: new SharedArrayBuffer(4),
    taskModules: [],
    content: content.descriptor,
  }
  const thread = new Worker(new URL('../../../support/compute/calls-thread.js', import.meta.url), { workerData })
  const told: number[] = []
  thread.on('message', (call: number) => told.push(call))
  let jobs = 0
  const callOf = (program: Uint8Array): ThreadCall => {
    const task = { type: 'module', module: blobOf(sha256, program).blob } as const
    const spec = computeSpec('', 1, { profile: PROFILE, task })
    const prepared = prepareModule(program, spec)
    if (prepared.type !== 'ready') throw new Error(prepared.type)
    const job = makePoolJob({ job: ++jobs, spec, inputs: [], module: undefined }, content.descriptor, () => {})
    return makeBatch(slots.take()!, job, prepared.module, [{ ticket: jobs, unit: 0, items: undefined }], 0).message
  }
  try {
    // With the first call the thread loads what runs modules, and waits for that: later ones have nothing to wait for.
    thread.postMessage([callOf(printRandom())])
    await eventually(() => told.length === 1, 30_000, 'the first call is told')
    thread.postMessage([callOf(printRandom()), callOf(endlessLoop())])
    await eventually(() => told.length === 2, 30_000, 'the call before the endless one is told')
    assert.equal(told, [0, 0])
  } finally {
    await thread.terminate()
    await content.close()
  }
})

test.run()
