import { churn, healthy, killed, liars, type Report, split, upkeep } from '../overlay/bars.js'
import type { Scenario } from '../scenario.js'
import type { World } from '../world/world.js'

const report: Report = (what, figures) => console.log(`      ${what}: ${JSON.stringify(figures)}`)

const THOUSAND = { peers: 1_000, lookups: 1_000 }

function bar(name: string, promise: string, run: (world: World) => Promise<void>): Scenario {
  return { name: `bars-${name}`, promise, onRequest: true, run }
}

/**
 * The overlay at the size of real networks. Minutes each, so they run when named: `npm run sim -- --scenario bars --seed 1`
 * for all of them. `test/simulation/overlay-bars.test.ts` runs small ones.
 */
export const overlayBars: readonly Scenario[] = [
  bar('healthy', 'with 1,000 peers every lookup is exact, in 18 requests and 0.7 s', (world) =>
    healthy(world, THOUSAND, { rpcsMax: 18, p95MaxMs: 700 }, report),
  ),
  bar('10000', 'with 10,000 peers every lookup is exact, in 25 requests and 1 s', (world) =>
    healthy(world, { peers: 10_000, lookups: 1_000 }, { rpcsMax: 25, p95MaxMs: 1_000 }, report),
  ),
  bar('upkeep', 'an idle peer sends at most 2.5 requests a second', (world) => upkeep(world, THOUSAND, report)),
  bar('kill-30', 'after 30 % of 1,000 peers died at once, 99.9 % of lookups are exact', (world) =>
    killed(world, { ...THOUSAND, lookups: 500 }, { share: 0.3, exact: 0.999, p95MaxMs: 3_000 }, report),
  ),
  bar('kill-50', 'after 50 % of 1,000 peers died at once, 99.5 % of lookups are exact', (world) =>
    killed(world, { ...THOUSAND, lookups: 500 }, { share: 0.5, exact: 0.995, p95MaxMs: 4_000 }, report),
  ),
  bar('churn', 'with a mean life of 10 minutes 99.5 % of lookups are exact, over two lives', (world) =>
    churn(world, { peers: 500, lookups: 400 }, { meanLifeMs: 600_000, forMs: 1_200_000, samples: 4 }, report),
  ),
  bar('split', 'halves that forgot each other know the true owners 120 s after they meet again', (world) =>
    split(world, { peers: 200, lookups: 200 }, report),
  ),
  bar('fakes', 'with 20 % that name invented peers 99 % of lookups are exact', (world) =>
    liars(world, { ...THOUSAND, lookups: 300 }, 'fakes', report),
  ),
  bar('collusion', 'with 20 % that name only each other 99 % of careful lookups are exact', (world) =>
    liars(world, { ...THOUSAND, lookups: 300 }, 'collusion', report),
  ),
]
