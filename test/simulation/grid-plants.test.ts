import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { findPlant } from './grid/find-plant.js'
import { plants } from './grid/plants.js'
import { World } from './world/world.js'

/** Seeds after which a mistake counts as not found. */
const SEEDS_MAX = 200

const planted = suite('planted mistakes')

for (const plant of plants) {
  planted(`the oracle finds out that ${plant.mistake} (${plant.name})`, async () => {
    const found = await findPlant(plant, SEEDS_MAX, plant.knownSeed)
    assert.ok(found !== undefined, `not found in ${SEEDS_MAX} seeds`)
    console.log(`  ${plant.name}: found by seed ${found.seed}`)
  })
}

for (const { name, mistake, run } of plants) {
  if (run === undefined) continue
  planted(`nothing is found where it is not so that ${mistake} (${name})`, async () => {
    const world = new World(1, { scenario: name })
    try {
      await run(world, false)
    } finally {
      world.close()
    }
  })
}

planted.run()
