import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gridScenario } from './scenarios/grid.js'
import { World } from './world/world.js'

/**
 * Seeds of every run of the tests: together they have every fault below, crashes and lost writes in several of them, and hundreds of
 * disputes in two. `npm run sim -- --scenario grid --seeds 200` runs many more.
 */
const SEEDS = [1, 4, 5, 7, 8]
/** Those that take the least time. */
const REPEATED = [5, 7]

const grid = suite('whole grids in simulation')

async function runSeed(
  seed: number,
): Promise<{ readonly hash: string; readonly counters: Readonly<Record<string, number>> }> {
  const world = new World(seed, { scenario: gridScenario.name })
  try {
    await gridScenario.run(world)
    return { hash: world.trace.hash, counters: world.counters() }
  } finally {
    world.close()
  }
}

const hashes = new Map<number, string>()
const happened = new Map<string, number>()

for (const seed of SEEDS) {
  grid(`nothing acknowledged is lost, nothing wrong is accepted and all work finishes (seed ${seed})`, async () => {
    const { hash, counters } = await runSeed(seed)
    hashes.set(seed, hash)
    for (const [name, count] of Object.entries(counters)) happened.set(name, (happened.get(name) ?? 0) + count)
  })
}

grid('the faults that these seeds are about did happen', () => {
  for (const name of ['crashBetweenSyncAndSend', 'lostWrites', 'duplicateReports', 'lateReports', 'disputesSeen'])
    assert.ok((happened.get(name) ?? 0) > 0, `${name} never happened`)
})

for (const seed of REPEATED) {
  grid(`a grid run again from its seed does the same things in the same order (seed ${seed})`, async () => {
    assert.is((await runSeed(seed)).hash, hashes.get(seed))
  })
}

grid.run()
