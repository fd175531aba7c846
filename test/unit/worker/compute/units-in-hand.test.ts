import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DEATHS_MAX,
  FRAME_ITEM_BYTES_MAX,
  FRAME_UNITS_MAX,
  RETURNS_MAX,
  SENT_BYTES_MAX,
  SENT_UNITS_MAX,
  type UnitInHand,
  UnitsInHand,
} from '../../../../worker/compute/units-in-hand.js'

type Job = 'a' | 'b'

/** Units `from` to `to` of a job, each with so many bytes of items, that wait. */
function waiting(units: UnitsInHand<Job>, job: Job, from: number, to: number, bytes = 0): UnitInHand<Job>[] {
  const items = bytes === 0 ? undefined : { length: bytes, pieces: [new Uint8Array(bytes)] }
  const added = Array.from({ length: to - from }, (_, i) => units.add(job, from + i, items))
  units.wait(added)
  return added
}

/** All that goes to the child now, frame by frame. */
function frames(units: UnitsInHand<Job>): number[][] {
  const sent: number[][] = []
  for (;;) {
    const frame = units.next()
    if (frame.length === 0) return sent
    sent.push(frame.map(({ unit }) => unit))
  }
}

function numbers(units: readonly UnitInHand<Job>[]): number[] {
  return units.map(({ unit }) => unit)
}

function tickets(units: readonly UnitInHand<Job>[]): number[] {
  return units.map(({ ticket }) => ticket)
}

const test = suite('UnitsInHand')

test('go to the child in the order they came, units of one job to a frame', () => {
  const units = new UnitsInHand<Job>()
  waiting(units, 'a', 0, 3)
  waiting(units, 'b', 7, 9)
  waiting(units, 'a', 3, 4)
  assert.equal(frames(units), [[0, 1, 2], [7, 8], [3]])
})

test('a frame has a bounded number of units and bytes of items; a large unit goes alone', () => {
  const units = new UnitsInHand<Job>()
  waiting(units, 'a', 0, FRAME_UNITS_MAX + 1)
  assert.equal(
    frames(units).map(({ length }) => length),
    [FRAME_UNITS_MAX, 1],
  )
  waiting(units, 'b', 0, 3, FRAME_ITEM_BYTES_MAX / 2)
  waiting(units, 'b', 3, 4, 2 * FRAME_ITEM_BYTES_MAX)
  assert.equal(frames(units), [[0, 1], [2], [3]])
})

test('as many as may be are in the child, and more once some have left it', () => {
  const units = new UnitsInHand<Job>()
  const added = waiting(units, 'a', 0, SENT_UNITS_MAX + 10)
  assert.is(frames(units).flat().length, SENT_UNITS_MAX)
  units.drop(added.slice(0, 4))
  assert.equal(frames(units).flat(), numbers(added.slice(SENT_UNITS_MAX, SENT_UNITS_MAX + 4)))
  const heavy = new UnitsInHand<Job>()
  waiting(heavy, 'a', 0, 3, SENT_BYTES_MAX)
  assert.equal(frames(heavy), [[0]])
})

test('that are dropped do not go to the child, nor hold places there', () => {
  const units = new UnitsInHand<Job>()
  const added = waiting(units, 'a', 0, 4)
  units.drop([added[1]!, added[2]!])
  assert.equal(frames(units), [[0, 3]])
  units.drop(added)
  assert.is(units.size, 0)
  assert.is(added[0]!.state, 'gone')
  assert.is(units.get(added[0]!.ticket), undefined)
})

test('on threads of a child that died are failed, the others go to the next one before all that wait', () => {
  const units = new UnitsInHand<Job>()
  const added = waiting(units, 'a', 0, 3)
  assert.equal(frames(units), [[0, 1, 2]])
  waiting(units, 'a', 3, 4)
  units.started(tickets(added.slice(1, 2)))
  const failed = units.childDied(false)
  assert.equal(numbers(failed), [1])
  units.drop(failed)
  assert.equal(frames(units), [[0, 2, 3]])
})

test('that were in every child that died are failed, unless nothing in them was to blame', () => {
  const units = new UnitsInHand<Job>()
  waiting(units, 'a', 0, 1)
  for (let death = 1; death < DEATHS_MAX; death++) {
    assert.equal(frames(units), [[0]])
    assert.equal(units.childDied(false), [])
    assert.equal(frames(units), [[0]])
    assert.equal(units.childDied(true), [])
  }
  assert.equal(frames(units), [[0]])
  units.childReplaced()
  assert.equal(frames(units), [[0]])
  assert.equal(numbers(units.childDied(false)), [0])
})

test('that come back go out again before all that wait, and are failed when they come back too often', () => {
  const units = new UnitsInHand<Job>()
  const [first] = waiting(units, 'a', 0, 1)
  for (let time = 0; time < RETURNS_MAX; time++) {
    assert.equal(frames(units), [[0]])
    assert.equal(units.returned([first!.ticket]), [])
  }
  waiting(units, 'a', 1, 2)
  assert.equal(frames(units), [[0, 1]])
  assert.equal(numbers(units.returned([first!.ticket])), [0])
})

test('that a child gives back twice, or never had, go out once', () => {
  const units = new UnitsInHand<Job>()
  const [first, second] = waiting(units, 'a', 0, 2) as [UnitInHand<Job>, UnitInHand<Job>]
  assert.equal(units.returned([first.ticket]), [])
  assert.equal(frames(units), [[0, 1]])
  assert.equal(units.returned([second.ticket, second.ticket, 12_345]), [])
  assert.equal(frames(units), [[1]])
})

test.run()
