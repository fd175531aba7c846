import type { Key, PublicKey } from '../../../proto/model.js'
import {
  type OverlayRecord,
  RECORD_BYTES_MAX,
  RECORDS_PER_KEY_MAX,
  type RecordBody,
} from '../../../proto/overlay-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import { CLOCK_TOLERANCE_MS } from '../../routing/core/contact.js'

/** Domain tag of the signature. */
export const RECORD_TAG = 'record'

/** The rules of one kind of record. Kinds nobody registered are refused. */
export interface RecordKind {
  readonly name: string
  /** Furthest that a record may expire ahead. */
  readonly lifetimeMaxMs: Millis
  /** Whether this signer may put this value under this key; judged by storers and readers alike. */
  readonly valid: (record: RecordBody) => boolean
}

/** Why a record is not taken. `older`: a newer one of its signer is held; `againstRules`: its kind does not allow the value. */
type RecordRefusal =
  | 'unknownKind'
  | 'tooLarge'
  | 'expired'
  | 'tooFarAhead'
  | 'againstRules'
  | 'wrongSignature'
  | 'older'
  | 'signerQuota'
  | 'keyFull'
  | 'full'

/** What became of a record that was to be stored; `newer`: it was not held already. */
type Stored = { readonly ok: true; readonly newer: boolean } | { readonly ok: false; readonly reason: RecordRefusal }

interface RecordLimits {
  readonly recordsMax: number
  readonly recordsPerSignerMax: number
}

interface RecordChecks {
  verify(publicKey: PublicKey, tag: string, bytes: Uint8Array, signature: Uint8Array): boolean
}

/**
 * Records this node holds for others. One a key, kind and signer; all bounds are refusals, never evictions, so that
 * nobody can flush what others stored. Names from peers are keys of Maps only, never of objects.
 */
export class RecordStore {
  readonly #kinds = new Map<string, RecordKind>()
  readonly #limits: RecordLimits
  readonly #checks: RecordChecks
  readonly #places = new Map<string, Map<PublicKey, OverlayRecord>>()
  readonly #bySigner = new Map<PublicKey, number>()
  #size = 0

  constructor(kinds: readonly RecordKind[], limits: RecordLimits, checks: RecordChecks) {
    for (const kind of kinds) this.#kinds.set(kind.name, kind)
    this.#limits = limits
    this.#checks = checks
  }

  get size(): number {
    return this.#size
  }

  /** Why a record is not to be believed, by its bytes and the wall clock alone; undefined when it is. */
  problem(record: OverlayRecord, wallMs: Millis): RecordRefusal | undefined {
    const kind = this.#kinds.get(record.kind)
    if (kind === undefined) return 'unknownKind'
    const { signed, publicKey, expiresAtMs } = record
    if (signed.bytes.length + signed.signature.length > RECORD_BYTES_MAX) return 'tooLarge'
    if (expiresAtMs + CLOCK_TOLERANCE_MS < wallMs) return 'expired'
    if (expiresAtMs > wallMs + kind.lifetimeMaxMs + CLOCK_TOLERANCE_MS) return 'tooFarAhead'
    if (!kind.valid(record)) return 'againstRules'
    if (!this.#checks.verify(publicKey, RECORD_TAG, signed.bytes, signed.signature)) return 'wrongSignature'
    return undefined
  }

  /** Stores a record of anybody. Equal versions are kept as they are and are no error. */
  put(record: OverlayRecord, wallMs: Millis): Stored {
    const place = placeOf(record.key, record.kind)
    const known = this.#places.get(place)?.get(record.publicKey)
    if (known !== undefined && known.seq > record.seq) return { ok: false, reason: 'older' }
    if (known !== undefined && sameBytes(known.signed.bytes, record.signed.bytes)) return { ok: true, newer: false }
    const problem = this.problem(record, wallMs)
    if (problem !== undefined) return { ok: false, reason: problem }
    if (known !== undefined) {
      // Two bodies of one seq: the smaller bytes win everywhere, so that holders agree.
      if (known.seq === record.seq && compareBytes(known.signed.bytes, record.signed.bytes) < 0)
        return { ok: true, newer: false }
    } else {
      const full = this.#noRoom(record, place, wallMs)
      if (full !== undefined) return { ok: false, reason: full }
      this.#size++
      this.#bySigner.set(record.publicKey, (this.#bySigner.get(record.publicKey) ?? 0) + 1)
    }
    const records = this.#places.get(place) ?? new Map<PublicKey, OverlayRecord>()
    records.set(record.publicKey, record)
    this.#places.set(place, records)
    return { ok: true, newer: true }
  }

  /** Unexpired records under a key, at most {@link RECORDS_PER_KEY_MAX}. */
  get(key: Key, kind: string, wallMs: Millis): OverlayRecord[] {
    const records = this.#places.get(placeOf(key, kind))
    return records === undefined ? [] : [...records.values()].filter((record) => record.expiresAtMs >= wallMs)
  }

  /** Deletes what has expired. To be called now and then; also done when the store is full. */
  sweep(wallMs: Millis): void {
    for (const [place, records] of this.#places) {
      for (const [signer, record] of records) {
        if (record.expiresAtMs + CLOCK_TOLERANCE_MS >= wallMs) continue
        records.delete(signer)
        this.#size--
        const left = (this.#bySigner.get(signer) ?? 1) - 1
        if (left > 0) this.#bySigner.set(signer, left)
        else this.#bySigner.delete(signer)
      }
      if (records.size === 0) this.#places.delete(place)
    }
  }

  checkInvariants(): void {
    let size = 0
    const bySigner = new Map<PublicKey, number>()
    for (const records of this.#places.values()) {
      size += records.size
      if (records.size === 0 || records.size > RECORDS_PER_KEY_MAX) throw new Error('bug: record store miscounts a key')
      for (const signer of records.keys()) bySigner.set(signer, (bySigner.get(signer) ?? 0) + 1)
    }
    if (size !== this.#size || size > this.#limits.recordsMax) throw new Error('bug: record store miscounts')
    for (const [signer, count] of bySigner) {
      if (count !== this.#bySigner.get(signer)) throw new Error('bug: record store miscounts a signer')
    }
  }

  #noRoom(record: OverlayRecord, place: string, wallMs: Millis): RecordRefusal | undefined {
    if (this.#size >= this.#limits.recordsMax) this.sweep(wallMs)
    if (this.#size >= this.#limits.recordsMax) return 'full'
    if ((this.#bySigner.get(record.publicKey) ?? 0) >= this.#limits.recordsPerSignerMax) return 'signerQuota'
    if ((this.#places.get(place)?.size ?? 0) >= RECORDS_PER_KEY_MAX) return 'keyFull'
    return undefined
  }
}

/** The one to believe of two records of one key, kind and signer: as {@link RecordStore.put} decides. */
export function betterRecord(a: OverlayRecord, b: OverlayRecord): OverlayRecord {
  if (a.seq !== b.seq) return a.seq > b.seq ? a : b
  return compareBytes(a.signed.bytes, b.signed.bytes) <= 0 ? a : b
}

function placeOf(key: Key, kind: string): string {
  return `${key}/${kind}`
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) === 0
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
