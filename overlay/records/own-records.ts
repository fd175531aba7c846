import { decodeRecord, encodeRecordBody } from '../../proto/codec/overlay.js'
import type { Key, PublicKey } from '../../proto/model.js'
import { type Contact, type OverlayRecord, RECORD_VALUE_BYTES_MAX } from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Signer } from '../identity/identity.js'
import type { OverlayOptions } from '../options.js'
import type { OverlayRpc } from '../routing/rpc.js'
import { betterRecord, RECORD_TAG, type RecordStore } from './core/record.js'

/** Own records kept alive at a time; beyond it `put` is refused. */
const OWN_RECORDS_MAX = 1_024

/** What to put under a key. */
export interface RecordDraft {
  readonly kind: string
  readonly key: Key
  /** At most 800 bytes. */
  readonly value: Uint8Array
  /** How long it is to live; it is signed and stored anew meanwhile as long as this node runs. Unit: ms. */
  readonly lifetimeMs: Millis
}

interface OwnRecordsDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly options: OverlayOptions
  readonly logger: Logger
  readonly signer: Signer
  readonly rpc: OverlayRpc
  readonly self: () => Contact | undefined
  readonly store: RecordStore
  /** The `count` eligible peers closest to a key, this node included where it is one of them. */
  readonly owners: (key: Key, count: number) => Promise<readonly Contact[]>
}

interface Own {
  readonly draft: RecordDraft
  seq: bigint
  dueAt: Millis
}

/** Puts and finds records, and stores the own ones anew as holders come and go. */
export class OwnRecords {
  readonly #d: OwnRecordsDependencies
  readonly #own = new Map<string, Own>()
  readonly #alarm: Alarm
  #closed = false

  constructor(dependencies: OwnRecordsDependencies) {
    this.#d = dependencies
    this.#alarm = new Alarm(dependencies.clock, () => this.#republish())
  }

  /**
   * Signs and stores a record at the peers closest to its key, and again every so often. Resolves to how many hold it.
   * Rejects with GridError `invalid` for a value that is too long, `quota` beyond 1,024 records.
   */
  async put(draft: RecordDraft): Promise<number> {
    if (draft.value.length > RECORD_VALUE_BYTES_MAX) {
      throw new GridError(
        'invalid',
        `a record's value has ${draft.value.length} bytes, at most ${RECORD_VALUE_BYTES_MAX} allowed`,
      )
    }
    const place = `${draft.key}/${draft.kind}`
    const known = this.#own.get(place)
    if (known === undefined && this.#own.size >= OWN_RECORDS_MAX)
      throw new GridError('quota', `more than ${OWN_RECORDS_MAX} own records`)
    const own: Own = { draft, seq: known?.seq ?? 0n, dueAt: 0 }
    this.#own.set(place, own)
    return await this.#publish(own)
  }

  /** The believable records under a key, one a signer: of several versions the one all holders would keep. */
  async get(key: Key, kind: string): Promise<OverlayRecord[]> {
    const { owners, options, self, store, rpc, clock } = this.#d
    const best = new Map<PublicKey, OverlayRecord>()
    const consider = (record: OverlayRecord): void => {
      if (record.key !== key || record.kind !== kind || record.expiresAtMs < clock.wallMs()) return
      if (store.problem(record, clock.wallMs()) !== undefined) return
      const known = best.get(record.publicKey)
      best.set(record.publicKey, known === undefined ? record : betterRecord(known, record))
    }
    const ask = async (holder: Contact): Promise<void> => {
      if (holder.nodeId === self()?.nodeId) return
      for (const record of await rpc.findRecord(holder, key, kind)) consider(record)
    }
    const holders = await owners(key, options.recordCopies)
    store.get(key, kind, clock.wallMs()).forEach(consider)
    await Promise.allSettled(holders.map(ask))
    return [...best.values()]
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
  }

  async #publish(own: Own): Promise<number> {
    const { clock, signer, owners, options, self, store, rpc, logger, random } = this.#d
    const { kind, key, value, lifetimeMs } = own.draft
    const wallMs = clock.wallMs()
    own.seq = BigInt(wallMs) > own.seq ? BigInt(wallMs) : own.seq + 1n
    own.dueAt = clock.now() + jitter(random, Math.min(options.recordRepublishMs, lifetimeMs / 3), 0.2)
    this.#alarm.set(own.dueAt)
    const bytes = encodeRecordBody({
      kind,
      key,
      publicKey: signer.publicKey,
      seq: own.seq,
      expiresAtMs: wallMs + lifetimeMs,
      value,
    })
    const record = decodeRecord({ bytes, signature: signer.sign(RECORD_TAG, bytes) })
    const tell = async (holder: Contact): Promise<void> => {
      if (holder.nodeId === self()?.nodeId) {
        const stored = store.put(record, wallMs)
        if (!stored.ok) throw new GridError('invalid', `record refused: ${stored.reason}`)
      } else {
        await rpc.storeRecord(holder, record)
      }
    }
    const outcomes = await Promise.allSettled((await owners(key, options.recordCopies)).map(tell))
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected')
        logger.debug('recordNotStored', { kind, reason: toGridError(outcome.reason).message })
    }
    return outcomes.filter((outcome) => outcome.status === 'fulfilled').length
  }

  #republish(): void {
    if (this.#closed) return
    const { clock, logger } = this.#d
    for (const own of this.#own.values()) {
      if (own.dueAt > clock.now()) this.#alarm.set(own.dueAt)
      else
        void this.#publish(own).catch((error: unknown) =>
          logger.debug('recordNotPublished', { reason: toGridError(error).message }),
        )
    }
  }
}
