import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Announcement, BoardNews } from '../../overlay/index.js'
import type { Digest, JobId, PublicKey } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import type { Address } from '../../runtime/transport.js'
import { measureLookups, ownersInView } from './overlay/figures.js'
import { buildGrid, OverlayGrid, QUIET_UPKEEP } from './overlay/overlay-grid.js'
import { overlayScenario } from './scenarios/overlay.js'
import { linkProfiles } from './world/link.js'
import { World } from './world/world.js'

const overlay = suite('overlay in simulation')

overlay('a healthy network of 200 finds the true 3 closest every time, within 18 requests and 0.7 s', async () => {
  const world = new World(1, { scenario: 'overlay-200' })
  try {
    const grid = new OverlayGrid(world, { delayMs: [10, 90], options: QUIET_UPKEEP })
    await buildGrid(grid, 200)
    assert.ok(grid.overlays.every((peer) => peer.eligible))
    const figures = await measureLookups(grid, { count: 200 })
    console.log(`  ${JSON.stringify(figures)}, ${world.scheduler.eventCount} events`)
    assert.is(figures.exact, 200)
    assert.ok(figures.rpcsMean <= 18, `${figures.rpcsMean} requests a lookup`)
    assert.ok(figures.p95Ms <= 700, `p95 ${figures.p95Ms} ms`)
    assert.is(ownersInView(grid, 3, 200), 1)
  } finally {
    world.close()
  }
})

for (const seed of [1, 2]) {
  overlay(`50 peers that die, leave and return agree on the true owners (seed ${seed})`, async () => {
    const world = new World(seed, { ...overlayScenario.options, scenario: overlayScenario.name })
    try {
      await overlayScenario.run(world)
    } catch (error) {
      throw world.failure(error)
    } finally {
      world.close()
    }
  })
}

overlay('two halves of a network that was split for ten minutes find together again', async () => {
  const world = new World(4, { scenario: 'overlay-split' })
  try {
    const grid = new OverlayGrid(world)
    const hosts = await buildGrid(grid, 24)
    const half = hosts.slice(0, 12)
    const split = world.network.partition(half)
    await world.run(world.nowMs + 600_000)
    const strangers = new Set(hosts.slice(12).map((host) => host.caller.nodeId))
    for (const host of half) {
      assert.not.ok(
        grid
          .overlay(host)
          .contacts()
          .some(({ nodeId }) => strangers.has(nodeId)),
        'the other half is forgotten',
      )
    }
    split.heal()
    const whole = () => grid.overlays.every((peer) => peer.contacts().length === hosts.length - 1)
    await world.run(whole, 900_000)
    assert.is(ownersInView(grid, 3, 50), 1)
  } finally {
    world.close()
  }
})

overlay('who joins the public network at a private address is told so', async () => {
  const world = new World(6, { scenario: 'overlay-private', profile: linkProfiles.lan })
  try {
    const grid = new OverlayGrid(world, { options: { privateAddresses: false } })
    const boot = world.addHost('boot', { address: '10.0.0.1:4747' as Address })
    grid.start(boot, [])
    const leaf = grid.add('leaf', [boot], { leaf: true })
    await world.run(world.nowMs + 10)
    const failed = grid.overlay(leaf).whenJoined(5_000)
    await grid.wait(
      failed.then(
        () => assert.unreachable(),
        ({ code, message, hint }) => {
          assert.is(code, 'invalid')
          assert.match(`${message}: ${hint}`, /private addresses.*--network NAME/)
        },
      ),
    )
    assert.match(grid.overlay(leaf).joinProblem?.message ?? '', /private addresses/)
    assert.is(grid.overlay(boot).joinProblem, undefined)
  } finally {
    world.close()
  }
})

overlay('workers and peers started before the boot peer join within about a second of its appearance', async () => {
  const world = new World(5, { scenario: 'overlay-early', profile: linkProfiles.lan })
  try {
    const grid = new OverlayGrid(world, { options: { seedRetryMaxMs: 1_000 } })
    const boot = world.addHost('boot')
    const early = [grid.add('early-peer', [boot]), grid.add('early-leaf', [boot], { leaf: true })]
    await world.run(world.nowMs + 60_000)
    assert.ok(early.every((host) => !grid.overlay(host).joined))
    const failed = grid.overlay(early[1]!).whenJoined(1_000)
    await grid.wait(
      failed.then(
        () => assert.unreachable(),
        (error) => assert.is(error.code, 'unreachable'),
      ),
    )
    grid.start(boot, [])
    const startedMs = world.nowMs
    await world.run(() => early.every((host) => grid.overlay(host).joined), 10_000)
    assert.ok(world.nowMs - startedMs <= 1_500, `joined after ${world.nowMs - startedMs} ms`)
  } finally {
    world.close()
  }
})

overlay(
  'a record is found by everyone, follows its newest version, and is refused where it breaks the rules',
  async () => {
    const world = new World(6, { scenario: 'overlay-records' })
    try {
      const kind = {
        name: 'note',
        lifetimeMaxMs: 3_600_000,
        valid: (record: { value: Uint8Array }) => record.value[0] === 7,
      }
      const grid = new OverlayGrid(world, { recordKinds: [kind] })
      const hosts = await buildGrid(grid, 16)
      const key = grid.randomKey()
      const writer = grid.overlay(hosts[3]!)
      const put = (value: number) =>
        grid.wait(writer.putRecord({ kind: 'note', key, value: Uint8Array.of(7, value), lifetimeMs: 600_000 }))
      assert.is(await put(1), 5)
      assert.is(await put(2), 5)
      const found = await grid.wait(grid.overlay(hosts[9]!).getRecord(key, 'note'))
      assert.equal(
        found.map((record) => [...record.value]),
        [[7, 2]],
      )
      const broken = { kind: 'note', key: grid.randomKey(), value: Uint8Array.of(8), lifetimeMs: 600_000 }
      assert.is(await grid.wait(writer.putRecord(broken)), 0)
      // The holders go; the writer stores it anew at the peers that are closest now.
      for (const host of hosts.filter(
        (host) => host !== hosts[3] && grid.closest(key, 5).includes(host.caller.nodeId),
      )) {
        grid.crash(host, 'powerLoss')
      }
      await world.run(world.nowMs + 300_000)
      const again = await grid.wait(
        grid.overlay(hosts.find((host) => host.running && host !== hosts[3])!).getRecord(key, 'note'),
      )
      assert.equal(
        again.map((record) => [...record.value]),
        [[7, 2]],
      )
    } finally {
      world.close()
    }
  },
)

overlay('an idle worker hears of a new job within a second and of its end, also after its holder died', async () => {
  const world = new World(7, { scenario: 'overlay-board', profile: linkProfiles.lan })
  try {
    const grid = new OverlayGrid(world)
    const hosts = await buildGrid(grid, 8)
    const leaf = grid.add('worker', [hosts[0]!], { leaf: true })
    const news: BoardNews[] = []
    await world.run(() => grid.overlay(leaf)?.joined === true, 10_000)
    const stop = grid.overlay(leaf).watchBoard((entry) => void news.push(entry))
    await world.run(world.nowMs + 3_000)
    const jobs = Array.from({ length: 16 }, (_, i) => jobOf(i.toString(16)))
    const owner = grid.overlay(hosts[5]!)
    for (const jobId of jobs) owner.announce(announcementOf(jobId))
    const startedMs = world.nowMs
    await world.run(() => heardOf(news, 'posted') === 16, 5_000)
    assert.ok(world.nowMs - startedMs <= 1_000, `heard after ${world.nowMs - startedMs} ms`)
    const posted = news[0]!
    assert.ok(posted.type === 'posted' && posted.entry.owner.nodeId === hosts[5]!.caller.nodeId)

    for (const host of hosts.slice(0, 3)) grid.crash(host, 'killed')
    await world.run(world.nowMs + 70_000)
    news.length = 0
    for (const jobId of jobs) owner.withdraw(jobId)
    await world.run(() => heardOf(news, 'withdrawn') === 16, 5_000)
    stop()
    news.length = 0
    owner.announce(announcementOf(jobOf('a')))
    await world.run(world.nowMs + 5_000)
    assert.is(news.length, 0)
  } finally {
    world.close()
  }
})

function jobOf(digit: string): JobId {
  return (digit + sha256(utf8(digit)).slice(1)) as Digest as string as JobId
}

function announcementOf(jobId: JobId): Announcement {
  return { jobId, submitter: 'ab'.repeat(32) as PublicKey, ready: 3, expiresInMs: 60_000, header: utf8('header') }
}

/** Different jobs there was news of this type of. */
function heardOf(news: readonly BoardNews[], type: BoardNews['type']): number {
  return new Set(
    news
      .filter((item) => item.type === type)
      .map((item) => (item.type === 'posted' ? item.entry.announcement.jobId : item.jobId)),
  ).size
}

overlay.run()
