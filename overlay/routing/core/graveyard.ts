import type { NodeId } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import type { Millis } from '../../../runtime/clock.js'

/** How long, and how often, contacts that did not answer are tried again; values and ranges: `OverlayOptions`. */
export interface GraveyardLimits {
  readonly graveyardMax: number
  /** First pause before an evicted contact is probed; doubles up to `graveRetryMaxMs`. */
  readonly graveRetryMinMs: Millis
  readonly graveRetryMaxMs: Millis
  readonly graveLifetimeMs: Millis
}

interface Grave {
  readonly contact: Contact
  readonly evictedAt: Millis
  dueAt: Millis
  pauseMs: Millis
}

/**
 * Evicted contacts, probed now and then. Without it the two halves of a network that was split for longer than
 * eviction takes have forgotten each other and stay apart after the split has healed.
 */
export class Graveyard {
  readonly #limits: GraveyardLimits
  readonly #graves = new Map<NodeId, Grave>()

  constructor(limits: GraveyardLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#graves.size
  }

  has(nodeId: NodeId): boolean {
    return this.#graves.has(nodeId)
  }

  /** Takes in an evicted contact; beyond the limit the one evicted first is given up. */
  bury(contact: Contact, now: Millis): void {
    const { graveyardMax, graveRetryMinMs } = this.#limits
    this.#graves.delete(contact.nodeId)
    this.#graves.set(contact.nodeId, {
      contact,
      evictedAt: now,
      dueAt: now + graveRetryMinMs,
      pauseMs: graveRetryMinMs,
    })
    const [first] = this.#graves.keys()
    if (this.#graves.size > graveyardMax && first !== undefined) this.#graves.delete(first)
  }

  /** The contact answered. True when it lay here. */
  rise(nodeId: NodeId): boolean {
    return this.#graves.delete(nodeId)
  }

  /** Up to `count` contacts to probe now, longest due first; each is due again after twice the pause. */
  due(count: number, now: Millis): Contact[] {
    const { graveLifetimeMs, graveRetryMaxMs } = this.#limits
    for (const [nodeId, grave] of this.#graves) {
      if (now - grave.evictedAt >= graveLifetimeMs) this.#graves.delete(nodeId)
    }
    const due = [...this.#graves.values()].filter((grave) => grave.dueAt <= now)
    due.sort((a, b) => a.dueAt - b.dueAt)
    return due.slice(0, count).map((grave) => {
      grave.pauseMs = Math.min(2 * grave.pauseMs, graveRetryMaxMs)
      grave.dueAt = now + grave.pauseMs
      return grave.contact
    })
  }
}
