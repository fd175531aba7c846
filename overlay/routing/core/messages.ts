import type { NodeId, Point } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'

/*
 * Events and effects of the overlay's cores. The driver performs the effects of one step in the order in which they
 * are returned: `neighboursChanged` before anything that is sent because of it, so that whoever asks `owners` in a
 * handler sees the new table. Nothing here is persisted first: what the overlay knows can be learned again.
 * Lookups (`lookup.ts`), seeds (`seeds.ts`) and the board (`board.ts`) keep their own events beside their states.
 */

/** What has happened to the contacts of a node. */
export type UpkeepEvent =
  /** A peer that listens called us; its record was verified. */
  | { readonly type: 'called'; readonly contact: Contact }
  /** A peer answered a request of ours; `contact` is its newest verified record. */
  | { readonly type: 'answered'; readonly contact: Contact }
  /** A request of ours got no answer. A refusal is an answer. */
  | { readonly type: 'missed'; readonly nodeId: NodeId }
  /** A lookup for `target` ended: its range of the table is fresh. */
  | { readonly type: 'lookedUp'; readonly target: Point }
  | { readonly type: 'woken' }

/** What the upkeep of the table wants done. */
export type UpkeepEffect =
  /** To be answered by `answered` or `missed`. */
  | { readonly type: 'ping'; readonly contact: Contact }
  | { readonly type: 'lookUp'; readonly target: Point }
  /** The nearest k changed: a contact came, went, or became eligible. */
  | { readonly type: 'neighboursChanged' }
  /** No contact is left. */
  | { readonly type: 'isolated' }
