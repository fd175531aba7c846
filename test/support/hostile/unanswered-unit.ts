import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jobIdOf } from '../../../job/spec/spec.js'
import { GrpcTransport } from '../../../overlay/channel/grpc-transport.js'
import { type Identity, storedKeyOf } from '../../../overlay/identity/identity.js'
import { SelfContact } from '../../../overlay/routing/self-contact.js'
import { type GridProcess, startProcess } from '../../../process/compose.js'
import { type MetricsServer, serveMetrics } from '../../../process/metrics/metrics-server.js'
import { type ProcessMetrics, prometheusMetrics } from '../../../process/metrics/prometheus.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, Signed } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { toGridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { type LogFields, type Logger, silentLogger } from '../../../runtime/logger.js'
import type { Codec, Endpoint } from '../../../runtime/transport.js'
import { deadline, eventually } from '../deadline.js'
import { testSettings } from '../processes/test-settings.js'
import { testNetwork } from '../transport/grpc-nodes.js'
import { FOLLOWED, type Known, type Question, questionsOf } from './copier-questions.js'
import { rawBytes } from './messages.js'
import { type Answer, RawWorker } from './raw-worker.js'

/** Longest wait for anything here. Unit: ms. */
const WAIT_MS = 60_000

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
    this.#peer = await startProcess(
      testSettings({
        dataFolder: data,
        listen: { host: '127.0.0.1', port: 0 },
        logger: logInto(this.logged),
        meter: this.#metrics,
      }),
    )
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
    const worker = new RawWorker(this.#transport(first), this.#endpoint, { slots: this.#specs.length, task: 'copied' })
    this.#workers.push(worker)
    await eventually(() => worker.grants.length === this.#specs.length, WAIT_MS, 'the first worker has all units')
    const second = new RawWorker(this.#asking.get('waiting')!, this.#endpoint, {
      slots: this.#specs.length,
      task: 'copied',
    })
    this.#workers.push(second)
    await eventually(() => second.isWelcome, WAIT_MS, 'the second worker is there')
    for (const grant of worker.grants) worker.answer(grant, () => answer)
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
    for (const grant of second.grants) second.answer(grant, () => answer)
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
