import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { populations } from './liars/populations.js'
import { type Measures, runLiars } from './liars/run.js'
import { LIAR_UNITS, missedBars } from './scenarios/liars.js'
import { linkProfiles } from './world/network.js'
import { World } from './world/world.js'

const SEED = 1
/** Enough to see a lone liar succeed; how long a job takes can only be told from a long one. */
const FEW_UNITS = 1_000

async function run(name: string, units: number): Promise<{ measures: Measures; missed: readonly string[] }> {
  const population = populations.find((each) => each.name === name)!
  const world = new World(SEED, { scenario: `liars-${name}`, profile: linkProfiles.wan })
  try {
    const measures = await runLiars(world, population, units)
    console.log(`  ${JSON.stringify(measures)}`)
    return { measures, missed: missedBars(population, measures) }
  } finally {
    world.close()
  }
}

const liars = suite('liars in simulation')

liars('a fifth of the keys, which agree on wrong answers and give them in 5 ms, keep within their bars', async () => {
  const { measures, missed } = await run('fast-20', LIAR_UNITS)
  assert.equal(missed, [])
  assert.ok(measures.captured < 0.1, `they were granted ${measures.captured} of all instances`)
})

liars('a ring does not get further by claiming 64 threads for each key', async () => {
  const { measures } = await run('threads-10', FEW_UNITS)
  assert.is(measures.undecided, 0)
  assert.ok(measures.wrong <= 10, `${measures.wrong} of ${FEW_UNITS} wrong`)
  assert.ok(measures.captured < 0.1, `they were granted ${measures.captured} of all instances`)
})

for (const name of ['lone', 'failures', 'two-places']) {
  const { title } = populations.find((each) => each.name === name)!
  liars(`${title} gets nothing wrong accepted and no unit failed`, async () => {
    const { measures } = await run(name, FEW_UNITS)
    assert.is(measures.wrong, 0)
    assert.is(measures.failed, 0)
    assert.is(measures.undecided, 0)
    assert.ok(measures.captured > 0, 'it took part')
  })
}

liars('a silent hoarder holds nothing up', async () => {
  const { measures } = await run('hoarder', FEW_UNITS)
  assert.is(measures.undecided, 0)
  assert.ok(measures.captured > 0 && measures.captured < 0.02, `it was granted ${measures.captured} of all instances`)
  // What is kept for a slow key waits for it also near the end, which a short job feels.
  assert.ok(measures.time < 2.4, `${measures.time} times the ideal time`)
})

liars.run()
