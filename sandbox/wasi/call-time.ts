import type { CallContext, Calls } from './calls.js'
import { isClock, TICK_NS } from './clock.js'
import type { Descriptor } from './descriptors.js'
import { ERRNO, type Errno, Refusal, refuse } from './errno.js'
import { NAME_FUEL, SUBSCRIPTIONS_MAX } from './limits.js'
import { RIGHT } from './rights.js'

/** Layout of `subscription` and `event` in preview 1. */
const SUBSCRIPTION_BYTES = 48
const EVENT_BYTES = 32
const EVENT_TYPE = { clock: 0, fdRead: 1, fdWrite: 2 } as const
const CLOCK_ABSOLUTE = 1

interface Subscription {
  readonly userdata: bigint
  readonly type: number
  readonly state:
    | { readonly type: 'timer'; readonly deadline: bigint }
    | { readonly type: 'ready'; readonly bytes: number }
    | { readonly type: 'failed'; readonly errno: Errno }
}

/** Clocks and waiting. Nothing waits: files are always ready, and a sleep moves the clocks. */
export function timeCalls({ memory, clock, descriptors, spend }: CallContext): Calls {
  const readiness = (number: number, type: number): Subscription['state'] => {
    try {
      return { type: 'ready', bytes: readyBytes(descriptors.get(number), type) }
    } catch (error) {
      if (error instanceof Refusal) return { type: 'failed', errno: error.errno }
      throw error
    }
  }
  const subscription = (at: number): Subscription => {
    const userdata = memory.u64(at)
    const type = memory.u8(at + 8)
    if (type === EVENT_TYPE.fdRead || type === EVENT_TYPE.fdWrite)
      return { userdata, type, state: readiness(memory.u32(at + 16), type) }
    if (type !== EVENT_TYPE.clock) refuse(ERRNO.inval)
    const id = memory.u32(at + 16)
    if (!isClock(id)) return { userdata, type, state: { type: 'failed', errno: ERRNO.inval } }
    const deadline = clock.deadline(id, memory.u64(at + 24), (memory.u16(at + 40) & CLOCK_ABSOLUTE) !== 0)
    return { userdata, type, state: { type: 'timer', deadline } }
  }
  return {
    clock_res_get(id: number, resolutionAt: number) {
      if (!isClock(id)) refuse(ERRNO.inval)
      memory.setU64(resolutionAt, TICK_NS)
    },
    clock_time_get(id: number, _precision: bigint, timeAt: number) {
      if (!isClock(id)) refuse(ERRNO.inval)
      memory.setU64(timeAt, clock.read(id))
    },
    sched_yield() {},
    poll_oneoff(subscriptionsAt: number, eventsAt: number, count: number, eventCountAt: number) {
      const wanted = count >>> 0
      if (wanted === 0 || wanted > SUBSCRIPTIONS_MAX) refuse(ERRNO.inval)
      memory.bytes(subscriptionsAt, wanted * SUBSCRIPTION_BYTES)
      memory.bytes(eventsAt, wanted * EVENT_BYTES)
      spend(wanted * NAME_FUEL)
      // All are read before events are written, as the two may overlap.
      const subscriptions = Array.from({ length: wanted }, (_, i) =>
        subscription((subscriptionsAt >>> 0) + i * SUBSCRIPTION_BYTES),
      )
      if (subscriptions.every(({ state }) => state.type === 'timer')) clock.advanceTo(earliest(subscriptions))
      let events = 0
      for (const { userdata, type, state } of subscriptions) {
        if (state.type === 'timer' && state.deadline > clock.elapsed) continue
        const at = (eventsAt >>> 0) + events++ * EVENT_BYTES
        memory.bytes(at, EVENT_BYTES).fill(0)
        memory.setU64(at, userdata)
        memory.setU16(at + 8, state.type === 'failed' ? state.errno : ERRNO.success)
        memory.setU8(at + 10, type)
        if (state.type === 'ready') memory.setU64(at + 16, BigInt(state.bytes))
      }
      memory.setU32(eventCountAt, events)
    },
  }
}

/** Bytes that can be read, or 1 for "some" that can be written. */
function readyBytes(descriptor: Descriptor, type: number): number {
  const right = type === EVENT_TYPE.fdRead ? RIGHT.fdRead : RIGHT.fdWrite
  if ((descriptor.rights & right) === 0) refuse(ERRNO.badf)
  if (type === EVENT_TYPE.fdWrite) return 1
  if (descriptor.type === 'input') return descriptor.bytes.length - descriptor.position
  if (descriptor.type === 'file') return Math.max(0, descriptor.node.bytes.length - descriptor.position)
  return refuse(ERRNO.badf)
}

function earliest(subscriptions: readonly Subscription[]): bigint {
  let first: bigint | undefined
  for (const { state } of subscriptions)
    if (state.type === 'timer' && (first === undefined || state.deadline < first)) first = state.deadline
  return first ?? 0n
}
