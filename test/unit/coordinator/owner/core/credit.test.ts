import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Credit, type Creditable, type Fate } from '../../../../../coordinator/owner/core/credit.js'
import type { JobId } from '../../../../../proto/model.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const THREADS = 1
const JOB = 'a job' as JobId
const LONG_MS = 10_000
const begin = (threads = THREADS) => new Credit(threads)

function grant(credit: Credit, count: number, jobId = JOB): Creditable[] {
  const grants = Array.from({ length: count }, (): Creditable => ({ fate: 'pending' }))
  for (const one of grants) credit.granted(jobId, one)
  return grants
}

function settle(credit: Credit, grants: readonly Creditable[], fate: Fate, unitMs = LONG_MS, jobId = JOB): void {
  for (const one of grants) one.fate = fate
  credit.settle(jobId, THREADS, unitMs)
}

const credits = suite('Credit')

credits('starts at one instance a thread, for eight threads at most: how many there are is the word of the key', () => {
  assert.is(begin(1).window(1, undefined), 1)
  assert.is(begin(8).window(8, undefined), 8)
  assert.is(begin(4_096).window(4_096, undefined), 8)
})

credits('doubles with each grant that settles as agreeing, up to 64', () => {
  const credit = begin()
  const seen: number[] = []
  for (let i = 0; i < 8; i++) {
    settle(credit, grant(credit, 1), 'agreed')
    seen.push(credit.window(1, LONG_MS))
  }
  assert.equal(seen, [2, 4, 8, 16, 32, 64, 64, 64])
})

credits('does not grow by agreement on later grants while an earlier one is open', () => {
  const credit = begin()
  const [first, ...later] = grant(credit, 5)
  settle(credit, later, 'agreed')
  assert.is(credit.value, 1)
  settle(credit, [first!], 'agreed')
  assert.is(credit.value, 32)
})

credits(
  'grows with one job while nothing of another settles, and has forgotten what was open of that when it is gone',
  () => {
    const credit = begin()
    const other = 'another job' as JobId
    const open = grant(credit, 1, other)
    settle(credit, grant(credit, 3), 'agreed')
    assert.is(credit.value, 8)
    credit.forget(other)
    settle(credit, open, 'disagreed', LONG_MS, other)
    assert.is(credit.value, 8)
  },
)

credits('falls to one instance when a grant settles as disagreeing, however many threads there are', () => {
  const credit = begin(8)
  settle(credit, grant(credit, 1), 'disagreed')
  assert.is(credit.window(8, LONG_MS), 1)
})

credits('is not raised by a loss after a disagreement', () => {
  const credit = begin(8)
  settle(credit, grant(credit, 1), 'disagreed')
  const [lost] = grant(credit, 1)
  credit.lost(lost!)
  assert.is(credit.window(8, LONG_MS), 1)
})

credits('falls when a grant settles as disagreeing, at its place in the order', () => {
  const credit = begin()
  const [a, b, c] = grant(credit, 3)
  settle(credit, [a!, c!], 'agreed')
  settle(credit, [b!], 'disagreed')
  assert.is(credit.value, 2)
})

credits('falls to the start at once when an instance is lost', () => {
  const credit = begin()
  settle(credit, grant(credit, 6), 'agreed')
  const [lost] = grant(credit, 1)
  credit.lost(lost!)
  assert.is(credit.value, 1)
})

credits('is neither raised nor lowered by a grant that was withdrawn', () => {
  const credit = begin()
  settle(credit, grant(credit, 2), 'agreed')
  settle(credit, grant(credit, 1), 'void')
  assert.is(credit.value, 4)
})

credits('counts tiny units in seconds of work: two seconds a thread', () => {
  const credit = begin()
  settle(credit, grant(credit, 20), 'agreed', 1)
  assert.is(credit.window(1, 1), 2_000)
  for (const one of grant(credit, 2)) one.fate = 'agreed'
  credit.settle(JOB, 2, 1)
  assert.is(credit.window(2, 1), 4_000)
  assert.is(credit.window(1, 90), 64, 'never less than for long units')
  assert.is(credit.window(1, 500), 64)
})

credits('earned with tiny units is not taken away by an agreement on a long one', () => {
  const credit = begin()
  settle(credit, grant(credit, 20), 'agreed', 1)
  settle(credit, grant(credit, 1), 'agreed', LONG_MS)
  assert.is(credit.window(1, 1), 2_000)
})

credits('weighs draws by a sixteenth of itself, up to one', () => {
  const credit = begin()
  assert.is(credit.drawWeight(1), 1 / 16)
  assert.is(begin(64).drawWeight(64), 1 / 128, 'threads that are claimed add nothing')
  settle(credit, grant(credit, 3), 'agreed')
  assert.is(credit.drawWeight(1), 1 / 2)
  settle(credit, grant(credit, 3), 'agreed')
  assert.is(credit.drawWeight(1), 1)
})

credits.run()

const windows = suite('The window of a key')

windows('holds one first opinion a thread before anything has settled, whatever is wanted', () => {
  const grid = new OwnerGrid({ units: 100 })
  assert.equal(grid.join('a', { want: 50 }).units(), [0])
  assert.is(grid.join('b', { want: 50, slots: 4 }).units().length, 4)
  grid.finish()
})

windows('counts reports that are not settled, so that a key cannot answer and take without end', () => {
  const grid = new OwnerGrid({ units: 100 })
  const a = grid.join('a', { want: 50 })
  a.answer()
  assert.equal(a.units(), [], 'its answer waits for a second opinion')
  grid.advance(10_000)
  assert.equal(a.units(), [])
  grid.finish()
})

windows('of one job stays open while another one waits for a second volunteer that never comes', () => {
  const grid = new OwnerGrid({ units: 100 })
  const alone = grid.join('alone', { slots: 2, want: 64 })
  for (let i = 0; i < 3; i++) alone.answer()
  assert.is(grid.waiting(), '1 worker here, quorum needs 2')
  const other = grid.submit('other', 64, { policy: { type: 'none' } })
  let most = 0
  for (let i = 0; i < 8; i++) {
    most = Math.max(most, alone.units(other).length)
    alone.answer(alone.units(other), 'right', { jobId: other })
  }
  assert.ok(grid.isFinished(other))
  assert.ok(most >= 16, `${most} units in hand at most`)
  grid.finish()
})

windows('never gates further opinions: two keys with a full window still settle one another', () => {
  const grid = new OwnerGrid({ units: 20 })
  const a = grid.join('a', { want: 4 })
  const b = grid.join('b', { want: 4 })
  a.answer([0])
  b.answer([1])
  assert.equal(a.units(), [1], 'the second opinion on what b answered')
  assert.equal(b.units(), [0], 'the second opinion on what a answered')
  grid.finish()
})

windows('widens as answers agree and shrinks to the start when the worker is lost', () => {
  const grid = new OwnerGrid({ units: 2_000, spec: { policy: { type: 'none' } } })
  const a = grid.join('a', { want: 64 })
  for (let i = 0; i < 7; i++) a.answer(a.units(), 'right', { wallMs: a.units().length * 5_000 })
  assert.is(a.units().length, 64)
  a.leave()
  grid.advance(1_500)
  a.hand.clear()
  a.connect()
  assert.is(a.units().length, 1)
  grid.finish()
})

windows('does not widen for a job of tiny units because one donor says they are tiny', () => {
  const grid = new OwnerGrid({ units: 4_000, spec: { policy: { type: 'none' } } })
  const names = ['a', 'b', 'c']
  const honest = names.map((name) => grid.join(name, { want: 64 }))
  const liar = grid.join('liar', { want: 10_000 })
  for (let i = 0; i < 10; i++) {
    for (const one of honest) one.answer(one.units(), 'right', { wallMs: one.units().length * 5_000 })
    liar.answer(liar.units(), 'right', { wallMs: 0.01 })
  }
  assert.is(liar.units().length, 64)
  grid.finish()
})

windows.run()
