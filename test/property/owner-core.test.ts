import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../support/cores/owner-grid.js'
import type { Volunteer } from '../support/cores/volunteer.js'

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const

type Step =
  | { readonly type: 'answer'; readonly who: number; readonly answer: string }
  | { readonly type: 'fail'; readonly who: number }
  | { readonly type: 'handBack' | 'leave' | 'back' | 'restart' | 'mute' | 'late'; readonly who: number }
  | { readonly type: 'want'; readonly who: number; readonly instances: number }
  | { readonly type: 'advance'; readonly ms: number }
  | { readonly type: 'ownerRestart' | 'fetchFailed'; readonly which: number }

const who = fc.nat({ max: NAMES.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('answer' as const),
      who,
      answer: fc.constantFrom('right', 'right', 'right', 'wrong'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('fail' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constantFrom('handBack', 'leave', 'back', 'restart', 'mute', 'late'), who }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('want' as const), who, instances: fc.nat({ max: 12 }) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('advance' as const), ms: fc.nat({ max: 40_000 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom('ownerRestart', 'fetchFailed'), which: fc.nat({ max: 2 }) }),
  },
)

function take(grid: OwnerGrid, volunteers: readonly Volunteer[], change: Step, small: boolean): void {
  if ('who' in change) {
    act(grid, volunteers[change.who]!, change, small)
    return
  }
  if (change.type === 'advance') {
    grid.advance(change.ms)
    return
  }
  const owner = grid.owners[change.which % grid.owners.length]!
  if (change.type === 'fetchFailed') {
    const { nodeId: from } = volunteers[change.which % volunteers.length]!
    grid.handle(owner, { type: 'outputFetchFailed', jobId: grid.jobId, shard: 0, unit: change.which, from })
    return
  }
  grid.restart(owner)
  for (const one of volunteers) if (one.sessions.size > 0 || grid.owners.length === 1) one.connect({ to: owner })
}

function act(grid: OwnerGrid, one: Volunteer, change: Extract<Step, { readonly who: number }>, small: boolean): void {
  switch (change.type) {
    case 'answer':
      one.answer(one.units(), change.answer, { small })
      break
    case 'fail':
      one.answer(one.units(), '', { outcome: 'host' })
      break
    case 'late':
      one.answer([...new Set(one.granted.map(({ unit }) => unit))].slice(0, 3), 'right', { small })
      break
    case 'handBack':
      one.handBack(one.units())
      break
    case 'leave':
      one.leave()
      break
    case 'back':
      if (one.sessions.size === 0) one.connect()
      break
    case 'restart':
      one.leave()
      one.hand.clear()
      one.connect({ bootId: `boot of ${grid.now} ${one.granted.length}` })
      break
    case 'mute':
      one.heartbeats = !one.heartbeats
      break
    case 'want':
      for (const owner of one.sessions.keys()) one.want(change.instances, owner)
      break
    default:
      change satisfies never
  }
}

/** Owners close streams and fetch outputs; here these are obeyed at once. */
function obey(grid: OwnerGrid, volunteers: readonly Volunteer[]): void {
  for (let round = 0; round < 100; round++) {
    const closed = grid.log.take('closeSession')
    const fetched = grid.log.take('fetchOutput')
    grid.log.take('pingSession')
    if (closed.length + fetched.length === 0) return
    for (const { session } of closed)
      for (const one of volunteers) for (const [owner, own] of one.sessions) if (own === session) one.leave(owner)
    for (const { jobId, shard, unit, digest } of fetched)
      for (const owner of grid.owners) grid.handle(owner, { type: 'outputKept', jobId, shard, unit, digest })
  }
}

/** From here on everybody is there, honest and quick. */
function heal(grid: OwnerGrid, volunteers: readonly Volunteer[]): void {
  for (const one of volunteers) {
    one.heartbeats = true
    one.leave()
  }
  for (const owner of grid.owners) if (!owner.isUp) grid.restart(owner)
  for (const one of volunteers) one.connect({ want: 4 })
}

function finishes(grid: OwnerGrid, volunteers: readonly Volunteer[], small: boolean): boolean {
  const areDone = () => grid.owners.every((owner) => grid.isFinished(grid.jobId, owner))
  for (let second = 0; second < 40 * 60 && !areDone(); second++) {
    for (const one of volunteers) {
      one.answer(one.units(), 'right', { small })
      obey(grid, volunteers)
      if (one.sessions.size < grid.owners.length) {
        one.leave()
        one.connect({ want: 4 })
      }
    }
    grid.advance(1_000)
    obey(grid, volunteers)
  }
  return areDone()
}

const owners = suite('An owner, whatever happens')

for (const { title, options, runs } of [
  { title: 'one owner, quorum 2', options: { owners: 1, units: 12 }, runs: 150 },
  { title: 'one owner, no quorum', options: { owners: 1, units: 12, spec: { policy: { type: 'none' } } }, runs: 60 },
  { title: 'three owners, two grantors', options: { owners: 3, units: 70, spec: { minGrantors: 2 } }, runs: 60 },
] as const) {
  owners(`keeps its invariants, grants nothing settled, and leaves no unit behind: ${title}`, () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), fc.nat({ max: 1_000 }), (steps, small, seed) => {
        const grid = new OwnerGrid({
          ...options,
          seed,
          spec: { maxInstances: 40, ...('spec' in options ? options.spec : {}) },
        })
        grid.log.ignore('sendNoWork')
        const volunteers = NAMES.map((name) => grid.join(name, { slots: 2, want: 4 }))
        for (const change of steps) {
          take(grid, volunteers, change, small)
          obey(grid, volunteers)
        }
        heal(grid, volunteers)
        // Fresh donors decide what the others have disputed or can no longer answer.
        const fresh = ['p', 'q', 'r'].map((name) => grid.join(name, { slots: 2, want: 8 }))
        obey(grid, [...volunteers, ...fresh])
        const done = finishes(grid, [...volunteers, ...fresh], small)
        const left = grid.owners.map((owner) => {
          const { open, accepted, disputed, held } = grid.summary(grid.jobId, owner)
          return { open, accepted, disputed, held }
        })
        if (!done) assert.equal(left, [], 'units left behind after 40 minutes of health')
        grid.log.drain()
        grid.finish()
      }),
      { numRuns: runs },
    )
  })
}

owners.run()
