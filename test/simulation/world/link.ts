import type { Millis } from '../../../runtime/clock.js'
import { GridError } from '../../../runtime/errors.js'
import type { Address, Caller } from '../../../runtime/transport.js'
import type { SimProcess } from './process.js'

/** How messages travel. Delays are one way: `baseMs` (varied by pair of hosts) plus an exponential part. */
export interface LinkProfile {
  /** Mean of the fixed part; each pair of hosts has its own between half and one and a half of it. Unit: ms. */
  readonly baseMs: Millis
  /** Mean of the varying part, which reorders unary calls. Unit: ms. */
  readonly jitterMs: Millis
  /** Chance that a unary request or reply is lost, or a stream message has to be sent again. 0 to 1. */
  readonly loss: number
  /** Chance that a unary request arrives twice. 0 to 1. */
  readonly duplicate: number
}

/** Machines in one room, between homes, and between homes on a bad day. */
export const linkProfiles = {
  lan: { baseMs: 0.2, jitterMs: 0.1, loss: 0, duplicate: 0 },
  wan: { baseMs: 40, jitterMs: 8, loss: 0, duplicate: 0 },
  bad: { baseMs: 60, jitterMs: 40, loss: 0.03, duplicate: 0.02 },
} satisfies Record<string, LinkProfile>

/** What a host is to the network. */
export interface Station {
  readonly name: string
  readonly address: Address
  /** False for a leaf: nobody can dial it. */
  readonly reachable: boolean
  /** Bytes it can send per second; unlimited when undefined. */
  readonly uplinkBytesPerS: number | undefined
  /** Who answers at the address now. */
  readonly caller: Caller
  /** The process that runs, if any. */
  readonly process: SimProcess | undefined
  /** False after a power loss: nothing answers, not even to refuse. */
  readonly poweredOn: boolean
}

/** Time until a stream whose peer or link is dead without a word is given up: keepalive of 20 s, 20 s to answer. Unit: ms. */
export const SILENT_PEER_MS = 40_000
/** Time until a stream message that was lost is sent again, Linux's least retransmission timeout. Unit: ms. */
export const RESEND_MS = 200

/** What of `error` travels: never the inside of a fault, nor fields, hint or cause. */
export function wireError(error: GridError): GridError {
  return new GridError(error.code, error.code === 'internal' ? 'internal error' : error.message)
}
