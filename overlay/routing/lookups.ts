import type { NodeId, Point } from '../../proto/model.js'
import { type Contact, REPLY_CONTACTS_MAX } from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { OverlayOptions } from '../options.js'
import { Lookup, type LookupEffect, type LookupEvent, type LookupLimits, type LookupResult } from './core/lookup.js'
import { createShortlist } from './kademlia.js'
import type { OverlayRpc } from './rpc.js'

/** `quick` for workers and polling; `careful` for whatever must not be misled; `join` is careful with more at a time. */
type LookupStrength = 'quick' | 'careful' | 'join'

interface LookupDependencies {
  readonly clock: Clock
  readonly options: OverlayOptions
  readonly rpc: OverlayRpc
  readonly self: NodeId
  /** Where lookups start: the known contacts closest to a target. */
  readonly seeds: (target: Point) => readonly Contact[]
}

/** Runs lookups: performs the effects of their cores, a bounded number at a time. */
export class Lookups {
  readonly #d: LookupDependencies
  readonly #waiting: (() => void)[] = []
  #running = 0
  #closed = false

  constructor(dependencies: LookupDependencies) {
    this.#d = dependencies
  }

  /** Who is closest to `target`. Rejects with GridError `quota` when too many lookups wait, `closed` after `close`. */
  async run(target: Point, strength: LookupStrength): Promise<LookupResult<Contact>> {
    const { lookupsMax, lookupsWaitingMax } = this.#d.options
    if (this.#running >= lookupsMax) {
      if (this.#waiting.length >= lookupsWaitingMax)
        throw new GridError('quota', `more than ${lookupsWaitingMax} lookups wait`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#closed) throw new GridError('closed', 'the overlay is closed')
    this.#running++
    try {
      return await this.#perform(target, strength)
    } finally {
      this.#running--
      this.#waiting.shift()?.()
    }
  }

  close(): void {
    this.#closed = true
    for (const resume of this.#waiting.splice(0)) resume()
  }

  #perform(target: Point, strength: LookupStrength): Promise<LookupResult<Contact>> {
    const { clock, rpc, self, seeds, options } = this.#d
    const lookup = new Lookup<Contact>(target, self, createShortlist(target, options.k), limitsOf(options, strength))
    return new Promise((resolve) => {
      const alarm = new Alarm(clock, () => step(lookup.handle({ type: 'woken' }, clock.now())))
      const ask = async (contact: Contact): Promise<void> => {
        let event: LookupEvent<Contact> = { type: 'failed', from: contact.nodeId }
        try {
          event = { type: 'replied', ...(await rpc.findNode(contact, target)) }
        } catch {
          // Whether it missed or refused is the table's business; this lookup goes on without it.
        }
        step(lookup.handle(event, clock.now()))
      }
      const step = (effects: readonly LookupEffect<Contact>[]): void => {
        for (const effect of effects) {
          if (effect.type === 'ask') {
            void ask(effect.contact)
          } else {
            alarm.close()
            resolve(effect.result)
          }
        }
        alarm.set(lookup.nextWakeup())
      }
      step(lookup.start(seeds(target), clock.now()))
    })
  }
}

function limitsOf(options: OverlayOptions, strength: LookupStrength): LookupLimits {
  const quick = strength === 'quick'
  return {
    width: options.k,
    parallel: strength === 'join' ? options.joinParallel : options.parallel,
    softTimeoutMs: options.softTimeoutMs,
    need: quick ? options.quickNeed : options.carefulNeed,
    requestsMax: quick ? options.quickRequestsMax : options.carefulRequestsMax,
    durationMaxMs: quick ? options.quickDurationMaxMs : options.carefulDurationMaxMs,
    replyMax: REPLY_CONTACTS_MAX,
    blame: options.blame,
  }
}
