import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/**
 * What may come on top of a small heap before all of it is collected. V8 counts buffers that are on their way through the
 * process as if they stayed: with the limit that it sets itself for a heap of 15 MB, each 8 MB of them start a collection of
 * everything. They are mostly gone after the next small collection, which comes every 32 MB. Unit: bytes.
 */
const ROOM_BYTES = 64 * 2 ** 20
/**
 * The same for a large heap, which V8 by itself lets grow to up to four times its size: a peer whose tables strangers have filled
 * with 200 MB of jobs would take 700 MB of the system, most of it garbage. Unit: bytes.
 */
const ROOM_MAX_BYTES = 128 * 2 ** 20
/** However large a heap is, so much of it may come on top, or it would be collected all the time. Unit: percent. */
const GROWTH_MIN_PERCENT = 25
/** How often the share is set anew, as the heap grows. Unit: ms. */
const LOOK_MS = 1_000

/** How much a heap of so many bytes may grow until all of it is collected. Unit: percent, 25 or more. */
export function growthPercent(usedBytes: number): number {
  const used = Math.max(usedBytes, 2 ** 20)
  const room = Math.min(Math.max(used, ROOM_BYTES), ROOM_MAX_BYTES)
  return Math.max(GROWTH_MIN_PERCENT, Math.round((100 * room) / used))
}

/**
 * Leaves room on the heap to the buffers of a process that passes data on, for as long as it runs, and not much more than that to what
 * nobody needs any more. For processes of our own: the setting is one of the whole process. docs/benchmarks.md has what it saves.
 */
export function keepHeapRoom(): void {
  let set = 0
  const look = () => {
    const percent = growthPercent(getHeapStatistics().used_heap_size)
    // Nothing but a difference that matters is worth a call.
    if (Math.abs(percent - set) < set / 4) return
    set = percent
    setFlagsFromString(`--heap-growing-percent=${percent}`)
  }
  look()
  setInterval(look, LOOK_MS).unref()
}
