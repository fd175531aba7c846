import { specDefaults } from '../../../job/spec/spec.js'
import { grantorFactsMax } from '../../../job/verdict/crowding.js'
import { grantCodec, reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import type { PublicKey } from '../../../proto/model.js'
import { FaultyCourse } from '../grid/faulty-course.js'
import { Grid } from '../grid/grid.js'
import { type Plan, planOf } from '../grid/plan.js'
import { NO_PLANT } from '../grid/plants.js'
import { readStore } from '../grid/store-log.js'
import type { Scenario } from '../scenario.js'
import type { Host } from '../world/host.js'
import type { World } from '../world/world.js'

/** Every job asks for two grantors: of what one owner may settle alone nothing could be promised. */
function floodPlan(seed: number): Plan {
  const plan = planOf(2 * seed)
  return {
    ...plan,
    peerCharacters: ['flooder'],
    // A flooder with a slow uplink would only cut itself off.
    uplinks: [undefined, plan.uplinks[1]],
    jobs: plan.jobs.map((job) => ({ ...job, policy: { type: 'quorum', quorum: 2 } })),
  }
}

/** Facts on the disk of `peer` under grants of `grantor`, the most of one unit, and their bytes together. */
function factsOf(peer: Host, grantor: PublicKey) {
  const byUnit = new Map<string, number>()
  let facts = 0
  let bytes = 0
  for (const shard of readStore(peer.disk).facts.values()) {
    for (const encoded of shard.values()) {
      const { report, grants } = reportFactCodec.decode(encoded)
      if (!grants.some((grant) => grantCodec.decode(grant.bytes).grantor === grantor)) continue
      facts++
      bytes += encoded.length
      const { jobId, results } = reportCodec.decode(report.bytes)
      for (const { unit } of results) byUnit.set(`${jobId}/${unit}`, (byUnit.get(`${jobId}/${unit}`) ?? 0) + 1)
    }
  }
  return { facts, bytes, most: Math.max(0, ...byUnit.values()) }
}

async function flood(world: World): Promise<void> {
  const grid = new Grid(world, floodPlan(world.seed), NO_PLANT)
  const [flooder, ...others] = grid.peers
  const { publicKey } = flooder!.caller
  await grid.run(new FaultyCourse())
  const { floodedFacts = 0 } = world.counters()
  const kept = others.map((peer) => factsOf(peer, publicKey))
  const most = grantorFactsMax({ maxInstances: Math.max(specDefaults.maxInstances, 15) })
  for (const one of kept)
    world.check(one.most <= most, `${one.most} facts of one unit and grantor are kept, not ${most}`)
  world.count('keptFacts', Math.max(...kept.map(({ facts }) => facts)))
  world.count('keptKilobytes', Math.round(Math.max(...kept.map(({ bytes }) => bytes)) / 1024))
  world.count('fullUnits', kept.some((one) => one.most === most) ? 1 : 0)
  if (floodedFacts === 0) world.count('nothingFlooded')
}

/** The grids of three owners, one of which has the others keep votes of workers that it makes up. */
export const floodScenario: Scenario = {
  name: 'flood',
  promise:
    'what one grantor has others keep is bounded; owners keep the same, nothing acknowledged is lost, all is right',
  mustHappen: ['floodedFacts', 'fullUnits'],
  run: flood,
}
