import { jobIdOf, specDefaults } from '../../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { orderCodec } from '../../../proto/codec/facts.js'
import {
  announceMethod,
  decodeRecord,
  encodeRecordBody,
  findRecordMethod,
  storeRecordMethod,
  watchBoardMethod,
} from '../../../proto/codec/overlay.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, JobId, JobSpec, Key, Order, Signed, UnitRange } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex } from '../../../runtime/hex.js'
import { testNetwork } from '../transport/grpc-nodes.js'
import { type Attack, type Stranger, times } from './attack.js'

const HOUR_MS = 3_600_000

function hex(attack: Attack, bytes: number): string {
  return toHex(attack.random.bytes(bytes))
}

/** A spec as its submitter sends it, and the id that it has. */
export function signSpec({ identity }: Stranger, spec: JobSpec): { jobId: JobId; signed: Signed } {
  const bytes = jobSpecCodec.encode(spec)
  return { jobId: jobIdOf(sha256, bytes), signed: { bytes, signature: identity.signer.sign('spec', bytes) } }
}

/** A spec of a stranger that any peer takes, but for what `changes` says. */
export function specOf(attack: Attack, { identity }: Stranger, changes: Partial<JobSpec> = {}): JobSpec {
  return {
    ...specDefaults,
    network: testNetwork.name,
    submitter: identity.publicKey,
    nonce: hex(attack, 16),
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + HOUR_MS,
    task: { type: 'builtin', name: 'no-such-task', version: 1 },
    source: { type: 'count', count: 10 },
    shardUnits: 16,
    ...changes,
  }
}

function signOrder({ identity }: Stranger, order: Order): Signed {
  const bytes = orderCodec.encode(order)
  return { bytes, signature: identity.signer.sign('order', bytes) }
}

/** Specs of every kind of nonsense that is still well formed, or nearly. */
function hostileSpecs(attack: Attack, from: Stranger): JobSpec[] {
  const huge = 10n ** 39n
  const every: UnitRange[] = Array.from({ length: 4_096 }, (_, i) => ({ first: i * 2_000, count: 1 }))
  return [
    { source: { type: 'count', count: 10_000_000 } },
    { source: { type: 'count', count: 10_000_000 }, selection: every },
    { source: { type: 'count', count: 10_000_000 }, selection: [{ first: 0, count: 10_000_000 }] },
    { source: { type: 'count', count: 2 ** 32 - 1 }, perUnit: 2 ** 32 - 1 },
    { source: { type: 'count', count: 2 ** 32 - 1 }, repeat: 2 ** 32 - 1 },
    { source: { type: 'range', start: -huge, end: huge, step: 1n } },
    { source: { type: 'range', start: -huge, end: huge, step: huge / 5_000_000n } },
    { source: { type: 'array', from: huge, to: -huge, step: 1n } },
    { source: { type: 'count', count: 0 } },
    { selection: [{ first: 9, count: 2 ** 31 }] },
    { network: 'other' },
    { createdAtMs: Date.now() + 48 * HOUR_MS, expiresAtMs: Date.now() + 49 * HOUR_MS },
    { createdAtMs: 0, expiresAtMs: 1 },
    { expiresAtMs: Date.now() + 1_000 },
    { name: '\u001b[2J\u001b]0;owned\u0007\u202e', labels: [['\u001b[31m', '\u001b[2J']] },
    { args: Array(1_024).fill('{i}{n}{rep}') },
    { args: ['{nonsense', '{}{}{', '}}'] },
    { policy: { type: 'quorum', quorum: 15 }, maxInstances: 1 },
    { minGrantors: 8 },
    { owners: [from.identity.publicKey], workers: [from.identity.publicKey] },
    { requires: ['everything'] },
    { limits: { ...specDefaults.limits, memoryBytes: 2 ** 32, fuel: 2n ** 63n } },
    { environment: Array.from({ length: 256 }, (_, i) => [`NAME${i}`, 'x'.repeat(500)] as const) },
  ].map((changes) => specOf(attack, from, changes as Partial<JobSpec>))
}

/** Strangers submit, order, activate, summarize and ask for things that are not theirs or make no sense. */
export async function lyingJobs(attack: Attack): Promise<void> {
  const { jobId } = attack.target
  const [first, second] = attack.strangers as [Stranger, Stranger]
  const digest = hex(attack, 32) as Digest
  const specs = [...times(6)].flatMap((index) => {
    const from = attack.strangers[index % attack.strangers.length]!
    return hostileSpecs(attack, from).map((spec) => ({ from, ...signSpec(from, spec) }))
  })
  await attack.each(specs, async ({ from, signed, jobId: own }) => {
    const taken = await attack.call(methods.submit, { spec: signed }, from)
    await attack.call(methods.submit, { spec: { ...signed, signature: attack.random.bytes(64) } }, from)
    for (const shard of [0, 1, 624_999, 2 ** 32 - 1]) {
      await attack.call(methods.activate, { spec: signed, orders: [], shard }, from)
    }
    if (taken === 'ok') await attack.call(methods.show, { jobId: own, withShards: true }, from)
  })
  // One small spec, and as many of its shards as there are.
  const { signed: wide, jobId: wideId } = signSpec(
    first,
    specOf(attack, first, { source: { type: 'count', count: 10_000_000 } }),
  )
  await attack.each(times(200), (shard) => attack.call(methods.activate, { spec: wide, orders: [], shard }, first))

  const cancel = (from: Stranger, of: JobId, seq: number) =>
    signOrder(from, { jobId: of, seq, createdAtMs: Date.now(), body: { type: 'cancel' } })
  const release = (seq: number, of = wideId) =>
    signOrder(first, {
      jobId: of,
      seq,
      createdAtMs: 0,
      body: { type: 'release', units: [{ first: 0, count: 10_000_000 }] },
    })
  await attack.each(times(100), (seq) => attack.call(methods.give, { order: cancel(second, jobId, seq) }, second))
  // More orders than a job takes.
  await attack.call(methods.submit, { spec: wide }, first)
  await attack.each(times(400), (seq) => attack.call(methods.give, { order: release(seq) }, first))
  await attack.each(times(50), (seq) =>
    attack.call(methods.activate, { spec: attack.target.spec, orders: [cancel(second, jobId, seq)], shard: 0 }, second),
  )

  // The honest job is done, says somebody who has nothing to do with it.
  const done = (shard: number, units: number) => ({
    shard,
    owner: second.identity.nodeId,
    ownerAddress: '127.0.0.1:9',
    summary: { ...EMPTY_SUMMARY, units, settled: units },
    waiting: '\u001b[2Jnothing',
    summaryAgeMs: 0,
    firstGrantAgoMs: 1,
  })
  const sizes = [16, 32, 64, 128, 256, 400, 512]
  await attack.each(times(200), (index) =>
    attack.call(
      methods.summarize,
      { jobId, shards: [...times(100)].map((shard) => done(shard, sizes[index % sizes.length]!)), orders: undefined },
      second,
    ),
  )

  const shards = [0, 1, 100_000, 2 ** 32 - 1]
  await attack.each(times(400), async (index) => {
    const shard = shards[index % shards.length]!
    const of = index % 3 === 0 ? jobId : index % 3 === 1 ? wideId : (hex(attack, 32) as JobId)
    const units = [...times(4_096)].map((first) => ({ first: first * 2, count: 1 }))
    await attack.stream(methods.listUnits, [{ jobId: of, shard, state: undefined, limit: 16_384 }])
    await attack.stream(methods.results, [{ jobId: of, shard, units, follow: true, withOutputs: true }])
    await attack.stream(methods.output, [{ jobId: of, shard, unit: 2 ** 32 - 1, digest }])
  })
  // One request is one request: more of them on a stream must not pile up.
  const again = (of: JobId) => Array(2_000).fill({ jobId: of, withShards: true })
  await attack.each(times(20), (index) => attack.stream(methods.watch, again(index % 2 === 0 ? jobId : wideId)))
  await attack.each(times(20), () =>
    attack.stream(
      methods.results,
      Array(500).fill({ jobId: wideId, shard: 0, units: [], follow: true, withOutputs: true }),
      { from: first },
    ),
  )
  await attack.each(times(20), () =>
    attack.stream(methods.listUnits, Array(500).fill({ jobId, shard: 0, state: undefined, limit: 16_384 })),
  )
}

/** Uploads that lie, records under keys of others, and a board full of nonsense. */
export async function lyingContent(attack: Attack): Promise<void> {
  const digest = () => hex(attack, 32) as Digest
  const keepUntilMs = Date.now() + HOUR_MS
  const chunk = (index: number, size = 1_000) => ({ type: 'chunk' as const, index, bytes: attack.random.bytes(size) })
  const hashes = (count: number) => ({ type: 'hashes' as const, hashes: new Uint8Array(32 * count).fill(7) })
  await attack.each(times(300), async (index) => {
    const blob = { digest: digest(), size: 600_000 }
    const start = { type: 'start' as const, blob, keepUntilMs }
    const large = { ...start, blob: { digest: digest(), size: 2 ** 36 }, keepUntilMs: 2 ** 50 }
    const uploads = [
      [chunk(0)],
      [hashes(3)],
      [start, start],
      [start, hashes(3), chunk(0)],
      [start, hashes(4), chunk(0)],
      [start, chunk(0)],
      [large, ...Array(3).fill(hashes(8_192))],
      [{ ...start, blob: { digest: digest(), size: 0 } }],
      [{ ...start, blob: { digest: digest(), size: 2 ** 53 - 1 } }],
    ]
    await attack.stream(methods.blobPut, uploads[index % uploads.length]!, { end: index % 4 > 0 })
    await attack.call(methods.blobStat, { blob })
    await attack.stream(methods.blobManifest, [{ blob }])
    await attack.stream(methods.blobGet, [{ blob, chunks: [...times(4_096)] }])
  })

  await attack.each(times(1_500), async (index) => {
    const from = attack.any()
    const other = attack.any()
    const body = {
      kind: `jobs.${index % 9}`,
      key: hex(attack, 20) as Key,
      publicKey: index % 2 === 0 ? from.identity.publicKey : other.identity.publicKey,
      seq: 2n ** 64n - 1n - BigInt(index),
      expiresAtMs: Date.now() + HOUR_MS,
      value: attack.random.bytes(32 * (1 + (index % 25))),
    }
    const bytes = encodeRecordBody(body)
    const record = decodeRecord({ bytes, signature: from.identity.signer.sign('record', bytes) })
    await attack.call(storeRecordMethod, { caller: index % 3 === 0 ? other.contact : undefined, record }, from)
    await attack.call(findRecordMethod, { caller: undefined, key: body.key, kind: body.kind }, from)
  })

  await attack.each(times(3_000), async () => {
    const from = attack.any()
    const announcement = {
      jobId: hex(attack, 32) as JobId,
      submitter: attack.any().identity.publicKey,
      ready: 2 ** 32 - 1,
      expiresInMs: 60_000,
      header: attack.random.bytes(900),
    }
    await attack.call(announceMethod, { caller: from.contact, announcement }, from)
  })
  await attack.each(times(100), () => attack.stream(watchBoardMethod, Array(50).fill({ boards: 0xffff })))
}
