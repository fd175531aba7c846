import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Memory (of guests, of what they wrote, of what calls of theirs left in the heap) that must have come since the last time.
 * The heap's young generation, which has garbage at all times, is smaller.
 */
const GROWTH_BYTES = 32 * 1024 * 1024

let collect: (() => void) | undefined
/** Memory that stayed. */
let keptBytes = 0

/**
 * Gives back what units on this thread have left, if it is much: the engine looks at the heap alone to decide when to do
 * that, and the memory of a guest lies outside it; and it lets a heap be that is not in use. Some milliseconds when there is
 * something, else about 15 us.
 */
export function collectGarbage(): void {
  const bytes = heldBytes()
  keptBytes = Math.min(keptBytes, bytes)
  if (bytes - keptBytes < GROWTH_BYTES) return
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  keptBytes = heldBytes()
}

function heldBytes(): number {
  const { external_memory: outside, used_heap_size: inside } = getHeapStatistics()
  return outside + inside
}
