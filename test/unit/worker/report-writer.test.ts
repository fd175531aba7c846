import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest, JobId, PublicKey, Signed } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { silentLogger } from '../../../runtime/logger.js'
import type { ComputedUnit, WorkerEvent } from '../../../worker/core/messages.js'
import { ReportWriter } from '../../../worker/report-writer.js'
import { eventually } from '../../support/deadline.js'

const JOB = 'a'.repeat(64) as JobId
const KIB = 1_024
const ROOM = 100 * KIB

/**
 * A writer whose journal notes names alone and whose ledger is on disk when `flushed` says so, before a core that knows of no
 * report unless it is told.
 */
function writerOf(flushed: () => Promise<void> = async () => {}) {
  const journal = new Set<Digest>()
  const events: WorkerEvent[] = []
  const reported = new Set<number>()
  const writer = new ReportWriter({
    dependencies: {
      logger: silentLogger,
      sha256,
      clock: { now: () => 0 },
      signer: { publicKey: 'b'.repeat(64) as PublicKey, sign: () => new Uint8Array(64) },
      journal: {
        append: async ({ id }: { readonly id: Digest }) => void journal.add(id),
        remove: (ids: readonly Digest[]) => {
          for (const id of ids) journal.delete(id)
        },
        entries: () => [],
      },
      ledger: { flushed },
      options: { outputBytesMax: ROOM },
    } as never,
    core: { isReported: (_: JobId, unit: number) => reported.has(unit) } as never,
    specs: { get: () => undefined } as never,
    handle: (event) => events.push(event),
    endpoint: () => undefined,
  })
  const write = async (unit: number, bytes: number): Promise<Digest> => {
    const output = new Uint8Array(bytes)
    writer.addOutput(JOB, unit, output)
    const computed: ComputedUnit = {
      jobId: JOB,
      unit,
      outcome: 'done',
      digest: sha256(output),
      outputBytes: bytes,
      fuel: 1n,
      wallMs: 1,
    }
    const grants: readonly Signed[] = []
    await writer.write({ type: 'keepReport', owner: undefined, jobId: JOB, shard: 0, units: [computed], grants })
    const kept = events.findLast((event) => event.type === 'reportKept')
    return kept!.report.reportId
  }
  const fullness = () => events.flatMap((event) => (event.type === 'outputsFull' ? [event.full] : []))
  return { writer, write, fullness, reported, journal }
}

const reports = suite('ReportWriter')

reports('a refused report lets its large outputs go, so that the worker asks for work again', async () => {
  const { writer, write, fullness } = writerOf()
  const first = await write(0, 80 * KIB)
  await write(1, 80 * KIB)
  await eventually(() => fullness().length === 1, 5_000, 'the outputs to be too many')
  assert.equal(fullness(), [true])
  writer.drop(first)
  await eventually(() => fullness().length === 2, 5_000, 'room for more')
  assert.equal(fullness(), [true, false])
})

reports('a large output stays while its unit is in another report', async () => {
  const { writer, write, fullness, reported } = writerOf()
  const first = await write(0, 80 * KIB)
  await write(1, 80 * KIB)
  await eventually(() => fullness().length === 1, 5_000, 'the outputs to be too many')
  reported.add(0)
  writer.drop(first)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(fullness(), [true])
})

reports('a dropped report can be recalled until it is forgotten', async () => {
  const { writer, write, fullness } = writerOf()
  const reportId = await write(0, 1 * KIB)
  const written = writer.get(reportId)
  assert.ok(written)
  writer.drop(reportId)
  assert.is(writer.get(reportId), undefined)
  writer.recall(reportId)
  assert.is(writer.get(reportId), written)
  writer.drop(reportId)
  writer.forget(reportId)
  writer.recall(reportId)
  assert.is(writer.get(reportId), undefined)
  assert.equal(fullness(), [])
})

reports('a report of a unit that wrote nothing takes room all the same', async () => {
  const { writer, write, fullness } = writerOf()
  const names = new Set<Digest>()
  for (let unit = 0; unit < 100; unit++) names.add(await write(unit, 0))
  await eventually(() => fullness().length === 1, 5_000, 'the reports to be too many')
  for (const name of names) {
    writer.drop(name)
    writer.forget(name)
  }
  await eventually(() => fullness().length === 2, 5_000, 'room for more')
  assert.equal(fullness(), [true, false])
})

reports('a report that was dropped and is written once more stays in the journal', async () => {
  let flush = () => {}
  const isFlushed = new Promise<void>((resolve) => {
    flush = resolve
  })
  const { writer, write, journal } = writerOf(() => isFlushed)
  const reportId = await write(0, 1 * KIB)
  const other = await write(1, 1 * KIB)
  writer.drop(reportId)
  writer.drop(other)
  assert.is(await write(0, 1 * KIB), reportId)
  flush()
  await eventually(() => !journal.has(other), 5_000, 'the other report to leave')
  assert.equal([...journal], [reportId])
})

reports('a report stays in the journal until what it counted is on disk, whatever was flushed before it', async () => {
  const flushes: (() => void)[] = []
  const { writer, write, journal } = writerOf(() => new Promise((resolve) => void flushes.push(resolve)))
  const [first, second] = [await write(0, 1), await write(1, 1)]
  writer.drop(first)
  writer.drop(second)
  flushes[0]!()
  await eventually(() => !journal.has(first), 5_000, 'the first report to leave')
  assert.ok(journal.has(second))
  flushes[1]!()
  await eventually(() => !journal.has(second), 5_000, 'the second to leave')
})

reports.run()
