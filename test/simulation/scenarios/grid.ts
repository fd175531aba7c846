import { FaultyCourse } from '../grid/faulty-course.js'
import { Grid } from '../grid/grid.js'
import { planOf } from '../grid/plan.js'
import { NO_PLANT, type Plant } from '../grid/plants.js'
import type { Scenario } from '../scenario.js'
import type { World } from '../world/world.js'

/** Runs one grid as its seed plans it, with a planted mistake or none. */
export async function runGrid(world: World, plant: Plant): Promise<void> {
  const plan = planOf(world.seed)
  await new Grid(world, plant.plan?.(plan) ?? plan, plant).run(new FaultyCourse())
}

/** Whole grids: real owners, homes, workers and clients under every fault of the world. */
export const gridScenario: Scenario = {
  name: 'grid',
  promise:
    'nothing acknowledged is lost, nothing below its policy is accepted, results do not change, and all work finishes',
  mustHappen: ['killed', 'powerLoss', 'diskLoss', 'partition', 'streamBreak', 'halfOpen', 'clockJump', 'pause']
    .concat(['diskFull', 'diskSlow', 'lostWrites', 'tornWrites', 'refusedWrites', 'duplicatedRequests', 'cutMessages'])
    .concat(['crashBetweenSyncAndSend', 'duplicateReports', 'lateReports', 'disputesSeen', 'stalled', 'vanished'])
    .concat(['stalledOwner', 'walls', 'oneWay']),
  run: (world) => runGrid(world, NO_PLANT),
}

/** The same grids, every one with Ed25519 signatures, as real processes make and check them: slower. */
export const signedGridScenario: Scenario = {
  ...gridScenario,
  name: 'grid --signatures',
  run: (world) =>
    runGrid(world, { ...NO_PLANT, name: 'signatures', plan: (plan) => ({ ...plan, realSignatures: true }) }),
}
