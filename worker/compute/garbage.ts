import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Memory outside the heap (of guests, of what they wrote) that must have come since the last time. */
const GROWTH_BYTES = 32 * 1024 * 1024

let collect: (() => void) | undefined
/** Memory outside the heap that stayed. */
let keptBytes = 0

/**
 * Gives back what units on this thread have left, if it is much: the engine looks at the heap alone to decide when to do
 * that, and the memory of a guest lies outside it. Some milliseconds when there is something, else about 15 us.
 */
export function collectGarbage(): void {
  const externalBytes = getHeapStatistics().external_memory
  keptBytes = Math.min(keptBytes, externalBytes)
  if (externalBytes - keptBytes < GROWTH_BYTES) return
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
  keptBytes = getHeapStatistics().external_memory
}
