import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOutput } from '../../job/digest.js'
import { jobIdOf } from '../../job/spec.js'
import { GrpcTransport } from '../../overlay/grpc-transport.js'
import { type Identity, storedKeyOf } from '../../overlay/identity.js'
import { SelfContact } from '../../overlay/self-contact.js'
import { type GridProcess, startProcess } from '../../process/compose.js'
import { type MetricsServer, serveMetrics } from '../../process/metrics/metrics-server.js'
import { type ProcessMetrics, prometheusMetrics } from '../../process/metrics/prometheus.js'
import { grantCodec, reportCodec, unitOutputCodec } from '../../proto/codec/facts.js'
import type { OwnerMessage, WorkerMessage } from '../../proto/messages.js'
import { methods } from '../../proto/methods.js'
import type { BootId, Digest, Report, ReportFact, Signed, UnitOutput } from '../../proto/model.js'
import { systemClock } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { type LogFields, type Logger, silentLogger } from '../../runtime/logger.js'
import type { Codec, Endpoint, MessageStream } from '../../runtime/transport.js'
import { FOLLOWED, type Known, type Question, questionsOf } from './copier-questions.js'
import { deadline, eventually } from './deadline.js'
import { testNetwork } from './grpc-nodes.js'
import { rawBytes } from './hostile-messages.js'

/** Longest wait for anything here. Unit: ms. */
const WAIT_MS = 60_000
/** Outputs up to this travel beside their report. Unit: bytes. */
const INLINE_MAX = 4_096
const NO_BYTES = new Uint8Array(0)

/** Everybody who has to do with one unit: the same keys in every world, so that only the answer differs. */
export interface Cast {
  readonly peer: Identity
  readonly submitter: Identity
  readonly first: Identity
  readonly waiting: Identity
  readonly stranger: Identity
}

/** What one question was answered with. */
export interface Heard {
  /** `stranger` or `waiting`, and what was asked. */
  readonly what: string
  readonly codec: Codec<unknown>
  readonly replies: readonly Uint8Array[]
  /** Code and message it ended with; `ok` for a proper end. */
  readonly ending: string
}

/** An answer, with what would give it away. */
export interface Answer {
  readonly output: UnitOutput
  readonly encoded: Uint8Array
  readonly digest: Digest
  readonly fuel: bigint
}

export function answerOf(output: UnitOutput, fuel: bigint): Answer {
  return { output, encoded: unitOutputCodec.encode(output), digest: digestOutput(sha256, output), fuel }
}

/**
 * One real peer that serves jobs of one unit each, over gRPC: of each job one worker is given the unit and answers it, another
 * is drawn for the second opinion and holds its grant, and a stranger looks on.
 */
export class UnansweredUnit {
  readonly #folder = mkdtempSync(join(tmpdir(), 'manyhands-copying-'))
  readonly #cast: Cast
  readonly #specs: readonly Signed[]
  readonly #transports: GrpcTransport[] = []
  readonly #followed: { what: string; codec: Codec<unknown>; replies: Uint8Array[] }[] = []
  readonly #workers: RawWorker[] = []
  readonly #metrics: ProcessMetrics = prometheusMetrics()
  /** Every line that the peer logged. */
  readonly logged: string[] = []
  #peer: GridProcess | undefined
  #server: MetricsServer | undefined
  #asking = new Map<string, GrpcTransport>()

  constructor(cast: Cast, specs: readonly Signed[]) {
    this.#cast = cast
    this.#specs = specs
  }

  get #endpoint(): Endpoint {
    return this.#peer!.endpoint!
  }

  /** Runs until the units have one opinion each, `answer`, and their second one is being computed. */
  async answered(answer: Answer, guesses: readonly Digest[]): Promise<void> {
    const { peer, submitter, first, waiting, stranger } = this.#cast
    const data = join(this.#folder, 'peer')
    mkdirSync(data, { mode: 0o700 })
    writeFileSync(join(data, 'identity.json'), JSON.stringify(storedKeyOf(peer)), { mode: 0o600 })
    this.#peer = await startProcess({
      dataFolder: data,
      network: testNetwork,
      join: [],
      listen: { host: '127.0.0.1', port: 0 },
      advertise: undefined,
      threads: 0,
      onlyJob: undefined,
      lowPriority: false,
      memoryBytes: 0,
      taskModules: [],
      ephemeral: false,
      logger: logInto(this.logged),
      meter: this.#metrics,
    })
    this.#metrics.watch(this.#peer)
    this.#server = await serveMetrics({ host: '127.0.0.1', port: 0 }, this.#metrics, silentLogger)
    const owner = this.#transport(submitter)
    for (const spec of this.#specs) await owner.call(this.#endpoint, methods.submit, { spec }, { deadlineMs: WAIT_MS })
    this.#asking = new Map([
      ['stranger', this.#transport(stranger)],
      ['waiting', this.#transport(waiting)],
    ])
    for (const [who, transport] of this.#asking) {
      for (const spec of this.#specs)
        for (const question of questionsOf(this.#known(transport.identity, spec, guesses, [])))
          if (FOLLOWED.has(question.name)) this.#follow(who, transport, question)
    }
    const worker = new RawWorker(this.#transport(first), this.#endpoint, this.#specs.length)
    this.#workers.push(worker)
    await eventually(() => worker.grants.length === this.#specs.length, WAIT_MS, 'the first worker has all units')
    const second = new RawWorker(this.#asking.get('waiting')!, this.#endpoint, this.#specs.length)
    this.#workers.push(second)
    await eventually(() => second.isWelcome, WAIT_MS, 'the second worker is there')
    for (const grant of worker.grants) worker.answer(grant, answer)
    await eventually(() => second.grants.length === this.#specs.length, WAIT_MS, 'the second worker is drawn')
    for (const spec of this.#specs) {
      const request = { jobId: jobIdOf(sha256, spec.bytes), withShards: true }
      const isKnown = async () => {
        const { summary } = await owner.call(this.#endpoint, methods.show, request, { deadlineMs: WAIT_MS })
        return summary.answered === 1 && summary.leased === 1
      }
      await eventually(isKnown, WAIT_MS, 'the home knows of the answer')
    }
  }

  /** The second worker says the same as the first, and the units are decided. */
  async agree(answer: Answer): Promise<void> {
    const second = this.#workers[1]!
    for (const grant of second.grants) second.answer(grant, answer)
    await eventually(() => second.settled === this.#specs.length, WAIT_MS, 'the units are settled')
  }

  /** Asks everything of the peer, as the stranger and as the worker that waits; of the second what one connected may ask. */
  async asked(guesses: readonly Digest[]): Promise<readonly Heard[]> {
    const heard: Heard[] = []
    for (const [who, transport] of this.#asking) {
      for (const [at, spec] of this.#specs.entries()) {
        const ask = async (question: Question) => {
          const answer = await this.#ask(`${who} job ${at} ${question.name}`, transport, question)
          heard.push(answer)
          return answer
        }
        for (const question of questionsOf(this.#known(transport.identity, spec, guesses, []))) {
          // A second stream of one worker would take the place of the first.
          if (FOLLOWED.has(question.name) || (who === 'waiting' && question.name === 'work')) continue
          const { replies } = await ask(question)
          if (question.name !== 'reconcile') continue
          const known = this.#known(transport.identity, spec, guesses, replies.flatMap(factIdsIn))
          for (const fetching of questionsOf(known)) if (fetching.name === 'fetchFacts') await ask(fetching)
        }
      }
    }
    return heard
  }

  /** What the worker that waits was told on its stream, but for how often there was nothing to do. */
  toldWaiting(): Heard {
    const replies = this.#workers[1]!.heard.filter((bytes) => methods.work.down.decode(bytes).type !== 'noWork')
    return { what: 'waiting work', codec: methods.work.down as Codec<unknown>, replies, ending: 'ok' }
  }

  /** What came meanwhile on streams that stay open. How many states in between are seen depends on time. */
  pushed(): readonly Heard[] {
    return this.#followed.map((one) => ({ ...one, ending: 'ok' }))
  }

  /** The page of metrics as whoever reaches the port reads it. */
  async metrics(): Promise<string> {
    const page = await fetch(`http://127.0.0.1:${this.#server!.port}/metrics`)
    return page.text()
  }

  async close(): Promise<void> {
    await Promise.all(this.#transports.splice(0).map((transport) => transport.close()))
    await this.#server?.close()
    await this.#peer?.close()
    this.#metrics.close()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #transport(identity: Identity): GrpcTransport {
    const transport = new GrpcTransport({ identity, network: testNetwork })
    this.#transports.push(transport)
    return transport
  }

  #known(identity: Identity, spec: Signed, guesses: readonly Digest[], factIds: readonly Digest[]): Known {
    const contact = new SelfContact(identity, systemClock, ['127.0.0.1:9'], []).get(true)
    return { spec, identity, contact, guesses, factIds }
  }

  async #ask(what: string, transport: GrpcTransport, { method, messages }: Question): Promise<Heard> {
    const replies: Uint8Array[] = []
    if ('request' in method) {
      const raw = { path: method.path, request: rawBytes, response: rawBytes }
      const bytes = method.request.encode(messages[0])
      const ending = await transport.call(this.#endpoint, raw, bytes, { deadlineMs: WAIT_MS }).then((reply) => {
        replies.push(reply)
        return 'ok'
      }, endingOf)
      return { what, codec: method.response, replies, ending }
    }
    const stream = transport.open(this.#endpoint, { path: method.path, up: rawBytes, down: rawBytes })
    const closed = new Promise<string>((resolve) => {
      stream.onMessage((reply) => {
        replies.push(reply)
        if (isLast(reply)) stream.end()
      })
      stream.onClose((reason) => resolve(reason === undefined ? 'ok' : endingOf(reason)))
    })
    for (const message of messages) stream.send(method.up.encode(message))
    // An owner says nothing more of a report once its worker has left.
    const isLast = (reply: Uint8Array) =>
      method.path === methods.work.path && methods.work.down.decode(reply).type === 'refused'
    if (method.path !== methods.work.path) stream.end()
    return { what, codec: method.down, replies, ending: await deadline(closed, WAIT_MS, `${what} ends`) }
  }

  #follow(who: string, transport: GrpcTransport, { name, method, messages }: Question): void {
    if (!('up' in method)) throw new Error(`${name} is no stream`)
    const followed = { what: `${who} ${name}`, codec: method.down, replies: [] as Uint8Array[] }
    this.#followed.push(followed)
    const stream = transport.open(this.#endpoint, { path: method.path, up: rawBytes, down: rawBytes })
    stream.onMessage((reply) => followed.replies.push(reply))
    stream.onClose(() => {})
    for (const message of messages) stream.send(method.up.encode(message))
  }
}

/** A worker that computes nothing: takes what it is granted and answers what it is told to. */
class RawWorker {
  readonly grants: Signed[] = []
  /** What the owner said, as it came. */
  readonly heard: Uint8Array[] = []
  isWelcome = false
  settled = 0
  readonly #identity: Identity
  readonly #stream: MessageStream<Uint8Array, Uint8Array>

  constructor(transport: GrpcTransport, to: Endpoint, slots: number) {
    this.#identity = transport.identity
    this.#stream = transport.open(to, { path: methods.work.path, up: rawBytes, down: rawBytes })
    this.#stream.onMessage((bytes) => {
      this.heard.push(bytes)
      this.#on(methods.work.down.decode(bytes))
    })
    this.#stream.onClose(() => {})
    const hello: WorkerMessage = {
      type: 'hello',
      bootId: '33'.repeat(8) as BootId,
      slots,
      tasks: [{ name: 'copied', version: 1 }],
      memoryBytes: 2 ** 40,
      jobId: undefined,
      donor: undefined,
      donorSignature: NO_BYTES,
      tickets: [],
      profile: 0,
    }
    this.#say(hello)
    this.#say({ type: 'want', instances: slots, busy: false })
  }

  answer(grant: Signed, { output, encoded, digest, fuel }: Answer): void {
    const { publicKey, signer } = this.#identity
    const { jobId, shard } = grantCodec.decode(grant.bytes)
    const report: Report = {
      jobId,
      shard,
      worker: publicKey,
      donor: publicKey,
      donorSignature: NO_BYTES,
      results: [{ unit: 0, outcome: output.outcome, digest, outputBytes: encoded.length, fuel }],
    }
    const bytes = reportCodec.encode(report)
    const fact: ReportFact = { report: { bytes, signature: signer.sign('report', bytes) }, grants: [grant] }
    const outputs = encoded.length <= INLINE_MAX ? [{ unit: 0, bytes: encoded }] : []
    this.#say({ type: 'report', fact, outputs, wallMs: 10 })
  }

  #on(message: OwnerMessage): void {
    if (message.type === 'welcome') this.isWelcome = true
    if (message.type === 'grant') this.grants.push(message.grant)
    if (message.type === 'settled') this.settled += message.agreed.length
  }

  #say(message: WorkerMessage): void {
    this.#stream.send(methods.work.up.encode(message))
  }
}

/** Ids that a reply of `Reconcile` names. */
function factIdsIn(reply: Uint8Array): readonly Digest[] {
  const { shards } = methods.reconcile.response.decode(reply)
  return shards.flatMap((shard) => (shard.state === 'answered' ? shard.ranges.ids.flatMap(({ ids }) => ids) : []))
}

function endingOf(error: unknown): string {
  const { code, message } = toGridError(error)
  return `${code} ${message}`
}

function logInto(lines: string[]): Logger {
  const log = (event: string, fields: LogFields = {}) =>
    void lines.push(`${event} ${Object.values(fields).map(String).join(' ')}`)
  const logger: Logger = { debug: log, info: log, warn: log, error: log, child: () => logger }
  return logger
}
