import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { WorkerRecord } from '../../../../../coordinator/owner/core/worker-record.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import type { Volunteer } from '../../../../support/cores/volunteer.js'

const NONE = { policy: { type: 'none' } } as const
const SEEDS = 40
/** Not a multiple of what the owner sweeps by, so that a newcomer can be the first to ask. */
const UNIT_MS = 1_050

/** Its answers agree until it has the credit for full weight. */
function prove(volunteer: Volunteer): void {
  for (let i = 0; i < 5; i++) volunteer.answer()
}

/** The owner's record of a volunteer that holds something. */
function recordOf(grid: OwnerGrid, volunteer: Volunteer): WorkerRecord {
  return [...grid.owner.core.outstanding()].find(({ worker }) => worker.key === volunteer.key)!.worker
}

const weights = suite('The weights of a draw')

weights('hold where every key is younger than the job, as with the first job of a grid', () => {
  const grid = new OwnerGrid({ units: 5, spec: NONE })
  const proven = grid.join('proven', { older: false })
  prove(proven)
  const newcomer = grid.join('newcomer', { older: false })
  const units = 300
  const jobId = grid.submit('judged', units)
  for (let i = 0; i < units; i++) {
    const author = grid.join(`author ${i}`, { older: false })
    author.answer(author.units(jobId), 'right', { jobId })
    author.leave()
  }
  const drawn = ({ key }: Volunteer) =>
    Array.from({ length: units }, (_, unit) => grid.record(unit, grid.owner, jobId)?.reservedFor?.key).filter(
      (reserved) => reserved === key,
    ).length
  assert.ok(drawn(newcomer) > 0)
  assert.ok(drawn(newcomer) * 8 < drawn(proven), `${drawn(newcomer)} against ${drawn(proven)}`)
  grid.finish()
})

weights('are a sixteenth for a key that let its last instance lapse, until it answers one', () => {
  const grid = new OwnerGrid({ units: 20, spec: NONE })
  const hoarder = grid.join('hoarder', { want: 2 })
  grid.join('other', { want: 1 }).answer()
  const weight = () => grid.owner.core.sessionOf(hoarder.key) !== undefined && recordOf(grid, hoarder).drawWeight
  const before = weight()
  grid.advance(1_000)
  assert.ok(hoarder.units().length > 0)
  hoarder.leave()
  grid.advance(10_000)
  hoarder.connect()
  grid.advance(1_000)
  assert.is(weight(), Number(before) / 16)
  hoarder.answer()
  assert.ok(Number(weight()) >= Number(before), 'as before, or more by what it answered')
  grid.finish()
})

weights("hold for a straggler's copy: it is not for whoever asks first", () => {
  let copies = 0
  let fresh = 0
  for (let seed = 1; seed <= SEEDS; seed++) {
    const grid = new OwnerGrid({ units: 6, spec: NONE, seed })
    const proven = grid.join('proven')
    for (let i = 0; i < 4; i++) {
      grid.advance(UNIT_MS)
      proven.answer()
    }
    const slow = grid.join('slow')
    grid.advance(UNIT_MS)
    proven.answer()
    assert.equal(slow.units(), [5])
    const newcomer = grid.join('newcomer')
    grid.advance(UNIT_MS - 50)
    for (let i = 0; i < 200 && newcomer.hand.size + proven.hand.size === 0; i++) {
      newcomer.want(1 + (i % 2))
      grid.advance(1)
    }
    copies += newcomer.hand.size + proven.hand.size
    fresh += newcomer.hand.size
    grid.finish()
  }
  assert.is(copies, SEEDS)
  assert.ok(fresh * 4 < SEEDS, `the newcomer was given ${fresh} of ${SEEDS} copies`)
})

weights.run()
