import type { Millis } from '../../runtime/clock.js'
import { hostEnd, refusedEnd, wallEnd } from './execute.js'
import type { QueuedUnit, UnitEnd } from './messages.js'
import type { ModuleState } from './modules.js'
import type { PoolJob } from './pool-job.js'
import type { ThreadBatch } from './unit-thread.js'

/** What a thread was handed in one call. */
export interface Batch {
  readonly slot: number
  readonly job: PoolJob
  /** Units to run; none: the module of the job is prepared. */
  readonly tickets: readonly number[]
  readonly sentMs: Millis
  /** Units nobody needs any more. */
  readonly withdrawn: Set<number>
  /** It may wait on a thread behind another one. */
  readonly ahead: boolean
  /** Its units were returned before a thread began it. */
  takenBack: boolean
  /** Its one unit that was not returned when it took long: the batch ends with it. */
  last: number | undefined
  /** The unit seen running, and since when. */
  position: number
  beganMs: Millis
  /** The unit because of which the thread was stopped. */
  stopped: { readonly ticket: number | undefined; readonly reason: 'wall' | 'withdrawn' } | undefined
}

/** How all units of a job end, if that is known before any of them runs. */
export function endOfAll(
  { spec, files, moduleKey: key, module: content }: PoolJob,
  module: ModuleState | undefined,
): UnitEnd | undefined {
  if (files === undefined || (key !== undefined && content === undefined)) return hostEnd()
  if (module?.type === 'refused') return refusedEnd(spec)
  if (module?.type === 'slow') return wallEnd()
  return undefined
}

/** The call that runs `units`, and what of it is moved rather than copied. */
export function makeBatch(
  slot: number,
  job: PoolJob,
  module: ThreadBatch['module'],
  units: readonly QueuedUnit[],
  itemBytes: number,
): { readonly message: ThreadBatch; readonly transferList: ArrayBuffer[] } {
  const message = {
    type: 'run' as const,
    slot,
    job: job.id,
    opened: job.opened,
    files: job.files!,
    module,
    tickets: Uint32Array.from(units, (unit) => unit.ticket),
    units: Uint32Array.from(units, (unit) => unit.unit),
  }
  if (itemBytes === 0) return { message: { ...message, items: undefined, offsets: undefined }, transferList: [] }
  const offsets = new Uint32Array(units.length + 1)
  units.forEach((unit, i) => {
    offsets[i + 1] = offsets[i]! + (unit.items?.length ?? 0)
  })
  // A unit that came in a frame of its own keeps its buffer; others are copied together: a buffer that is moved is gone for
  // the units of its frame that other calls run, and they would find nothing on their standard input.
  let items = units[0]!.items
  if (units.length > 1 || items === undefined || units[0]!.isAlone !== true) {
    items = new Uint8Array(itemBytes)
    units.forEach((unit, i) => {
      if (unit.items !== undefined) items!.set(unit.items, offsets[i]!)
    })
  }
  return { message: { ...message, items, offsets }, transferList: [items.buffer as ArrayBuffer] }
}
