import { tmpdir } from 'node:os'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { u32 } from '../../../../cli/sandbox-check/assemble.js'
import { printArithmetic } from '../../../../cli/sandbox-check/programs.js'
import { blobOf } from '../../../../job/blob.js'
import type { Digest } from '../../../../proto/model.js'
import { systemClock } from '../../../../runtime/clock.js'
import { sha256 } from '../../../../runtime/hash.js'
import { PROFILE } from '../../../../sandbox/index.js'
import { ContentFile } from '../../../../worker/compute/content-file.js'
import { decodeAnswers, type TicketEnd } from '../../../../worker/compute/messages.js'
import { Pool } from '../../../../worker/compute/pool.js'
import { computeSpec } from '../../../support/compute/compute.js'
import { eventually } from '../../../support/deadline.js'

/** A valid module that takes a while to be read: `count` functions of 20,000 additions, 140 KB each, that nobody calls. */
function longModule(count: number): Uint8Array {
  const additions = Array.from({ length: 20_000 }, () => [0x20, 0x00, 0x20, 0x01, 0x6a, 0x21, 0x00]).flat()
  const body = [0x01, 0x02, 0x7f, ...additions, 0x0b]
  const code = Buffer.from([...u32(body.length), ...body])
  const start = Buffer.from([0x02, 0x00, 0x0b])
  const codes = [...u32(count + 1), ...start]
  return Buffer.concat([
    Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00]),
    Buffer.from([0x03, ...u32(u32(count + 1).length + count + 1), ...u32(count + 1)]),
    Buffer.alloc(count + 1),
    Buffer.from([0x05, 0x03, 0x01, 0x00, 0x01]),
    Buffer.from([0x07, 0x13, 0x02, 0x06, ...Buffer.from('memory'), 0x02, 0x00]),
    Buffer.from([0x06, ...Buffer.from('_start'), 0x00, 0x00]),
    Buffer.from([0x0a, ...u32(codes.length + count * code.length), ...codes]),
    ...Array.from({ length: count }, () => code),
  ])
}

/** A pool of one thread, and what it answers. */
function poolOf(prepareMs?: number) {
  const content = new ContentFile(tmpdir())
  const answers: TicketEnd[] = []
  let broken = ''
  const pool = new Pool(
    {
      threads: 1,
      memoryBytes: 2 ** 28,
      taskModules: [],
      content: content.descriptor,
      clock: systemClock,
      ...(prepareMs !== undefined && { prepareMs }),
    },
    {
      ready: () => {},
      started: () => {},
      results: (parts) => {
        const joined = new Uint8Array(Buffer.concat(parts))
        answers.push(...decodeAnswers(joined))
      },
      returned: () => {},
      progress: () => {},
      trouble: () => {},
      broken: (reason) => {
        broken = reason
      },
      writable: () => true,
    },
  )
  let jobs = 0
  /** Opens a job of a module and runs so many units of it, with tickets from 100 times the number of the job. */
  const run = async (module: Uint8Array, count: number): Promise<number> => {
    const job = ++jobs
    const extent = content.take(module.length)
    await content.write(extent, 0, module)
    const task = { type: 'module', module: blobOf(sha256, module).blob } as const
    const spec = computeSpec('', count, { profile: PROFILE, task })
    pool.openJob({ job, spec, inputs: [], module: { ...extent, number: job } })
    pool.run(
      job,
      Array.from({ length: count }, (_, unit) => ({ ticket: 100 * job + unit, unit, items: undefined })),
    )
    return job
  }
  const outcomes = async (job: number, count: number) => {
    const mine = () => answers.filter(({ ticket }) => Math.floor(ticket / 100) === job)
    await eventually(() => mine().length >= count || broken !== '', 30_000, `answers of job ${job}`)
    assert.is(broken, '')
    return mine().map(({ outcome }) => outcome)
  }
  const close = async () => {
    await pool.close()
    await content.close()
  }
  return { pool, run, outcomes, close }
}

const test = suite('Pool')

test('a module that takes too long to prepare ends with its thread, its units in wall, and others run', async () => {
  const { run, outcomes, close } = poolOf(1)
  try {
    const slow = await run(longModule(120), 3)
    assert.equal(await outcomes(slow, 3), ['wall', 'wall', 'wall'])
    const next = await run(printArithmetic(), 2)
    assert.equal(await outcomes(next, 2), ['done', 'done'])
  } finally {
    await close()
  }
})

test('a large module within the time runs', async () => {
  const { run, outcomes, close } = poolOf()
  try {
    assert.equal(await outcomes(await run(longModule(10), 2), 2), ['done', 'done'])
  } finally {
    await close()
  }
})

test('a job whose module is not there, or another, ends in host', async () => {
  const { pool, outcomes, close } = poolOf()
  try {
    const task = { type: 'module' as const, module: { digest: 'a'.repeat(64) as Digest, size: 10 } }
    pool.openJob({
      job: 9,
      spec: computeSpec('', 1, { profile: PROFILE, task }),
      inputs: [],
      module: { number: 77, at: 0, bytes: 10 },
    })
    pool.run(9, [{ ticket: 900, unit: 0, items: undefined }])
    assert.equal(await outcomes(9, 1), ['host'])
  } finally {
    await close()
  }
})

test.run()
