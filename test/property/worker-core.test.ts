import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { endpointOf, JOB, ownerNamed, WorkerBench } from '../support/cores/worker-bench.js'

const OWNERS = ['x', 'y', 'z'] as const
const owner = fc.constantFrom(...OWNERS)
const unit = fc.nat({ max: 40 })

const step = fc.oneof(
  fc.record({
    type: fc.constantFrom('seen', 'opened', 'closed', 'refused', 'withdrawn', 'settled', 'unknown'),
    owner,
    unit,
  }),
  fc.record({ type: fc.constant('granted'), owner, unit }),
  fc.record({ type: fc.constantFrom('computed', 'failed', 'journal', 'found', 'jobFailed', 'full'), owner, unit }),
  fc.record({ type: fc.constant('advance'), owner, unit: fc.nat({ max: 70_000 }) }),
)

const workers = suite('A worker, whatever happens')

workers('keeps its invariants, and once owners are there again answers for all it was granted and is done', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.nat({ max: 1_000 }), (steps, seed) => {
      const bench = new WorkerBench({ threads: 2, seed })
      const open = new Set<string>()
      const running = new Set<number>()
      const reports: string[] = []
      const obey = () => {
        for (const effect of bench.log.drain()) {
          if (effect.type === 'compute') for (const one of effect.units) running.add(one)
          else if (effect.type === 'abort') for (const one of effect.units) running.delete(one)
          else if (effect.type === 'keepReport') bench.log.push([effect])
          else if (effect.type === 'offerReport') reports.push(effect.reportId)
        }
      }
      const closeAll = () => {
        for (const name of open) bench.handle({ type: 'linkClosed', owner: ownerNamed(name), lasting: false })
        open.clear()
      }
      for (const change of steps) {
        const nodeId = ownerNamed(change.owner)
        switch (change.type) {
          case 'seen':
            bench.handle({ type: 'workSeen', owner: endpointOf(change.owner), jobId: JOB, ready: change.unit % 3 })
            break
          case 'opened':
            if (bench.core.endpoint(nodeId) === undefined) break
            bench.handle({ type: 'linkOpened', owner: nodeId })
            open.add(change.owner)
            break
          case 'closed':
          case 'refused':
            bench.handle({ type: 'linkClosed', owner: nodeId, lasting: change.type === 'refused' })
            open.delete(change.owner)
            break
          case 'granted':
            if (open.has(change.owner)) bench.grant(change.owner, change.unit, 1 + (change.unit % 5))
            break
          case 'computed':
          case 'failed':
            bench.compute(change.unit, 3, { outcome: change.type === 'failed' ? 'host' : 'done' })
            break
          case 'journal':
            bench.journal()
            break
          case 'found':
            bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf(change.owner)] })
            break
          case 'withdrawn':
            bench.handle({
              type: 'withdrawn',
              owner: nodeId,
              jobId: JOB,
              units: [change.unit],
              wholeJob: change.unit === 0,
            })
            break
          case 'settled':
            bench.settle(change.owner, change.unit, change.unit + 1)
            break
          case 'unknown': {
            const reportId = reports[change.unit % Math.max(1, reports.length)]
            if (reportId !== undefined)
              bench.handle({ type: 'reportRefused', owner: nodeId, reportId: reportId as never, reason: 'unknownJob' })
            break
          }
          case 'jobFailed':
            bench.handle({ type: 'jobFailed', jobId: JOB, reason: 'no input' })
            break
          case 'full':
            bench.handle({ type: 'outputsFull', full: change.unit % 2 === 0 })
            break
          default:
            bench.advance(change.unit)
        }
        obey()
        assert.is(bench.core.heldCount <= 65_536, true)
      }
      // From here on one owner is there, takes everything and settles it.
      closeAll()
      bench.handle({ type: 'drained', atOnce: false })
      let finished = false
      for (let second = 0; second < 300 && !(finished && bench.core.unsettledCount === 0); second++) {
        bench.compute(0, 50)
        bench.journal()
        bench.advance(1_000)
        for (const effect of bench.log.drain()) {
          if (effect.type === 'openLink') bench.handle({ type: 'linkOpened', owner: effect.owner.nodeId })
          else if (effect.type === 'findOwners')
            bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: OWNERS.map(endpointOf) })
          else if (effect.type === 'keepReport') bench.log.push([effect])
          else if (effect.type === 'offerReport') {
            bench.handle({ type: 'reportsTaken', owner: effect.owner, reportIds: [effect.reportId] })
            bench.handle({
              type: 'unitsSettled',
              owner: effect.owner,
              jobId: JOB,
              shard: 0,
              agreed: Array.from({ length: 60 }, (_, i) => i),
              disagreed: [],
            })
          } else if (effect.type === 'finished') finished = true
        }
      }
      assert.is(bench.core.heldCount, 0)
      assert.is(bench.core.unsettledCount, 0, 'reports that nobody took')
      assert.ok(finished, 'a drained worker is done')
    }),
    { numRuns: 200 },
  )
})

workers.run()
