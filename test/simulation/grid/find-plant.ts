import { runGrid } from '../scenarios/grid.js'
import { World } from '../world/world.js'
import type { Plant } from './plants.js'

/** Where a planted mistake was found, and what the run said. */
export interface PlantFound {
  readonly seed: number
  readonly message: string
}

/** Runs grids with a planted mistake, or what else it is looked for with, seed after seed, until one fails; undefined when none up to `seedsMax` does. */
export async function findPlant(plant: Plant, seedsMax: number, firstSeed = 1): Promise<PlantFound | undefined> {
  for (let seed = firstSeed; seed <= seedsMax; seed++) {
    const world = new World(seed, { scenario: 'grid' })
    try {
      await (plant.run === undefined ? runGrid(world, plant) : plant.run(world, true))
    } catch (error) {
      return { seed, message: error instanceof Error ? error.message : String(error) }
    } finally {
      world.close()
    }
  }
  return undefined
}
