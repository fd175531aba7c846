import type { CallContext, Calls } from './calls.js'
import { BYTES_PER_FUEL, RANDOM_BYTE_FUEL } from './limits.js'

/** Arguments, environment and random bytes. */
export function argumentCalls({ memory, random, args, environment, spend }: CallContext): Calls {
  const sizes = (entries: readonly Uint8Array[], countAt: number, bytesAt: number) => {
    memory.setU32(countAt, entries.length)
    memory.setU32(bytesAt, totalBytes(entries))
  }
  const get = (entries: readonly Uint8Array[], pointersAt: number, bytesAt: number) => {
    const total = totalBytes(entries)
    spend(Math.ceil(total / BYTES_PER_FUEL))
    memory.bytes(pointersAt, 4 * entries.length)
    const target = memory.bytes(bytesAt, total)
    let offset = 0
    entries.forEach((entry, i) => {
      memory.setU32((pointersAt >>> 0) + 4 * i, (bytesAt >>> 0) + offset)
      target.set(entry, offset)
      offset += entry.length
    })
  }
  return {
    args_sizes_get: (countAt: number, bytesAt: number) => sizes(args, countAt, bytesAt),
    args_get: (pointersAt: number, bytesAt: number) => get(args, pointersAt, bytesAt),
    environ_sizes_get: (countAt: number, bytesAt: number) => sizes(environment, countAt, bytesAt),
    environ_get: (pointersAt: number, bytesAt: number) => get(environment, pointersAt, bytesAt),
    random_get(bytesAt: number, length: number) {
      const target = memory.bytes(bytesAt, length)
      spend(target.length * RANDOM_BYTE_FUEL)
      random.fill(target)
    },
  }
}

function totalBytes(entries: readonly Uint8Array[]): number {
  return entries.reduce((sum, entry) => sum + entry.length, 0)
}
