import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ExplainBudget } from '../../../../coordinator/services/explain-budget.js'
import { GridError } from '../../../../runtime/errors.js'

const HOST = '203.0.113.7'

function budgetAt(): { budget: ExplainBudget; clock: { at: number } } {
  const clock = { at: 0 }
  const budget = new ExplainBudget({ now: () => clock.at, wallMs: () => 0, setTimer: () => ({ cancel() {} }) })
  return { budget, clock }
}

const budgets = suite('ExplainBudget')

budgets('a large job is explained, and then not again until that is paid for', () => {
  const { budget, clock } = budgetAt()
  budget.take(HOST, 5_000_000)
  assert.throws(
    () => budget.take(HOST, 0),
    (error: unknown) => error instanceof GridError && error.code === 'quota' && /ask again in 62 s/.test(error.message),
  )
  budget.take('198.51.100.1', 0)
  clock.at += 62_000
  budget.take(HOST, 0)
})

budgets('small jobs may be asked about many times', () => {
  const { budget } = budgetAt()
  for (let i = 0; i < 100; i++) budget.take(HOST, 100)
})

budgets('addresses beyond the table begin anew', () => {
  const { budget } = budgetAt()
  budget.take(HOST, 5_000_000)
  for (let i = 0; i < 4_096; i++) budget.take(`10.0.${i >> 8}.${i & 255}`, 0)
  budget.take(HOST, 0)
})

budgets.run()
