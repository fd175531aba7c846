import { suite } from 'uvu'
import { churn, killed, liars, split } from './overlay/bars.js'
import { World } from './world/world.js'

/** Small networks of the scenarios `bars-...`, which `npm run sim` runs at full size. */
const bars = suite('overlay bars, small')

function bar(name: string, run: (world: World) => Promise<void>): void {
  bars(name, async () => {
    const world = new World(1, { scenario: 'bars-small' })
    try {
      await run(world)
    } catch (error) {
      throw world.failure(error)
    } finally {
      world.close()
    }
  })
}

const silent = () => {}
const SMALL = { peers: 80, lookups: 100 }

bar(
  'half of 80 peers die at once: lookups stay exact, owners know one another again, the dead are forgotten',
  (world) => killed(world, SMALL, { share: 0.5, exact: 0.99, p95MaxMs: 4_000 }, silent),
)
bar('peers live 10 minutes on average: lookups stay exact', (world) =>
  churn(world, { peers: 60, lookups: 100 }, { meanLifeMs: 600_000, forMs: 120_000, samples: 1 }, silent),
)
bar('a fifth of 120 peers invent others: lookups of the rest stay exact', (world) =>
  liars(world, { peers: 120, lookups: 40 }, 'fakes', silent),
)
bar('halves that forgot each other unite after healing', (world) => split(world, { peers: 30, lookups: 50 }, silent))

bars.run()
