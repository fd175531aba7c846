import { measureLookups, ownersInView } from '../overlay/figures.js'
import { buildGrid, OverlayGrid } from '../overlay/overlay-grid.js'
import type { Scenario } from '../scenario.js'
import type { Host } from '../world/host.js'

const PEERS = 50

/** Fifty peers of which some are killed, lose power, leave, come back; leaves beside them. */
export const overlayScenario: Scenario = {
  name: 'overlay',
  promise: 'peers that join, leave and die are found or forgotten: lookups name the true owners, and owners agree',
  mustHappen: ['killed', 'powerLost', 'left', 'rejoined', 'leafLookups'],
  async run(world) {
    const grid = new OverlayGrid(world)
    const hosts = await buildGrid(grid, PEERS)
    const leaf = grid.add('leaf', [hosts[0]!], { leaf: true })
    await world.run(() => grid.overlay(leaf)?.joined === true, 10_000)
    const gone: Host[] = []
    for (const host of hosts) {
      const fate = world.random.int(6)
      if (fate === 0) {
        await grid.wait(grid.overlay(host).close())
        grid.crash(host, 'killed')
        world.count('left')
      } else if (fate < 3) {
        grid.crash(host, fate === 1 ? 'killed' : 'powerLoss')
        world.count(fate === 1 ? 'killed' : 'powerLost')
      }
      if (!host.running) gone.push(host)
    }
    await world.run(world.nowMs + 60_000)
    await expectTrueOwners(grid, 'after the deaths')
    for (const host of gone) {
      grid.startAgain(host)
      world.count('rejoined')
      await world.run(world.nowMs + 500)
    }
    await world.run(world.nowMs + 60_000)
    await expectTrueOwners(grid, 'after the return')
    for (let i = 0; i < 10; i++) {
      const key = grid.randomKey()
      const found = await grid.wait(grid.overlay(leaf).owners(key, 3))
      world.check(
        found.map((contact) => contact.nodeId).join() === grid.closest(key, 3).join(),
        'a leaf finds other owners',
      )
      world.count('leafLookups')
    }
    world.check(
      grid.overlays.every((overlay) => overlay.contacts().every(({ nodeId }) => nodeId !== leaf.caller.nodeId)),
      'a leaf stands in a table',
    )
  },
}

async function expectTrueOwners(grid: OverlayGrid, when: string): Promise<void> {
  const { world } = grid
  const figures = await measureLookups(grid, { count: 30 })
  world.check(
    figures.exact === figures.lookups,
    `${when}: ${figures.exact} of ${figures.lookups} lookups found the true owners`,
  )
  const seen = ownersInView(grid, 3, 50)
  world.check(seen === 1, `${when}: ${(100 * seen).toFixed(1)} % of the owners see the true owners`)
}
