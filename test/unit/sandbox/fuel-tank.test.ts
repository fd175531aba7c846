import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { engine } from '../../../sandbox/engine.js'
import { FuelTank } from '../../../sandbox/fuel-tank.js'
import { Stop } from '../../../sandbox/wasi/stop.js'

const tank = suite('FuelTank')

/** A stretch of a program: what it charges itself, then what a host call in it charges, and whether fuel is checked after. */
interface Stretch {
  readonly own: number
  readonly host: number
  readonly checks: boolean
}

/** Does what an admitted module does with its fuel. Gives where it was stopped, and what it used. */
function run(stretches: readonly Stretch[], limit: bigint, portion: bigint) {
  const reports: bigint[] = []
  const fuel = new FuelTank(limit, (used) => reports.push(used), portion)
  const global = new engine.Global({ value: 'i64', mutable: true }, 0n)
  fuel.attach(global)
  let stoppedAt = -1
  try {
    stretches.forEach(({ own, host, checks }, i) => {
      stoppedAt = i
      global.value = BigInt(global.value) - BigInt(own)
      if (host > 0) fuel.spend(host)
      const left = BigInt(global.value)
      if (checks && left < 0n) global.value = fuel.refuel(left)
    })
    stoppedAt = -1
  } catch (error) {
    if (!(error instanceof Stop)) throw error
    assert.equal(error.reason, { type: 'fuel' })
  }
  return { stoppedAt, used: fuel.used, reports }
}

const program = fc.array(
  fc.record({ own: fc.nat(500), host: fc.oneof(fc.constant(0), fc.nat(3_000)), checks: fc.boolean() }),
  { maxLength: 60 },
)

tank('stops a program at the same place, having used the same, whatever the portion', () => {
  fc.assert(
    fc.property(program, fc.bigInt(0n, 20_000n), fc.bigInt(1n, 30_000n), (stretches, limit, portion) => {
      const { stoppedAt, used } = run(stretches, limit, portion)
      const reference = run(stretches, limit, 2n ** 40n)
      assert.is(stoppedAt, reference.stoppedAt)
      assert.is(used, reference.used)
    }),
    { numRuns: 300 },
  )
})

tank('stops at the first check past the limit and at none before', () => {
  fc.assert(
    fc.property(program, fc.bigInt(1n, 20_000n), (stretches, limit) => {
      let used = 0n
      const expected = stretches.findIndex(({ own, host, checks }) => {
        used += BigInt(own + host)
        return checks && used > limit
      })
      assert.is(run(stretches, limit, 100n).stoppedAt, expected)
    }),
    { numRuns: 300 },
  )
})

tank('reports what was used at every portion, rising', () => {
  const stretches = Array.from({ length: 100 }, () => ({ own: 10, host: 0, checks: true }))
  const { reports, used } = run(stretches, 0n, 99n)
  assert.is(used, 1_000n)
  assert.equal(reports, [100n, 200n, 300n, 400n, 500n, 600n, 700n, 800n, 900n, 1_000n])
})

tank('lets a program use its limit to the last step', () => {
  const stretches = [{ own: 1_000, host: 0, checks: true }]
  assert.is(run(stretches, 1_000n, 10n).stoppedAt, -1)
  assert.is(run(stretches, 999n, 10n).stoppedAt, 0)
})

tank.run()
