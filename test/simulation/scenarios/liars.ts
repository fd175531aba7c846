import { type Population, populations } from '../liars/populations.js'
import { type Measures, runLiars } from '../liars/run.js'
import type { Scenario } from '../scenario.js'
import { linkProfiles } from '../world/link.js'

/** Units of the job that each population is measured with. */
const LIAR_UNITS = 5_000

const COLUMNS = ['population', 'seed', 'wrong', 'failed', 'undecided', 'captured', 'time', 'redundancy'] as const

/** What was measured beyond the bars of the population, in words; empty when nothing was. */
function missedBars({ bars }: Population, measures: Measures): readonly string[] {
  const missed: string[] = []
  const wrongMax = Math.floor(bars.wrong * measures.units)
  if (measures.wrong > wrongMax) missed.push(`${measures.wrong} wrong answers accepted, at most ${wrongMax} allowed`)
  if (measures.failed > 0) missed.push(`${measures.failed} units failed by liars`)
  if (measures.undecided > 0) missed.push(`${measures.undecided} units not settled`)
  if (measures.time > bars.time) missed.push(`${measures.time.toFixed(3)} times the ideal time, at most ${bars.time}`)
  return missed
}

let isHeadShown = false

/** One line of the table, and one of JSON. */
function print(population: Population, measures: Measures): void {
  const row = [
    population.title.padEnd(30),
    ...COLUMNS.slice(1).map((column) => {
      const value = Number(measures[column])
      return (Number.isInteger(value) ? String(value) : value.toFixed(3)).padStart(column.length)
    }),
  ]
  if (!isHeadShown) console.log([COLUMNS[0].padEnd(30), ...COLUMNS.slice(1)].join(' | '))
  isHeadShown = true
  console.log(row.join(' | '))
  console.log(JSON.stringify(measures))
}

/** One scenario for each population: a job checked by its volunteers alone, some of whom lie. */
export const liarScenarios: readonly Scenario[] = populations.map((population) => ({
  name: `liars-${population.name}`,
  promise: `with ${population.title}: at most ${population.bars.wrong} of the units wrong, none failed, within ${population.bars.time} times the ideal time`,
  options: { profile: linkProfiles.wan },
  onRequest: true,
  run: async (world) => {
    const measures = await runLiars(world, population, LIAR_UNITS)
    print(population, measures)
    const missed = missedBars(population, measures)
    world.check(missed.length === 0, missed.join('; '))
  },
}))
