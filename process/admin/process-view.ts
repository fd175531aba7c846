import type { ProcessState } from '../../proto/admin-messages.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { VERSION } from '../../runtime/version.js'
import type { GridProcess } from '../compose.js'

/** The bytes on disk are counted at most this often. Unit: ms. */
const STORED_EVERY_MS: Millis = 10_000

/** A process of the grid as its owner sees it. */
export class ProcessView {
  readonly #process: GridProcess
  readonly #network: string
  readonly #clock: Clock
  readonly #startedMs: number
  #storedBytes = 0
  #storedAt: Millis = Number.NEGATIVE_INFINITY

  constructor(gridProcess: GridProcess, network: string, clock: Clock) {
    this.#process = gridProcess
    this.#network = network
    this.#clock = clock
    this.#startedMs = clock.wallMs()
  }

  state(): ProcessState {
    const { identity, endpoint, overlay, coordinator, worker } = this.#process
    const sinceMs = this.#clock.wallMs() - this.#clock.now()
    this.#countStored()
    return {
      nodeId: identity.nodeId,
      publicKey: identity.publicKey,
      version: VERSION,
      network: this.#network,
      startedMs: this.#startedMs,
      address: endpoint?.address ?? '',
      eligible: overlay.eligible,
      peers: overlay.health().map(({ contact, roundTripMs, heardAt }) => ({
        nodeId: contact.nodeId,
        address: contact.addresses[0] ?? '',
        roundTripMs,
        lastSeenMs: Number.isFinite(heardAt) ? Math.max(0, Math.round(sinceMs + heardAt)) : 0,
        version: '',
      })),
      shards:
        coordinator === undefined ? 0 : [...coordinator.owner.core.jobs()].reduce((n, job) => n + job.shards.size, 0),
      storedBytes: this.#storedBytes,
      worker: worker?.state(),
      otherSelf: overlay.otherSelf ?? '',
      unreached: overlay.unreached,
    }
  }

  #countStored(): void {
    const now = this.#clock.now()
    if (now - this.#storedAt < STORED_EVERY_MS) return
    this.#storedAt = now
    this.#process.storedBytes().then(
      (bytes) => {
        this.#storedBytes = bytes
      },
      // Of a store that is being closed: what was counted last stands.
      () => {},
    )
  }
}
