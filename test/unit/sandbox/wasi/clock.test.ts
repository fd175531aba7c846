import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { EPOCH_NS, TICK_NS } from '../../../../sandbox/wasi/clock.js'
import { ERRNO } from '../../../../sandbox/wasi/errno.js'
import { CREATE, Guest, OUT, STDIN, STDOUT, TMP } from './fixture.js'

const clocks = suite('clocks and poll_oneoff')

const SUBSCRIPTIONS = 0x1000
const EVENTS = 0x3000
const COUNT = 0x3ff0
const MINUTE = 60_000_000_000n

type Subscription =
  | { readonly clock: number; readonly timeout: bigint; readonly absolute?: boolean }
  | { readonly fd: number; readonly type: 1 | 2 }

/** Polls; gives error number and, of each event, the index of its subscription, its error and its bytes. */
function poll(guest: Guest, subscriptions: readonly Subscription[]) {
  subscriptions.forEach((subscription, i) => {
    const at = SUBSCRIPTIONS + 48 * i
    guest.bytes.fill(0, at, at + 48)
    guest.view.setBigUint64(at, BigInt(i), true)
    if ('fd' in subscription) {
      guest.view.setUint8(at + 8, subscription.type)
      guest.view.setUint32(at + 16, subscription.fd, true)
    } else {
      guest.view.setUint32(at + 16, subscription.clock, true)
      guest.view.setBigUint64(at + 24, subscription.timeout, true)
      guest.view.setUint16(at + 40, subscription.absolute ? 1 : 0, true)
    }
  })
  const errno = guest.call('poll_oneoff', SUBSCRIPTIONS, EVENTS, subscriptions.length, COUNT)
  const count = errno === ERRNO.success ? guest.view.getUint32(COUNT, true) : 0
  const events = Array.from({ length: count }, (_, i) => {
    const at = EVENTS + 32 * i
    const index = Number(guest.view.getBigUint64(at, true))
    return [index, guest.view.getUint16(at + 8, true), Number(guest.view.getBigUint64(at + 16, true))]
  })
  return { errno, events }
}

clocks('start at a fixed instant and move by a millisecond with every reading', () => {
  const guest = new Guest()
  assert.is(EPOCH_NS, BigInt(Date.UTC(2000, 0, 1)) * 1_000_000n)
  assert.is(guest.time(0), EPOCH_NS + TICK_NS)
  assert.is(guest.time(1), 2n * TICK_NS)
  assert.is(guest.time(2), 3n * TICK_NS)
  assert.is(guest.time(3), 4n * TICK_NS)
  assert.is(guest.time(0), EPOCH_NS + 5n * TICK_NS)
})

clocks('exist four times, with the resolution of a reading', () => {
  const guest = new Guest()
  assert.is(guest.call('clock_res_get', 3, 0), ERRNO.success)
  assert.is(guest.view.getBigUint64(0, true), TICK_NS)
  assert.is(guest.call('clock_res_get', 4, 0), ERRNO.inval)
  assert.is(guest.call('clock_time_get', -1, 0n, 0), ERRNO.inval)
})

clocks('are moved by a sleep, which takes no time', () => {
  const guest = new Guest()
  assert.equal(poll(guest, [{ clock: 1, timeout: 1_000_000n * MINUTE }]).events, [[0, 0, 0]])
  assert.is(guest.time(1), 1_000_000n * MINUTE + TICK_NS)
  assert.is(guest.time(0), EPOCH_NS + 1_000_000n * MINUTE + 2n * TICK_NS)
})

clocks('let a sleep until an instant end there, and at once if it is past', () => {
  const guest = new Guest()
  poll(guest, [{ clock: 0, timeout: EPOCH_NS + MINUTE, absolute: true }])
  assert.is(guest.time(1), MINUTE + TICK_NS)
  assert.equal(poll(guest, [{ clock: 0, timeout: 5n, absolute: true }]).events, [[0, 0, 0]])
  assert.is(guest.time(1), MINUTE + 2n * TICK_NS)
})

clocks('wake the earliest of several sleeps, and all that end with it', () => {
  const guest = new Guest()
  const { events } = poll(guest, [
    { clock: 1, timeout: 3n * MINUTE },
    { clock: 1, timeout: MINUTE },
    { clock: 0, timeout: EPOCH_NS + MINUTE, absolute: true },
  ])
  assert.equal(
    events.map(([index]) => index),
    [1, 2],
  )
  assert.is(guest.time(1), MINUTE + TICK_NS)
})

clocks('do not move while a descriptor is ready', () => {
  const guest = new Guest({ stdin: new Uint8Array(5) })
  const fd = guest.open(TMP, 'f', CREATE)
  guest.write(fd, 'abc')
  guest.call('fd_seek', fd, 1n, 0, 0)
  const { events } = poll(guest, [
    { clock: 1, timeout: MINUTE },
    { fd: STDIN, type: 1 },
    { fd, type: 1 },
    { fd: STDOUT, type: 2 },
    { fd: STDOUT, type: 1 },
    { fd: OUT, type: 1 },
    { fd: 99, type: 1 },
    { clock: 9, timeout: 0n },
  ])
  assert.equal(events, [
    [1, 0, 5],
    [2, 0, 2],
    [3, 0, 1],
    [4, ERRNO.badf, 0],
    [5, ERRNO.badf, 0],
    [6, ERRNO.badf, 0],
    [7, ERRNO.inval, 0],
  ])
  assert.is(guest.time(1), TICK_NS)
})

clocks('never pass what fits 64 bits', () => {
  const guest = new Guest()
  const far = 2n ** 64n - 1n
  for (let i = 0; i < 3; i++) assert.is(poll(guest, [{ clock: 1, timeout: far }]).errno, ERRNO.success)
  assert.is(guest.time(1), far)
  assert.is(guest.time(0), far)
})

clocks('refuse to wait for nothing, for too much and for what does not exist', () => {
  const guest = new Guest()
  assert.is(guest.call('poll_oneoff', SUBSCRIPTIONS, EVENTS, 0, COUNT), ERRNO.inval)
  assert.is(guest.call('poll_oneoff', SUBSCRIPTIONS, EVENTS, 1_025, COUNT), ERRNO.inval)
  assert.is(guest.call('poll_oneoff', 0x1fff0, EVENTS, 1, COUNT), ERRNO.fault)
  guest.view.setUint8(SUBSCRIPTIONS + 8, 7)
  assert.is(guest.call('poll_oneoff', SUBSCRIPTIONS, EVENTS, 1, COUNT), ERRNO.inval)
})

clocks.run()
