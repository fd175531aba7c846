import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { AuditFindings } from '../../../client/replay/audit.js'
import { describeAudit } from '../../../client/replay/audit-text.js'

const nothing: AuditFindings = {
  units: 10,
  settled: 10,
  sampled: 0,
  disputed: 0,
  tried: 0,
  leaning: 0,
  strangers: 0,
  wrong: [],
  sampledWrong: 0,
  errorBound: 1,
  unreplayed: 10,
  undecided: 0,
  left: 0,
  convicted: 0,
  dismissed: 0,
  ruled: 0,
}

const text = suite('describeAudit')

text('a sample of one promises nothing, and says what does', () => {
  const said = describeAudit({ ...nothing, sampled: 1, errorBound: 0.9, unreplayed: 9 })
  assert.match(said, /^replayed here: 1 unit drawn at random; each as its result says; too few .* --sample$/)
})

text('a sample with something left out ends in its bound', () => {
  const said = describeAudit({ ...nothing, units: 900, settled: 900, sampled: 300, errorBound: 0.01, unreplayed: 600 })
  assert.match(said, /at most 1 % of the results drawn from were wrong, at 95 %$/)
})

text('once every settled unit was replayed there is nothing left to estimate', () => {
  assert.match(
    describeAudit({ ...nothing, sampled: 4, errorBound: 0, unreplayed: 0 }),
    /every settled unit was replayed$/,
  )
  assert.is(describeAudit({ ...nothing, errorBound: 0, unreplayed: 0 }), 'every settled unit was replayed before')
})

text('false results keep their bound, however vague', () => {
  const said = describeAudit({ ...nothing, sampled: 4, wrong: [2], sampledWrong: 1, errorBound: 0.7, unreplayed: 6 })
  assert.match(said, /1 had a FALSE result; at most 70 % of the results/)
})

text(
  'units that rest on owners that cannot be found are told of, tried or not, with what that means and what helps',
  () => {
    const few = { ...nothing, tried: 4, leaning: 6, strangers: 2, unreplayed: 6 }
    const meaning =
      'that cannot be found now, which may be peers that have left or made-up ones: verify with a larger --sample computes more of these units'
    assert.is(
      describeAudit(few),
      `replayed here: 4 units resting on owners that cannot be found now; each as its result says; 6 more units rest on 2 owners ${meaning}`,
    )
    assert.is(
      describeAudit({ ...nothing, leaning: 1, strangers: 1 }),
      `no unit was replayed; 1 unit rests on an owner ${meaning}`,
    )
  },
)

text.run()
