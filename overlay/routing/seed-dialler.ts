import type { Contact } from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Address } from '../../runtime/transport.js'
import type { OverlayOptions } from '../options.js'
import { type Seed, type SeedEvent, Seeds } from './core/seeds.js'
import type { RememberedPeer } from './remembered-peers.js'
import type { OverlayRpc } from './rpc.js'

/** Seeds dialled at once. */
const PARALLEL = 8

interface SeedDiallerDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly options: OverlayOptions
  readonly logger: Logger
  readonly rpc: Pick<OverlayRpc, 'pingSeed'>
  /** A seed has answered; throws when it is none that can be joined through. */
  readonly reached: (contact: Contact, address: Address) => void
  /** Nothing more is to be hoped for: see {@link SeedDialler.isHopeless}. */
  readonly hopeless: () => void
}

/** Dials the addresses given and the peers remembered when {@link Seeds} says so, and keeps why each did not answer. */
export class SeedDialler {
  readonly #d: SeedDiallerDependencies
  readonly #alarm: Alarm
  /** Why a seed was not taken, the last time. As many as seeds were given and remembered. */
  readonly #failures = new Map<Address, GridError>()
  #seeds: Seeds | undefined
  #closed = false

  constructor(dependencies: SeedDiallerDependencies) {
    this.#d = dependencies
    this.#alarm = new Alarm(dependencies.clock, () => this.#feed({ type: 'woken' }))
  }

  /** Begins to dial; does not wait for answers. */
  start(seeds: readonly Seed[], remembered: readonly RememberedPeer[]): void {
    const { options, random, clock } = this.#d
    const limits = {
      retryMinMs: options.seedRetryMinMs,
      retryMaxMs: options.seedRetryMaxMs,
      eagerRetryMaxMs: options.seedEagerRetryMaxMs,
      eagerMs: options.seedEagerMs,
      redialMs: options.seedRedialMs,
      parallel: PARALLEL,
    }
    this.#seeds = new Seeds(seeds, remembered, limits, random, clock.now())
    this.#feed({ type: 'woken' })
  }

  /** Nobody is left in the table: all are dialled again. */
  isolated(): void {
    this.#feed({ type: 'isolated' })
  }

  /** Why seeds did not answer the last time, in the order in which they were first dialled. */
  get failures(): readonly GridError[] {
    return [...this.#failures.values()]
  }

  /** Every seed has answered, and none in a way that trying again could change. */
  get isHopeless(): boolean {
    if (this.#seeds === undefined || this.#seeds.size === 0) return false
    return this.#failures.size === this.#seeds.size && this.failures.every(({ retryable }) => !retryable)
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
  }

  #feed(event: SeedEvent): void {
    if (this.#closed || this.#seeds === undefined) return
    for (const { seed } of this.#seeds.handle(event, this.#d.clock.now())) void this.#dial(seed)
    this.#alarm.set(this.#seeds.nextWakeup())
  }

  async #dial({ address, nodeId }: Seed): Promise<void> {
    const { rpc, logger, reached, hopeless } = this.#d
    try {
      const contact = await rpc.pingSeed(address, nodeId)
      reached(contact, address)
      logger.info('seedReached', { address, peer: contact.nodeId })
      this.#failures.delete(address)
      this.#feed({ type: 'reached', address })
    } catch (error) {
      this.#failed(address, toGridError(error))
      this.#feed({ type: 'failed', address })
      if (this.isHopeless) hopeless()
    }
  }

  /** Tells once what a person can mend; that nobody listens there may pass by itself. */
  #failed(address: Address, failure: GridError): void {
    const { message, hint } = failure
    const told = this.#failures.get(address)?.message === message
    if (hint === undefined || told) this.#d.logger.debug('seedFailed', { address, reason: message })
    else this.#d.logger.warn('seedFailed', { address, reason: message, hint })
    this.#failures.set(address, failure)
  }
}

/** What whoever waits to join is told when nobody has answered. */
export function noPeerAnswered(reasons: readonly GridError[]): GridError {
  const why = unreachedText(reasons)
  const hint = 'name one that runs: --join HOST'
  return new GridError('unreachable', `no peer answered${why === '' ? '' : `: ${why}`}`, { hint, cause: reasons[0] })
}

/** Reasons told one by one; more are counted. */
const REASONS_TOLD = 3
/** Length of them all. Unit: characters. */
const REASONS_LENGTH_MAX = 360

/** Why no seed answered, in one line; empty: none has failed. */
export function unreachedText(reasons: readonly GridError[]): string {
  const told = reasons.slice(0, REASONS_TOLD).map(({ message }) => message)
  if (reasons.length > REASONS_TOLD) told.push(`and ${reasons.length - REASONS_TOLD} more`)
  return told.join('; ').slice(0, REASONS_LENGTH_MAX)
}
