import { grantId } from '../job/facts/facts.js'
import { PROFILES_KNOWN } from '../job/spec/spec.js'
import { shardUnits } from '../job/units/shard.js'
import type { SameKey } from '../proto/admin-messages.js'
import { grantCodec } from '../proto/codec/facts.js'
import { methods } from '../proto/methods.js'
import type { Grant, JobSpec, NodeId, Signed } from '../proto/model.js'
import { PROTOCOL_MAX, PROTOCOL_MIN } from '../proto/protocol-range.js'
import type { OwnerMessage, RunningUnit, SubmitterWeight, WorkerMessage } from '../proto/work-messages.js'
import { GridError, toGridError, unreachable } from '../runtime/errors.js'
import type { Endpoint, MessageStream } from '../runtime/transport.js'
import type { WorkerEvent } from './core/messages.js'
import type { WorkerCore } from './core/worker-core.js'
import type { WorkerDependencies } from './dependencies.js'
import type { KnownSpecs } from './known-specs.js'
import { OwnerWords } from './owner-words.js'
import type { ReportWriter } from './report-writer.js'
import type { WorkerTally } from './tally.js'

const TICKETS_MAX = 256
/** Units a message of progress tells of. */
const RUNNING_TOLD_MAX = 1_024
/** Another process with this key is logged again after this long. Unit: ms. */
const SAME_KEY_LOGGED_MS = 600_000

type WorkStream = MessageStream<OwnerMessage, WorkerMessage>

interface OwnerStreamsParts {
  readonly dependencies: Pick<
    WorkerDependencies,
    'clock' | 'logger' | 'sha256' | 'transport' | 'signer' | 'donor' | 'bootId' | 'tasks' | 'options'
  >
  readonly core: WorkerCore
  readonly tally: WorkerTally
  readonly specs: KnownSpecs
  readonly reports: ReportWriter
  readonly handle: (event: WorkerEvent) => void
  /** What the volunteer offers now. */
  readonly offer: () => {
    readonly slots: number
    readonly memoryBytes: number
    readonly weights?: readonly SubmitterWeight[]
  }
}

/**
 * The streams to owners, one an owner. Each begins with a hello; what an owner says on it is checked against its spec and
 * this worker's key, and becomes an event. What comes on a stream that another has replaced is not heard.
 */
export class OwnerStreams {
  readonly #d: OwnerStreamsParts['dependencies']
  readonly #core: WorkerCore
  readonly #tally: WorkerTally
  readonly #specs: KnownSpecs
  readonly #reports: ReportWriter
  readonly #handle: (event: WorkerEvent) => void
  readonly #offer: OwnerStreamsParts['offer']
  readonly #streams = new Map<NodeId, WorkStream>()
  readonly words = new OwnerWords()
  #sameKey: SameKey | undefined
  #sameKeyLoggedAtMs = Number.NEGATIVE_INFINITY

  constructor({ dependencies, core, tally, specs, reports, handle, offer }: OwnerStreamsParts) {
    this.#offer = offer
    this.#d = dependencies
    this.#core = core
    this.#tally = tally
    this.#specs = specs
    this.#reports = reports
    this.#handle = handle
  }

  /** The last other process that came to an owner with this worker's key. */
  get sameKey(): SameKey | undefined {
    return this.#sameKey
  }

  /** Whether there is a stream to this owner. */
  has(owner: NodeId): boolean {
    return this.#streams.has(owner)
  }

  /** Events `linkOpened` and, in the end, `linkClosed` follow. */
  open(owner: Endpoint): void {
    const { transport, logger, options, tasks, donor, bootId } = this.#d
    const stream = transport.open(owner, methods.work)
    this.words.dialled(owner.nodeId, owner.address)
    this.#streams.set(owner.nodeId, stream)
    stream.onMessage((message) => this.#onMessage(owner.nodeId, stream, message))
    stream.onEnd(() => stream.end())
    stream.onClose((reason) => {
      if (this.#streams.get(owner.nodeId) !== stream) return
      this.#streams.delete(owner.nodeId)
      const { code, message } = toGridError(reason ?? new GridError('closed', 'the owner ended the stream'))
      logger.debug('owner lost', { owner: owner.nodeId, code, message })
      this.words.said(owner.nodeId, message, this.#d.clock.wallMs(), code)
      if (code === 'exists') logger.warn('owner refuses this key', { owner: owner.nodeId, message })
      this.#handle({
        type: 'linkClosed',
        owner: owner.nodeId,
        // Not `unsupported`: a peer that is starting answers so until it has opened its shards.
        lasting: code === 'exists' || code === 'forbidden',
      })
    })
    stream.send({
      type: 'hello',
      bootId,
      ...this.#offer(),
      tasks,
      jobId: options.onlyJob,
      donor: donor?.publicKey,
      donorSignature: donor?.signature ?? new Uint8Array(0),
      tickets: this.#core.tickets(TICKETS_MAX),
      profile: PROFILES_KNOWN.newest,
      protocol: { protocolMin: PROTOCOL_MIN, protocolMax: PROTOCOL_MAX },
    })
  }

  /** Says hello to all owners anew: what is offered has changed. The links are made again in a moment. */
  renew(): void {
    for (const owner of [...this.#streams.keys()]) {
      this.end(owner)
      this.#handle({ type: 'linkClosed', owner, lasting: false })
    }
  }

  /** Ends the stream to an owner whose link was given up. */
  end(owner: NodeId): void {
    this.#streams.get(owner)?.end()
    this.#streams.delete(owner)
  }

  /** Nothing is said to an owner without a stream. */
  send(owner: NodeId, message: WorkerMessage): void {
    this.#streams.get(owner)?.send(message)
  }

  /** Says to an owner that this worker is there, and how far it is. */
  sendProgress(owner: NodeId, running: readonly RunningUnit[]): void {
    this.send(owner, { type: 'progress', running: running.slice(0, RUNNING_TOLD_MAX) })
  }

  close(): void {
    for (const stream of this.#streams.values()) stream.end()
  }

  #onMessage(owner: NodeId, stream: WorkStream, message: OwnerMessage): void {
    if (this.#streams.get(owner) !== stream) return
    switch (message.type) {
      case 'welcome':
        if (message.sameKeyAt !== undefined) this.#onSameKey(owner, message.sameKeyAt)
        // Said a second time it asks whether we are still there.
        if (this.#core.openLinks.includes(owner)) stream.send({ type: 'progress', running: [] })
        else {
          this.#d.logger.debug('owner joined', { owner })
          this.#handle({ type: 'linkOpened', owner })
        }
        break
      case 'spec':
        this.#specs.learn(message.spec)
        break
      case 'grant':
        this.#onGrant(owner, stream, message.grant)
        break
      case 'ack':
        this.#tally.acknowledged(message.reports.length)
        this.#d.logger.debug('reports taken', { owner, reports: message.reports.length })
        this.#handle({ type: 'reportsTaken', owner, reportIds: message.reports })
        break
      case 'settled': {
        const { jobId, shard, agreed, disagreed } = message
        // All owners of a shard say so; a report counts once, by the word of an owner it was given to.
        const reported = (units: readonly number[]) =>
          units.filter((unit) => this.#core.isReportedTo(owner, jobId, unit))
        const counted = this.#reports.settled(jobId, reported(agreed), reported(disagreed))
        this.#tally.settled(counted.agreed, counted.disagreed)
        this.#d.logger.debug('settled', { owner, jobId, shard, ...counted })
        this.#handle({ type: 'unitsSettled', owner, jobId, shard, agreed, disagreed })
        break
      }
      case 'withdraw': {
        const { jobId, units, wholeJob } = message
        this.#handle({ type: 'withdrawn', owner, jobId, units, wholeJob })
        break
      }
      case 'noWork':
        this.#tally.idle(message.reason)
        this.words.said(owner, message.reason, this.#d.clock.wallMs())
        break
      case 'fetch':
        this.#reports.upload(owner, message)
        break
      case 'refused':
        this.#d.logger.warn('report refused', { owner, reason: message.reason })
        this.words.said(owner, `report refused: ${message.reason}`, this.#d.clock.wallMs())
        this.#handle({ type: 'reportRefused', owner, reportId: message.report, reason: message.reason })
        break
      default:
        unreachable(message)
    }
  }

  #onSameKey(owner: NodeId, host: string): void {
    const atMs = this.#d.clock.wallMs()
    this.#sameKey = { host, owner, atMs }
    if (atMs - this.#sameKeyLoggedAtMs < SAME_KEY_LOGGED_MS) return
    this.#sameKeyLoggedAtMs = atMs
    this.#d.logger.warn('another process uses this key', { owner, host })
  }

  #onGrant(owner: NodeId, stream: WorkStream, signed: Signed): void {
    const grant = grantCodec.decode(signed.bytes)
    const spec = this.#specs.get(grant.jobId)
    if (grant.worker !== this.#d.signer.publicKey || spec === undefined) {
      stream.cancel(new GridError('invalid', 'a grant that is not for this worker'))
      return
    }
    if (!isWithin(grant, spec)) {
      stream.cancel(new GridError('invalid', 'a grant of units that the shard does not have'))
      return
    }
    this.words.granted(owner, this.#d.clock.wallMs())
    const units = grant.runs.reduce((sum, { count }) => sum + count, 0)
    this.#d.logger.debug('granted', { owner, jobId: grant.jobId, shard: grant.shard, units })
    const { submitter } = spec
    this.#handle({ type: 'granted', owner, grant, signed, grantId: grantId(signed, this.#d.sha256), submitter })
  }
}

/** Whether every unit of the grant is one of its shard. */
function isWithin({ shard, runs }: Grant, spec: JobSpec): boolean {
  const units = shardUnits(spec, shard)
  return runs.every(({ first, count }) => {
    const range = units.find((one) => first >= one.first && first < one.first + one.count)
    return range !== undefined && first + count <= range.first + range.count
  })
}
