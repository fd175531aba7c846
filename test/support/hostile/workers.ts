import { grantCodec, reportCodec } from '../../../proto/codec/facts.js'
import { methods } from '../../../proto/methods.js'
import type { BootId, Digest, Grant, JobId, Report, ReportFact, Signed, UnitResult } from '../../../proto/model.js'
import type { Hello, OwnerMessage, WorkerMessage } from '../../../proto/work-messages.js'
import { toGridError } from '../../../runtime/errors.js'
import { toHex } from '../../../runtime/hex.js'
import { type Attack, type Stranger, times } from './attack.js'

const WORK_MS = 400
const LIARS = 4
/** Wrong answers of one liar: enough to be disputed, too few to use up the instances of the honest job. */
const LIES = 6

function hex(attack: Attack, bytes: number): string {
  return toHex(attack.random.bytes(bytes))
}

function hello(attack: Attack, changes: Partial<Hello> = {}): Hello & WorkerMessage {
  return {
    type: 'hello',
    bootId: hex(attack, 8) as BootId,
    slots: 4_096,
    tasks: [{ name: 'trace', version: 1 }],
    memoryBytes: 2 ** 40,
    jobId: undefined,
    donor: undefined,
    donorSignature: new Uint8Array(0),
    tickets: [],
    profile: 0,
    ...changes,
  }
}

function signedGrant({ identity }: Stranger, grant: Grant): Signed {
  const bytes = grantCodec.encode(grant)
  return { bytes, signature: identity.signer.sign('grant', bytes) }
}

function factOf(
  { identity }: Stranger,
  jobId: JobId,
  shard: number,
  units: readonly UnitResult[],
  grants: readonly Signed[],
): ReportFact {
  const report: Report = {
    jobId,
    shard,
    worker: identity.publicKey,
    donor: identity.publicKey,
    donorSignature: new Uint8Array(0),
    results: units,
  }
  const bytes = reportCodec.encode(report)
  return { report: { bytes, signature: identity.signer.sign('report', bytes) }, grants }
}

/** A grant that no owner gave. */
function forgedGrant(attack: Attack, grantor: Stranger, worker: Stranger, shard: number, first: number): Signed {
  return signedGrant(grantor, {
    jobId: attack.target.jobId,
    shard,
    grantor: grantor.identity.publicKey,
    grantorIdNonce: grantor.identity.idNonce,
    worker: worker.identity.publicKey,
    age: 'older',
    nonce: hex(attack, 8),
    runs: [{ first, count: 64, opinion: 0 }],
    durationMs: 60_000,
  })
}

function lie(attack: Attack, unit: number): UnitResult {
  return { unit, outcome: 'done', digest: hex(attack, 32) as Digest, outputBytes: 2 ** 26, fuel: 2n ** 63n }
}

/** Workers that lie on well-formed streams. */
export async function lyingWorkers(attack: Attack): Promise<void> {
  const { jobId } = attack.target
  const want: WorkerMessage = { type: 'want', instances: 2 ** 20, busy: false }
  await attack.each(times(200), async (index) => {
    const from = attack.any()
    const other = attack.any()
    const shard = [0, 1, 20, 624_999][index % 4]!
    const results = [...times(64)].map((at) => lie(attack, shard * 16 + at))
    const forged = factOf(from, jobId, shard, results, [forgedGrant(attack, other, from, shard, shard * 16)])
    const tickets = index < 20 ? [...times(256)].map(() => forgedGrant(attack, other, from, shard, 0)) : []
    const openings: readonly (readonly WorkerMessage[])[] = [
      [want],
      [hello(attack), hello(attack)],
      [hello(attack, { tickets }), { type: 'want', instances: 0, busy: false }],
      [hello(attack, { donor: other.identity.publicKey, donorSignature: attack.random.bytes(64) })],
      [
        hello(attack, { tasks: [] }),
        ...Array<WorkerMessage>(20).fill({ type: 'report', fact: forged, outputs: [], wallMs: 2 ** 31 }),
      ],
      [
        hello(attack, { tasks: [] }),
        { type: 'progress', running: [...times(1_024)].map((unit) => ({ jobId, unit, fuel: 2n ** 64n - 1n })) },
        { type: 'handBack', jobId, shard, units: [...times(1_024)], reason: '\u001b[2J'.repeat(40) },
        { type: 'handBack', jobId: hex(attack, 32) as JobId, shard: 2 ** 32 - 1, units: [2 ** 32 - 1], reason: '' },
      ],
      [hello(attack, { jobId: hex(attack, 32) as JobId }), want],
    ]
    await attack.stream(methods.work, openings[index % openings.length]!, { from })
    await attack.stream(methods.putOutput, [
      {
        start: { jobId, shard: 0, unit: index, digest: hex(attack, 32) as Digest },
        bytes: attack.random.bytes(200_000),
      },
      ...Array(4).fill({ start: undefined, bytes: attack.random.bytes(200_000) }),
    ])
    await attack.stream(methods.putOutput, [{ start: undefined, bytes: new Uint8Array(1) }])
    await attack.stream(methods.putOutput, [])
  })
  // A million tickets in one hello, as far as they fit.
  const many = Buffer.concat([...times(60_000)].map(() => Buffer.from([0x42, 0x00])))
  const body = Buffer.concat([Buffer.from([0x0a, 0x08]), attack.random.bytes(8), Buffer.from([0x10, 0x01]), many])
  const length = Buffer.from([0x0a, (body.length & 127) | 128, ((body.length >> 7) & 127) | 128, body.length >> 14])
  await attack.each(times(20), () => attack.stream(methods.work, [Buffer.concat([length, body])]))
  await Promise.all(attack.strangers.slice(0, LIARS).map((from) => contradict(attack, from)))
}

/** Takes real work and answers each unit twice, differently, then reports what it was never given. */
async function contradict(attack: Attack, from: Stranger): Promise<void> {
  const stream = from.transport.open(attack.target.endpoint, methods.work)
  let lies = 0
  const say = (message: WorkerMessage) => {
    attack.sent++
    stream.send(message)
  }
  const answer = (grant: Signed) => {
    const { jobId, shard, runs } = grantCodec.decode(grant.bytes)
    for (const { first, count } of runs) {
      for (let unit = first; unit < first + count && lies < LIES; unit++, lies++) {
        for (let twice = 0; twice < 2; twice++)
          say({
            type: 'report',
            fact: factOf(from, jobId, shard, [lie(attack, unit)], [grant]),
            outputs: [],
            wallMs: 0,
          })
      }
    }
    const outside = [first(runs) + 100_000, 2 ** 31]
    for (const unit of outside)
      say({ type: 'report', fact: factOf(from, jobId, shard, [lie(attack, unit)], [grant]), outputs: [], wallMs: 0 })
  }
  const closed = new Promise<void>((resolve) => {
    stream.onMessage((message: OwnerMessage) => {
      if (message.type === 'grant' && lies < LIES) answer(message.grant)
    })
    stream.onClose((reason) => {
      attack.note(methods.work.path, reason === undefined ? 'ok' : toGridError(reason).code)
      resolve()
    })
  })
  say(hello(attack, { slots: 1 }))
  say({ type: 'want', instances: 4, busy: false })
  const timer = setTimeout(() => stream.end(), WORK_MS)
  const late = setTimeout(() => stream.cancel(), 4 * WORK_MS)
  await closed
  clearTimeout(timer)
  clearTimeout(late)
}

function first(runs: Grant['runs']): number {
  return runs[0]?.first ?? 0
}
