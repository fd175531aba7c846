import { type ErrorCode, GridError } from '../../../runtime/errors.js'
import { utf8 } from '../../../runtime/hex.js'
import type {
  Codec,
  Endpoint,
  StreamHandler,
  StreamMethod,
  Transport,
  UnaryHandler,
  UnaryMethod,
} from '../../../runtime/transport.js'
import { deadline } from '../deadline.js'

/** Two nodes that can reach each other, as the suite wants them. */
export interface TransportPair {
  /** Dials. */
  readonly dialler: Transport
  readonly diallerId: string
  /** Accepts; its handlers were set by the `setUp` given to the factory. */
  readonly acceptor: Transport
  /** Where the acceptor is, as the dialler sees it. */
  readonly endpoint: Endpoint
  /** A place where nobody answers. */
  readonly nowhere: Endpoint
  /** The acceptor's address with the id of another node. */
  readonly impostor: Endpoint
  /** Waits for `promise`; a simulated pair lets virtual time pass meanwhile. Default: {@link deadline} of 60 s. */
  readonly wait?: <T>(promise: Promise<T>, what: string) => Promise<T>
  /** Resolves once no bytes move any more. Default: polls until `progress` has stood still for 250 ms. */
  readonly quiet?: (progress: () => number) => Promise<void>
  close(): Promise<void>
}

/** Makes a pair; `setUp` offers methods on the acceptor before its first connection. */
export type PairFactory = (setUp: (acceptor: Transport) => void) => Promise<TransportPair>

/** Text without the letter that stands for hostile bytes here. */
const text: Codec<string> = {
  encode: utf8,
  decode(bytes) {
    const read = new TextDecoder().decode(bytes)
    if (read.startsWith('!')) throw new GridError('invalid', 'a message may not begin with !')
    return read
  },
}
export const rude: Codec<string> = { encode: utf8, decode: (bytes) => new TextDecoder().decode(bytes) }
const blob: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }

export const ask: UnaryMethod<string, string> = { path: '/test.Conformance/Ask', request: text, response: text }
export const talk: StreamMethod<string, string> = { path: '/test.Conformance/Talk', up: text, down: text }
export const pour: StreamMethod<Uint8Array, Uint8Array> = { path: '/test.Conformance/Pour', up: blob, down: blob }
export const SOON = { deadlineMs: 30_000 }

/** A pair that always knows how to wait. */
export interface RunningPair extends TransportPair {
  wait<T>(promise: Promise<T>, what: string): Promise<T>
}

/** Runs bodies of tests, each with a pair of its own that is closed afterwards. */
export class Pairs {
  readonly #make: PairFactory

  constructor(make: PairFactory) {
    this.#make = make
  }

  async with(setUp: (acceptor: Transport) => void, body: (pair: RunningPair) => Promise<void>): Promise<void> {
    const pair = await this.#make(setUp)
    const wait = pair.wait ?? ((promise, what) => deadline(promise, 60_000, what))
    try {
      await body({ ...pair, wait })
    } finally {
      await pair.close()
    }
  }

  /** The acceptor answers {@link ask}. */
  withAsk(handler: UnaryHandler<string, string>, body: (pair: RunningPair) => Promise<void>): Promise<void> {
    return this.with((acceptor) => acceptor.handleUnary(ask, handler), body)
  }

  /** The acceptor takes streams of {@link talk}. */
  withTalk(handler: StreamHandler<string, string>, body: (pair: RunningPair) => Promise<void>): Promise<void> {
    return this.with((acceptor) => acceptor.handleStream(talk, handler), body)
  }
}

/** Code of the error with which a call or stream ended; undefined: it ended without one, or with none of ours. */
export function codeOf(error: Error | undefined): ErrorCode | undefined {
  return error instanceof GridError ? error.code : undefined
}
