import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/**
 * What may come on top of a small heap before all of it is collected. V8 counts buffers that are on their way through the
 * process as if they stayed: with the limit that it sets itself for a heap of 15 MB, each 8 MB of them start a collection of
 * everything. They are mostly gone after the next small collection, which comes every 32 MB. Unit: bytes.
 */
const ROOM_BYTES = 64 * 2 ** 20
/** How often the share is set anew, as the heap grows. Unit: ms. */
const LOOK_MS = 10_000

/**
 * Leaves {@link ROOM_BYTES} to the buffers of a process that passes data on, for as long as it runs; larger heaps have the
 * room anyway. For processes of our own: the setting is one of the whole process. docs/benchmarks.md has what it saves.
 */
export function keepHeapRoom(): void {
  let set: number | undefined
  const look = () => {
    const { used_heap_size: usedBytes } = getHeapStatistics()
    const percent = usedBytes < ROOM_BYTES ? Math.round((100 * ROOM_BYTES) / Math.max(usedBytes, 2 ** 20)) : 0
    // Nothing but a difference that matters is worth a call.
    if (set !== undefined && Math.abs(percent - set) < set / 4) return
    set = percent
    setFlagsFromString(`--heap-growing-percent=${percent}`)
  }
  look()
  setInterval(look, LOOK_MS).unref()
}
