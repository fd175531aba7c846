import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { specDefaults } from '../../job/spec/spec.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { grantCodec, unitOutputCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { methods } from '../../proto/methods.js'
import type { BootId, Digest, JobId, JobSpec, Signed } from '../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../proto/work-messages.js'
import { systemClock } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { silentLogger } from '../../runtime/logger.js'
import { systemRandom } from '../../runtime/random.js'
import type { Endpoint, MessageStream } from '../../runtime/transport.js'
import type { ComputeBatch, ComputeResult } from '../../worker/compute/compute.js'
import { Worker, type WorkNews } from '../../worker/driver.js'
import { resolveWorkerOptions } from '../../worker/options.js'
import { deadline, eventually } from '../support/deadline.js'
import { mutated, rawBytes } from '../support/hostile/messages.js'
import { seededRandom } from '../support/seeded-random.js'
import { GrpcNodes, testNetwork } from '../support/transport/grpc-nodes.js'
import { coordinatorCases } from '../unit/proto/codec/cases/coordinator.js'

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000)
const MESSAGES = 2_000
const LARGE = 6_000

type WorkStream = MessageStream<WorkerMessage, OwnerMessage>
const nodes = new GrpcNodes()
const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => unhandled.push(reason)
const closers: (() => Promise<void>)[] = []
const test = suite('a worker and hostile owners')
test.before(() => {
  process.on('unhandledRejection', onUnhandled)
})
test.after(async () => {
  process.off('unhandledRejection', onUnhandled)
  for (const close of closers) await close()
  await nodes.closeAll()
})

const submitter = createIdentity()
const output = unitOutputCodec.encode({
  outcome: 'done',
  exitCode: 0,
  stdout: new Uint8Array(LARGE),
  stderr: new Uint8Array(0),
  stderrBytes: 0,
  files: [],
} as never)
const digest = sha256(output)

function signedSpec(changes: Partial<JobSpec> = {}): { jobId: JobId; signed: Signed } {
  const spec: JobSpec = {
    ...specDefaults,
    network: testNetwork.name,
    submitter: submitter.publicKey,
    nonce: 'ab'.repeat(16),
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + 3_600_000,
    task: { type: 'builtin', name: 'any', version: 1 },
    source: { type: 'count', count: 100_000 },
    shardUnits: 16_384,
    ...changes,
  }
  const bytes = jobSpecCodec.encode(spec)
  return {
    jobId: sha256(bytes) as string as JobId,
    signed: { bytes, signature: submitter.signer.sign('spec', bytes) },
  }
}

/** A worker whose units are answered at once with large outputs, and how to show it an owner. */
function startWorker() {
  const transport = nodes.leaf()
  const { identity } = transport
  let show: (news: WorkNews) => void = () => {}
  let onResults: (results: readonly ComputeResult[]) => void = () => {}
  const worker = new Worker({
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    sha256,
    transport,
    signer: { publicKey: identity.publicKey, sign: (tag, bytes) => identity.signer.sign(tag, bytes) },
    verify: () => true,
    network: testNetwork.name,
    bootId: '0123456789abcdef' as BootId,
    tasks: [{ name: 'any', version: 1 }],
    compute: {
      openJob: async () => {},
      closeJob: () => {},
      run: ({ jobId, units }: ComputeBatch) =>
        setImmediate(() =>
          onResults(
            units.map(({ unit }) => ({ jobId, unit, outcome: 'done', digest, output, fuel: 1n, wallMs: 1 }) as never),
          ),
        ),
      abort: () => {},
      onResults: (handler: typeof onResults) => {
        onResults = handler
      },
      onProgress: () => {},
      close: async () => {},
    } as never,
    inputs: {
      files: async () => ({ inputs: [], modulePath: undefined, release() {} }),
      items: async () => [],
    } as never,
    journal: { entries: () => [], append: async () => {}, remove: () => {}, close: async () => {} } as never,
    ledger: {
      settle: (_job: unknown, agreed: unknown[], disagreed: unknown[]) => ({
        agreed: agreed.length,
        disagreed: disagreed.length,
      }),
      flushed: async () => {},
      close: async () => {},
    } as never,
    options: resolveWorkerOptions({ threads: 1 }),
    owners: async () => [],
    ownersOfJob: async () => [],
    watchBoard: (handler) => {
      show = handler
      return () => {}
    },
  })
  worker.start()
  closers.push(() => worker.close())
  const { jobId } = signedSpec()
  return { worker, identity, show: (owner: Endpoint) => show({ owner, jobId, ready: 5 }) }
}

/** An owner that does `onHello` once a worker has said hello; what the worker says is kept. */
async function startOwner(onHello: (stream: WorkStream) => void) {
  const said: WorkerMessage[] = []
  const uploads: Uint8Array[] = []
  const { endpoint, transport } = await nodes.peer((transport) => {
    transport.handleStream(methods.work, (stream) => {
      stream.onMessage((message) => {
        said.push(message)
        if (message.type === 'hello') onHello(stream)
      })
      stream.onEnd(() => stream.end())
      stream.onClose(() => {})
    })
    transport.handleStream(methods.putOutput, (stream) => {
      stream.onMessage(({ bytes }) => uploads.push(bytes))
      stream.onEnd(() => {
        stream.send({ stored: true })
        stream.end()
      })
      stream.onClose(() => {})
    })
  })
  return { endpoint, identity: transport.identity, said, uploads }
}

function grantOf(
  owner: { identity: ReturnType<typeof createIdentity> },
  worker: { identity: ReturnType<typeof createIdentity> },
  jobId: JobId,
  first: number,
  count: number,
  shard = 0,
): OwnerMessage {
  const bytes = grantCodec.encode({
    jobId,
    shard,
    grantor: owner.identity.publicKey,
    grantorIdNonce: owner.identity.idNonce,
    worker: worker.identity.publicKey,
    age: 'older',
    nonce: Buffer.from(systemRandom.bytes(8)).toString('hex'),
    runs: [{ first, count, opinion: 0 }],
    durationMs: 60_000,
  })
  return { type: 'grant', grant: { bytes, signature: owner.identity.signer.sign('grant', bytes) } }
}

test('survives mangled messages, thousands of them, and goes on to serve others', async () => {
  const random = seededRandom(SEED)
  const codec = methods.work.down
  const valid = coordinatorCases
    .find((other) => (other.codec as unknown) === codec)!
    .values.map((value) => codec.encode(value as OwnerMessage))
  const worker = startWorker()
  let left = MESSAGES
  const raw = { ...methods.work, down: rawBytes }
  const hostile = await nodes.peer((transport) => {
    transport.handleStream(raw, (stream) => {
      stream.onMessage(() => {})
      stream.onClose(() => {})
      stream.send(codec.encode({ type: 'welcome', bootId: '0123456789abcdef' as BootId }))
      for (let i = 0; i < 100 && left > 0; i++, left--) stream.send(mutated(valid[random.int(valid.length)]!, random))
    })
  })
  // Straight to its streams: the worker itself would pause longer and longer between attempts.
  const dialler = nodes.leaf()
  while (left > 0) {
    const stream = dialler.open(hostile.endpoint, methods.work)
    await deadline(
      new Promise<void>((resolve) => {
        stream.onMessage(() => {})
        stream.onClose(() => resolve())
        stream.send({ type: 'want', instances: 1, busy: false })
        setTimeout(() => stream.cancel(), 50)
      }),
      5_000,
      `a mangled stream ends (SEED=${SEED})`,
    )
  }
  left = 500
  worker.show(hostile.endpoint)
  const { jobId, signed } = signedSpec()
  const honest = await startOwner((stream) => {
    stream.send({ type: 'welcome', bootId: '0123456789abcdef' as BootId })
    stream.send({ type: 'spec', spec: signed })
    stream.send(grantOf(honest, worker, jobId, 0, 3))
  })
  worker.show(honest.endpoint)
  await eventually(() => honest.said.some(({ type }) => type === 'report'), 10_000, `a report (SEED=${SEED})`)
  assert.equal(unhandled, [])
})

test('computes nothing that is not in the shard, and hands back what it did not ask for', async () => {
  const worker = startWorker()
  const { jobId, signed } = signedSpec({ nonce: 'cd'.repeat(16) })
  let foreign = true
  const owner = await startOwner((stream) => {
    stream.send({ type: 'welcome', bootId: '0123456789abcdef' as BootId })
    stream.send({ type: 'spec', spec: signed })
    if (foreign) stream.send(grantOf(owner, worker, jobId, 20_000, 5))
    else for (let i = 0; i < 4; i++) stream.send(grantOf(owner, worker, jobId, i * 4_000, 4_000))
    foreign = false
  })
  worker.show(owner.endpoint)
  await eventually(
    () => owner.said.filter(({ type }) => type === 'hello').length >= 2,
    10_000,
    'the stream with the foreign grant is torn',
  )
  assert.not(owner.said.some(({ type }) => type === 'report'))
  await eventually(() => owner.said.some(({ type }) => type === 'handBack'), 10_000, 'units go back')
  assert.equal(unhandled, [])
})

test('gives outputs to the owner that has the report, and to nobody else', async () => {
  const worker = startWorker()
  const { jobId, signed } = signedSpec({ nonce: 'ef'.repeat(16) })
  const owner = await startOwner((stream) => {
    stream.send({ type: 'welcome', bootId: '0123456789abcdef' as BootId })
    stream.send({ type: 'spec', spec: signed })
    stream.send(grantOf(owner, worker, jobId, 0, 2))
    owned = stream
  })
  let owned: WorkStream | undefined
  worker.show(owner.endpoint)
  await eventually(() => owner.said.some(({ type }) => type === 'report'), 10_000, 'a report')
  const thief = await startOwner((stream) => {
    stream.send({ type: 'welcome', bootId: '0123456789abcdef' as BootId })
    for (const unit of [0, 1]) {
      stream.send({ type: 'fetch', jobId, shard: 0, unit, digest: digest as Digest })
      stream.send({ type: 'settled', jobId, shard: 0, agreed: [unit], disagreed: [] })
    }
    stream.send({ type: 'withdraw', jobId, shard: 0, units: [], wholeJob: true, reason: '\u001b[2J' })
    stream.send({ type: 'noWork', reason: 'x'.repeat(390), retryAfterMs: 2 ** 31 })
  })
  worker.show(thief.endpoint)
  await eventually(() => thief.said.some(({ type }) => type === 'want'), 10_000, 'the thief is talked to')
  owned!.send({ type: 'fetch', jobId, shard: 0, unit: 1, digest: digest as Digest })
  await eventually(() => owner.uploads.length > 0, 10_000, 'the owner gets what it asks for')
  assert.is(thief.uploads.length, 0)
  assert.equal(unhandled, [])
})

test.run()
