/**
 * `npm run sim -- --planted NAME|all [--seeds N]`: grids with a mistake put in on purpose, until one seed finds it.
 * `npm run sim -- [--scenario NAME] [--seeds N] [--first S] [--seed S] [--trace]`: runs scenarios in the simulator.
 * `npm run sim -- --signatures [...]`: whole grids, each with real Ed25519 signatures instead of keyed hashes.
 *
 * Prints a line per seed, for a failure what happened last and the command that repeats it, and ends with
 * `N passed, N failed`; exit code 1 when anything failed. `--trace` prints every event.
 */
import { parseArgs } from 'node:util'
import { findPlant } from './grid/find-plant.js'
import { plants } from './grid/plants.js'
import type { Scenario } from './scenario.js'
import { signedGridScenario } from './scenarios/grid.js'
import { scenarios } from './scenarios.js'
import { formatTraceLine } from './world/trace.js'
import { SimulationFailure, World } from './world/world.js'

/** Seeds a scenario needs before counters that stayed 0 are held against it. */
const SEEDS_FOR_COUNTERS = 20
const SEEDS_DEFAULT = 20
/** Seeds within which a planted mistake must be found. */
const PLANTED_SEEDS = 200

interface Result {
  readonly passed: boolean
  readonly counters: Readonly<Record<string, number>>
}

function readNumber(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not ${text}`)
  return value
}

function formatCounters(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${name}=${count}`)
    .join(' ')
}

/** Runs one seed and prints its line. */
async function runSeed(scenario: Scenario, seed: number, trace: boolean): Promise<Result> {
  const world = new World(seed, { ...scenario.options, scenario: scenario.name })
  if (trace) world.trace.listener = (line) => console.log(formatTraceLine(line))
  const startedAtMs = performance.now()
  let failure: unknown
  try {
    await scenario.run(world)
  } catch (error) {
    failure = error
  } finally {
    world.close()
  }
  const counters = world.counters()
  const seconds = (performance.now() - startedAtMs) / 1000
  const parts = [
    failure === undefined ? 'ok  ' : 'FAIL',
    `${scenario.name} seed ${seed}`,
    `${(world.nowMs / 1000).toFixed(1)} s virtual`,
    `${world.scheduler.eventCount} events in ${seconds.toFixed(2)} s`,
    `trace ${world.trace.hash}`,
    formatCounters(counters),
  ]
  console.log(parts.join('  '))
  if (failure !== undefined) console.log(describe(world, failure))
  return { passed: failure === undefined, counters }
}

function describe(world: World, failure: unknown): string {
  if (failure instanceof SimulationFailure) return failure.message
  // Thrown by the scenario itself, between runs of the world.
  return world.failure(failure).message
}

/** Counters that should have moved over `results` and did not. */
function missing(scenario: Scenario, results: readonly Result[]): string[] {
  if (results.length < SEEDS_FOR_COUNTERS) return []
  return (scenario.mustHappen ?? []).filter((name) => !results.some(({ counters }) => (counters[name] ?? 0) > 0))
}

/** `--scenario liars` is `liars-lone` and all its kin. */
function isChosen({ name, onRequest = false }: Scenario, wanted: string | undefined): boolean {
  return wanted === undefined ? !onRequest : name === wanted || name.startsWith(`${wanted}-`)
}

/** Looks for a mistake put into the grid on purpose, or each of them: found is passed. */
async function findPlanted(name: string, seedsMax: number): Promise<void> {
  const chosen = plants.filter((plant) => name === 'all' || plant.name === name)
  if (chosen.length === 0) {
    throw new Error(`no planted mistake ${name}; there are: all, ${plants.map((plant) => plant.name).join(', ')}`)
  }
  let passed = 0
  for (const plant of chosen) {
    const found = await findPlant(plant, seedsMax)
    if (found !== undefined) passed++
    console.log(`${found ? 'ok  ' : 'FAIL'}  ${plant.name} (${plant.mistake}): found by seed ${found?.seed ?? 'none'}`)
    if (found !== undefined) console.log(found.message.split('\n').slice(0, 2).join('\n'))
  }
  console.log(`${passed} passed, ${chosen.length - passed} failed`)
  process.exitCode = passed < chosen.length ? 1 : 0
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      scenario: { type: 'string' },
      seeds: { type: 'string' },
      seed: { type: 'string' },
      first: { type: 'string' },
      planted: { type: 'string' },
      trace: { type: 'boolean', default: false },
      signatures: { type: 'boolean', default: false },
    },
  })
  if (values.planted !== undefined) return findPlanted(values.planted, readNumber('seeds', values.seeds, PLANTED_SEEDS))
  const { signatures, scenario: wanted = signatures ? 'grid' : undefined } = values
  if (signatures && wanted !== 'grid') throw new Error('--signatures is for --scenario grid')
  const chosen = signatures ? [signedGridScenario] : scenarios.filter((scenario) => isChosen(scenario, wanted))
  if (chosen.length === 0) {
    throw new Error(`no scenario ${wanted}; there are: ${scenarios.map(({ name }) => name).join(', ')}`)
  }
  const first = readNumber('seed', values.seed ?? values.first, 1)
  const count = values.seed === undefined ? readNumber('seeds', values.seeds, SEEDS_DEFAULT) : 1
  let passed = 0
  let failed = 0
  for (const scenario of chosen) {
    const results: Result[] = []
    for (let seed = first; seed < first + count; seed++) {
      const result = await runSeed(scenario, seed, values.trace)
      results.push(result)
      if (result.passed) passed++
      else failed++
    }
    const still = missing(scenario, results)
    if (still.length === 0) continue
    failed++
    console.log(`FAIL  ${scenario.name}: never happened in ${results.length} seeds: ${still.join(', ')}`)
  }
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

try {
  await main()
} catch (error) {
  // Only what was typed can be wrong here: failures of a run are counted, not thrown.
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 2
}
