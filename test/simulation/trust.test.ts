import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { rows } from '../trust/rows.js'
import { type Policy, run } from '../trust/run.js'
import { KEYS, type Measures, OWNERS } from '../trust/scene.js'
import { cellOf } from '../trust/table.js'

/** Enough for liars to take part and too few for them to lose their first weight: the table of `npm run trust` has 10,000. */
const FEW_UNITS = 800
const VERY_FEW_UNITS = 200
/** For the rule that is quick to run. */
const MANY_UNITS = 4_000

function measure(name: string, policy: Policy = 'ours', units = FEW_UNITS): Measures {
  const { scene } = rows.find((row) => row.name === name)!
  return run({ policy, scene, seed: 1, units, keys: KEYS, owners: OWNERS })
}

const trust = suite('the table of trust, few units')

trust('honest volunteers keep within the bounds of their row but for the work lost at the end of a short job', () => {
  const row = rows.find(({ name }) => name === 'honest')!
  const { wrong, redundancy, undecided, disputed } = measure('honest')
  assert.equal({ wrong, undecided, disputed }, { wrong: 0, undecided: 0, disputed: 0 })
  assert.ok(redundancy < row.bounds.redundancy! + 0.15, `${redundancy} instances a unit`)
})

trust('a fifth of the keys, alike and at once, gets a third of what it would where the first to ask is served', () => {
  const ours = measure('away-fast-20')
  const plain = measure('away-fast-20', 'quorum 2')
  assert.ok(plain.wrong > 0.9 * FEW_UNITS, `${plain.wrong} wrong by plain quorum 2`)
  assert.ok(ours.wrong < plain.wrong / 3, `${ours.wrong} wrong by ours`)
  assert.is(ours.undecided, 0)
})

trust('a ring of a fifth that takes its time gets half of what it would at most', () => {
  const ours = measure('away-ring-20')
  const plain = measure('away-ring-20', 'quorum 2')
  assert.ok(plain.wrong > 0.05 * FEW_UNITS, `${plain.wrong} wrong by plain quorum 2`)
  assert.ok(ours.wrong < plain.wrong / 2, `${ours.wrong} wrong by ours`)
})

trust('the adaptive rule trusts what one host says once it has been right for long', () => {
  const adaptive = measure('errors', 'adaptive', MANY_UNITS)
  assert.ok(adaptive.redundancy < 1.6, `${adaptive.redundancy} instances a unit`)
  assert.ok(adaptive.wrong > 0, 'and so takes mischance for an answer')
})

trust('the same seed gives the same run', () => {
  const again = () => measure('away-ring-20', 'ours', VERY_FEW_UNITS)
  assert.equal(again(), again())
})

trust('a row over its bound says which and by how much', () => {
  const row = { ...rows[0]!, bounds: { wrong: 0, time: 0.5 } }
  const measures = [{ ...measure('honest', 'quorum 2'), wrong: 2, time: 1.9 }]
  assert.equal(cellOf(row, 'ours', measures).over, ['2 units wrong, at most 0', 'time 1.900, at most 0.5'])
  assert.equal(cellOf(row, 'adaptive', measures).over, [], 'other rules are shown and not held to it')
})

trust.run()
