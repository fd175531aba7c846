import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { echo, runEcho } from '../../simulation/echo.js'
import { World } from '../../simulation/world/world.js'
import { rejects } from '../../support/rejects.js'

const test = suite('Host')

test('each start has a boot number and randomness of its own, and timers of earlier ones are gone', async () => {
  const world = new World(1)
  const host = world.addHost('a')
  const seen: string[] = []
  const drawn = new Set<number>()
  host.start(({ boot, clock, random }) => {
    drawn.add(random.next())
    const tick = () => {
      seen.push(`${boot}`)
      clock.setTimer(10, tick)
    }
    clock.setTimer(10, tick)
  })
  await world.run(25)
  host.crash('killed')
  assert.not.ok(host.running)
  await world.run(100)
  host.restart()
  await world.run(125)
  assert.equal(seen, ['1', '1', '2', '2'])
  assert.is(drawn.size, 2)
})

test('clocks go on while the host is down', async () => {
  const world = new World(1)
  const host = world.addHost('a', { clock: { skewMs: -1_000, originMs: 500 } })
  const seen: number[] = []
  host.start(({ clock }) => void seen.push(clock.now()))
  await world.run(1_000)
  host.crash('powerLoss')
  await world.run(5_000)
  host.restart()
  await world.run(5_001)
  assert.equal(seen, [500, 5_500])
  assert.is(host.clock.wallErrorMs, -1_000)
})

test('a host runs one process, and two hosts cannot share a name or an address', () => {
  const world = new World(1)
  const host = world.addHost('a')
  assert.throws(() => host.restart(), /never ran/)
  host.start(() => {})
  assert.throws(() => host.start(() => {}), /already runs/)
  assert.throws(() => world.addHost('a'), /two hosts/)
  assert.throws(() => world.addHost('b', { address: 'a:4000' }), /two hosts/)
})

test('adding a host changes neither key nor randomness of the others', async () => {
  const drawn = async (names: readonly string[]) => {
    const world = new World(9)
    const numbers: number[] = []
    for (const name of names)
      world.addHost(name).start(({ random }) => void (name === 'a' && numbers.push(random.next())))
    await world.run(10)
    return [world.hosts.find((host) => host.name === 'a')!.caller.nodeId, ...numbers]
  }
  assert.equal(await drawn(['a']), await drawn(['newcomer', 'a']))
})

test('a failed log or program is shown with what happened last', async () => {
  const world = new World(1)
  world.addHost('a').start(({ logger }) => {
    logger.child('worker').warn('streamLost', { peer: 'b' })
    throw new Error('then this')
  })
  const failure = (await rejects(world.run(10))) as Error
  assert.match(failure.message, /warn worker streamLost peer=b/)
})

test.run()

const scenario = suite('echo scenario')

const runSeed = async (seed: number) => {
  const world = new World(seed, { scenario: 'echo' })
  await echo.run(world)
  world.close()
  return world
}

scenario('holds in many seeds, in which every fault happens', async () => {
  const seen = new Map<string, number>()
  for (let seed = 1; seed <= 20; seed++) {
    for (const [name, count] of Object.entries((await runSeed(seed)).counters()))
      seen.set(name, (seen.get(name) ?? 0) + count)
  }
  for (const name of echo.mustHappen ?? []) assert.ok((seen.get(name) ?? 0) > 0, `${name} never happened`)
})

scenario('the same seed gives the same trace, another seed another', async () => {
  const [first, second, other] = [await runSeed(5), await runSeed(5), await runSeed(6)]
  assert.is(first.trace.hash, second.trace.hash)
  assert.is(first.scheduler.eventCount, second.scheduler.eventCount)
  assert.equal(first.counters(), second.counters())
  assert.is.not(first.trace.hash, other.trace.hash)
})

scenario('bugs planted in the servers are found', async () => {
  for (const bug of ['acknowledgesBeforeSync', 'forgetsTornEntry'] as const) {
    let found: unknown
    for (let seed = 1; seed <= 200 && found === undefined; seed++) {
      const world = new World(seed, { scenario: 'echo' })
      found = await runEcho(world, bug).then(
        () => undefined,
        (error: unknown) => error,
      )
      world.close()
    }
    assert.match(String(found), /acknowledged \d+ and lost it/, bug)
  }
})

scenario.run()
