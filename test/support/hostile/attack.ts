import { GrpcTransport } from '../../../overlay/channel/grpc-transport.js'
import { healthCheck, healthWatch } from '../../../overlay/channel/health.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { SelfContact } from '../../../overlay/routing/self-contact.js'
import * as overlayMethods from '../../../proto/codec/overlay.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, Key, PublicKey, Signed } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import { systemClock } from '../../../runtime/clock.js'
import { ERROR_CODES, type ErrorCode, toGridError } from '../../../runtime/errors.js'
import type { Random } from '../../../runtime/random.js'
import type { Codec, Endpoint, MessageStream, StreamMethod, UnaryMethod } from '../../../runtime/transport.js'
import { allCases } from '../../unit/proto/codec/cases/all.js'
import { testNetwork } from '../transport/grpc-nodes.js'
import { mutated, rawBytes } from './messages.js'

/** Whom to attack, and what the attackers know of an honest job there. */
export interface Target {
  readonly endpoint: Endpoint
  readonly jobId: JobId
  readonly spec: Signed
}

export type AnyUnary = UnaryMethod<unknown, unknown>
export type AnyStream = StreamMethod<unknown, unknown>

/** What a peer may answer a stranger; never `internal`, and it is there and in time. */
const DOCUMENTED: ReadonlySet<ErrorCode | 'ok'> = new Set<ErrorCode | 'ok'>([
  'ok',
  ...ERROR_CODES.filter((code) => code !== 'internal' && code !== 'unreachable' && code !== 'timeout'),
])
const STRANGERS = 6
/** Calls and streams of one attack at a time: well below what connections allow, so that none waits. */
const AT_ONCE = 48
const CALL_MS = 10_000
/** A stream that says nothing for so long is torn down. Unit: ms. */
const STREAM_MS = 150
const UNDOCUMENTED_MAX = 20
/** Different refusals that are remembered with their words. */
const REFUSALS_MAX = 64
const REFUSAL_CHARS_MAX = 120
/** What is left of a connection that the peer ended since too many of its streams were reset: see docs/limits.md. */
const HUNG_UP = /Session closed with error code 2/
/** What it had not read yet when it ended the connection: never run. */
const NOT_READ = /Stream refused by server/
/** A busy machine does not get all connections open in time; whether the peer is there still, those who know it say. */
const NOT_IN_TIME = /^no answer from .* within/
/** A stream of a caller that did not say what it wants: the peer is there, the caller was not. */
const SAID_NOTHING = /^(no hello|nothing was asked)$/

const isUnary = (method: object): method is AnyUnary => 'request' in method

/** One stranger: a key of its own and a connection of its own. */
export interface Stranger {
  readonly identity: Identity
  readonly transport: GrpcTransport
  /** A contact record as a peer would send it, of an address where nobody listens. */
  readonly contact: Contact
}

export interface AttackOptions {
  /** Keys to attack with. Default: 6. */
  readonly strangers?: number
  readonly signal?: AbortSignal
  /** Deadline of a call. Unit: ms. Default: 10 s. */
  readonly callMs?: number
}

/** A method with valid requests to it: as values, and encoded. */
export interface Surface {
  readonly method: AnyUnary | AnyStream
  readonly values: readonly unknown[]
  /** At least one. */
  readonly valid: readonly Uint8Array[]
}

/** Several strangers at work on one peer, and what they were answered. */
export class Attack {
  readonly target: Target
  readonly random: Random
  readonly strangers: readonly Stranger[]
  /** Answers that no peer may give. */
  readonly undocumented: string[] = []
  readonly #codes = new Map<string, number>()
  readonly #refusals = new Map<string, number>()
  sent = 0
  /** Connections, or calls that wait, which an attack that holds them had when it was over. */
  held = 0
  /** Messages by path of their method. */
  readonly sentTo = new Map<string, number>()
  #surface: readonly Surface[] | undefined
  readonly #callMs: number
  /** Aborted: nothing new is begun. */
  readonly signal: AbortSignal

  constructor(
    target: Target,
    random: Random,
    { strangers = STRANGERS, signal = new AbortController().signal, callMs = CALL_MS }: AttackOptions = {},
  ) {
    this.target = target
    this.random = random
    this.signal = signal
    this.#callMs = callMs
    this.strangers = Array.from({ length: strangers }, () => {
      const identity = createIdentity()
      const contact = new SelfContact(identity, systemClock, ['127.0.0.1:9'], []).get(true)
      return { identity, contact, transport: new GrpcTransport({ identity, network: testNetwork }) }
    })
  }

  /** Codes and how often each came. */
  summary(): string {
    return [...this.#codes]
      .sort(([, a], [, b]) => b - a)
      .map(([code, count]) => `${code} ${count}`)
      .join(', ')
  }

  /** Refusals with their status and words, the most frequent first; numbers and ids in them are left out, to add them up. */
  refusals(): readonly { readonly text: string; readonly count: number }[] {
    return [...this.#refusals].map(([text, count]) => ({ text, count })).sort((a, b) => b.count - a.count)
  }

  any(): Stranger {
    return this.strangers[this.random.int(this.strangers.length)]!
  }

  note(path: string, code: ErrorCode | 'ok', message = ''): void {
    const end = SAID_NOTHING.test(message)
      ? 'said nothing'
      : code === 'unreachable'
        ? HUNG_UP.test(message)
          ? 'hung up'
          : NOT_READ.test(message)
            ? 'not read'
            : NOT_IN_TIME.test(message)
              ? 'not in time'
              : code
        : code
    this.#codes.set(end, (this.#codes.get(end) ?? 0) + 1)
    if (message !== '')
      this.#refused(`${code}: ${message.replace(/[0-9a-f]{8,}|\d+/g, '#').slice(0, REFUSAL_CHARS_MAX)}`)
    if (end === code && !DOCUMENTED.has(code) && this.undocumented.length < UNDOCUMENTED_MAX)
      this.undocumented.push(`${path}: ${code} ${message}`)
  }

  /** Calls that the peer refused unread although it ended no connection. Range: 0 where it does as it says. */
  get refusedUnread(): number {
    return this.#codes.has('hung up') ? 0 : (this.#codes.get('not read') ?? 0)
  }

  /** Sends bytes or a message, notes the answer, and never rejects. Resolves to the answer's code. */
  async call<Request>(
    method: UnaryMethod<Request, unknown>,
    request: Request | Uint8Array,
    from: Stranger = this.any(),
  ): Promise<ErrorCode | 'ok'> {
    this.#count(method.path)
    const bytes = request instanceof Uint8Array ? request : method.request.encode(request)
    try {
      const raw = { path: method.path, request: rawBytes, response: rawBytes }
      await from.transport.call(this.target.endpoint, raw, bytes, { deadlineMs: this.#callMs })
      this.note(method.path, 'ok')
      return 'ok'
    } catch (error) {
      const { code, message } = toGridError(error)
      this.note(method.path, code, message)
      return code
    }
  }

  /** Sends messages on one stream, ends or abandons it, and resolves when it is closed. Never rejects. */
  async stream<Up>(
    method: StreamMethod<Up, unknown>,
    messages: readonly (Up | Uint8Array)[],
    options: { readonly end?: boolean; readonly from?: Stranger; readonly waitMs?: number } = {},
  ): Promise<void> {
    const { end = true, from = this.any(), waitMs = STREAM_MS } = options
    const raw: StreamMethod<Uint8Array, Uint8Array> = { path: method.path, up: rawBytes, down: rawBytes }
    const stream: MessageStream<Uint8Array, Uint8Array> = from.transport.open(this.target.endpoint, raw)
    const closed = new Promise<void>((resolve) => {
      stream.onMessage(() => {})
      stream.onClose((reason) => {
        const failure = reason === undefined ? undefined : toGridError(reason)
        this.note(method.path, failure?.code ?? 'ok', failure?.message)
        resolve()
      })
    })
    for (const message of messages) {
      this.#count(method.path)
      if (!stream.send(message instanceof Uint8Array ? message : method.up.encode(message))) await stream.drained()
    }
    if (end) stream.end()
    const timer = setTimeout(() => stream.cancel(), waitMs)
    await closed
    clearTimeout(timer)
  }

  #refused(text: string): void {
    const count = this.#refusals.get(text) ?? 0
    if (count > 0 || this.#refusals.size < REFUSALS_MAX) this.#refusals.set(text, count + 1)
  }

  #count(path: string): void {
    this.sent++
    this.sentTo.set(path, (this.sentTo.get(path) ?? 0) + 1)
  }

  /** Runs `action` for each item, many at a time. */
  async each<T>(items: Iterable<T>, action: (item: T) => Promise<unknown>): Promise<void> {
    const queue = items[Symbol.iterator]()
    const lane = async () => {
      for (let next = queue.next(); next.done !== true && !this.signal.aborted; next = queue.next())
        await action(next.value)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
  }

  async close(): Promise<void> {
    await Promise.all(this.strangers.map(({ transport }) => transport.close()))
  }

  // ------------------------------------------------------------------------------------------------- mangled messages

  /** `count` mangled messages for each unary method, in turn, so that all are under way at once. */
  async mangledCalls(count: number): Promise<void> {
    const all = this.surface().filter(({ method }) => isUnary(method))
    await this.each(times(count * all.length), async (index) => {
      const { method, valid } = all[index % all.length]!
      await this.call(method as AnyUnary, this.#mangled(valid))
    })
  }

  /** `count` mangled messages for each stream: one to four a stream, after a valid one in half of them. */
  async mangledStreams(count: number): Promise<void> {
    const all = this.surface().filter(({ method }) => !isUnary(method))
    const left = all.map(() => count)
    await this.each(times(count * all.length), async (index) => {
      const which = index % all.length
      if (left[which]! <= 0) return
      const { method, valid } = all[which]!
      const messages = Array.from({ length: 1 + this.random.int(6) }, () => this.#mangled(valid))
      if (this.random.int(2) === 0) messages.unshift(valid[this.random.int(valid.length)]!)
      left[which]! -= messages.length
      await this.stream(method as AnyStream, messages, { end: this.random.int(8) > 0 })
    })
  }

  #mangled(valid: readonly Uint8Array[]): Uint8Array {
    return mutated(valid[this.random.int(valid.length)]!, this.random)
  }

  /** Every method with valid requests, those that speak of the honest job included. */
  surface(): readonly Surface[] {
    this.#surface ??= this.#everyMethod()
    return this.#surface
  }

  #everyMethod(): Surface[] {
    const { contact } = this.strangers[0]!
    const { jobId, spec } = this.target
    const key = jobId.slice(0, 40) as Key
    const announcement = {
      jobId,
      submitter: contact.publicKey as PublicKey,
      ready: 5,
      expiresInMs: 1_000,
      header: new Uint8Array(20),
    }
    const { identity } = this.strangers[0]!
    const body = {
      kind: 'jobs.0',
      key,
      publicKey: identity.publicKey,
      seq: 1n,
      expiresAtMs: Date.now() + 3_600_000,
      value: new Uint8Array(32),
    }
    const bytes = overlayMethods.encodeRecordBody(body)
    const signature = identity.signer.sign('record', bytes)
    const record = overlayMethods.decodeRecord({ bytes, signature })
    const known = new Map<Codec<never> | Codec<unknown>, readonly unknown[]>([
      [overlayMethods.pingMethod.request, [{ caller: contact }, { caller: undefined }]],
      [overlayMethods.findNodeMethod.request, [{ caller: contact, target: key }]],
      [overlayMethods.findRecordMethod.request, [{ caller: contact, key, kind: 'jobs.0' }]],
      [
        overlayMethods.storeRecordMethod.request,
        [
          { caller: contact, record },
          { caller: undefined, record },
        ],
      ],
      [overlayMethods.dialBackMethod.request, [{ caller: contact }]],
      [overlayMethods.announceMethod.request, [{ caller: contact, announcement }]],
      [overlayMethods.watchBoardMethod.up, [{ boards: 0xffff }]],
      [healthCheck.request, ['', 'manyhands.v1.Jobs']],
      [healthWatch.up, ['', 'x']],
      [methods.submit.request, [{ spec }]],
      [methods.activate.request, [{ spec, orders: [], shard: 0 }]],
      [methods.show.request, [{ jobId, withShards: true }]],
      [methods.results.up, [{ jobId, shard: 0, units: [], follow: true, withOutputs: true }]],
      [methods.listUnits.up, [{ jobId, shard: 0, state: undefined, limit: 16_384 }]],
    ] as [Codec<unknown>, readonly unknown[]][])
    const every = [...Object.values(methods), ...Object.values(overlayMethods), healthCheck, healthWatch]
    return every.flatMap((method) => {
      if (typeof method !== 'object' || !('path' in method)) return []
      const codec = ('request' in method ? method.request : method.up) as Codec<unknown>
      const values = [...(known.get(codec) ?? []), ...(allCases.find((other) => other.codec === codec)?.values ?? [])]
      const valid = values.map((value) => codec.encode(value))
      const untyped = method as unknown as AnyUnary | AnyStream
      // A method that came in without an example would be sent bytes that nobody reads far.
      if (valid.length === 0) throw new Error(`there is no valid message to ${method.path}`)
      return [{ method: untyped, values, valid }]
    })
  }
}

export function* times(count: number): Generator<number> {
  for (let index = 0; index < count; index++) yield index
}
