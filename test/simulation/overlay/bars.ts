import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { OverlayOptions } from '../../../overlay/index.js'
import type { Millis } from '../../../runtime/clock.js'
import type { World } from '../world/world.js'
import { type LookupFigures, measureLookups, ownersInView, upkeepRate } from './figures.js'
import { type Lie, turnIntoLiars } from './liars.js'
import { buildGrid, OverlayGrid, QUIET_UPKEEP } from './overlay-grid.js'

/*
 * What the overlay is held to, each as a run of the real cores and drivers that fails when a bar is missed. Round trips
 * are 20 to 180 ms; owners are the 3 closest. `docs/benchmarks.md` has the figures.
 */

/** One-way delay. Unit: ms. */
const DELAY_MS: readonly [Millis, Millis] = [10, 90]

interface Size {
  readonly peers: number
  readonly lookups: number
}

/** Prints one line of figures. */
export type Report = (what: string, figures: object) => void

/** Nobody dies: every lookup is exact, within `rpcsMax` requests on average and `p95MaxMs`. */
export async function healthy(
  world: World,
  { peers, lookups }: Size,
  { rpcsMax, p95MaxMs }: { readonly rpcsMax: number; readonly p95MaxMs: Millis },
  report: Report,
): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS, options: QUIET_UPKEEP })
  const bare = heapBytes()
  await buildGrid(grid, peers, peers > 2_000 ? 10 : 40)
  const bytesPerPeer = Math.round((heapBytes() - bare) / peers)
  const callsPerJoin = Math.round(world.network.counters.calls / peers)
  // However rare, the rounds of ten thousand peers add up: here to a third of all calls.
  const upkeepCallsPerS = peers * (await upkeepRate(grid, 20_000))
  const cpu = process.cpuUsage()
  const figures = await measureLookups(grid, { count: lookups, upkeepCallsPerS })
  const { user, system } = process.cpuUsage(cpu)
  const cpuMsPerLookup = Math.round((user + system) / 10 / lookups) / 100
  const view = ownersInView(grid, 3, Math.min(lookups, 300))
  report('healthy', {
    peers,
    ...figures,
    upkeepCallsPerS: Math.round(upkeepCallsPerS),
    ownersInView: view,
    callsPerJoin,
    bytesPerPeer,
    cpuMsPerLookup,
  })
  world.check(figures.exact === lookups, `${lookups - figures.exact} of ${lookups} lookups were not exact`)
  world.check(view === 1, `${percent(view)} of the owners see the true owners`)
  atMost('requests a lookup', figures.rpcsMean, rpcsMax)
  atMost('p95 of a lookup, ms', figures.p95Ms, p95MaxMs)
}

/** Nothing but upkeep: at most 2.5 requests a second and peer. */
export async function upkeep(world: World, { peers }: Size, report: Report): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS })
  await buildGrid(grid, peers)
  await world.run(world.nowMs + 60_000)
  const rate = await upkeepRate(grid, 60_000)
  report('upkeep', { peers, callsPerSecond: Math.round(100 * rate) / 100 })
  atMost('upkeep, requests a second', rate, 2.5)
}

interface KillBars {
  /** Of the peers, 0 to 1; all at once and without a word. */
  readonly share: number
  /** Least share of exact lookups. */
  readonly exact: number
  /** p95 of lookups right after. Unit: ms. */
  readonly p95MaxMs: Millis
}

/** A share of the peers dies at once; lookups go on, and owners know one another again within 20 to 60 s. */
export async function killed(
  world: World,
  { peers, lookups }: Size,
  { share, exact, p95MaxMs }: KillBars,
  report: Report,
): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS })
  const hosts = await buildGrid(grid, peers)
  await world.run(world.nowMs + 60_000)
  for (const host of sample(world, hosts, Math.round(share * peers))) grid.crash(host, 'powerLoss')
  const killedAtMs = world.nowMs
  const look = async (): Promise<LookupFigures> => {
    const afterS = Math.round((world.nowMs - killedAtMs) / 1000)
    const deadShare = round(grid.deadShare())
    const figures = await measureLookups(grid, { count: lookups, gapMs: 2_000 / lookups })
    report(`${percent(share)} killed, ${afterS} s after`, { ...figures, deadShare })
    atLeast(`exact lookups ${afterS} s after`, figures.exact / figures.lookups, exact)
    world.check(figures.empty === 0, `${figures.empty} lookups found nobody`)
    return figures
  }
  const view = async (afterMs: Millis, least: number) => {
    await world.run(killedAtMs + afterMs)
    const seen = ownersInView(grid, 3, lookups)
    report(`${percent(share)} killed, ${afterMs / 1000} s after`, { ownersInView: round(seen) })
    atLeast(`owners who see the true owners ${afterMs / 1000} s after`, seen, least)
  }
  atMost('p95 right after, ms', (await look()).p95Ms, p95MaxMs)
  await view(20_000, 0.99)
  await look()
  await view(60_000, 0.999)
  await world.run(killedAtMs + 120_000)
  atMost('dead contacts 120 s after', grid.deadShare(), 0.02)
  await world.run(killedAtMs + 180_000)
  atMost('p95 180 s after, ms', (await look()).p95Ms, 700)
  await world.run(killedAtMs + 240_000)
  atMost('dead contacts 240 s after', grid.deadShare(), 0)
}

/** Every peer dies after a random life, of `meanLifeMs` on average, and is replaced by a new one. */
export async function churn(
  world: World,
  { peers, lookups }: Size,
  { meanLifeMs, forMs, samples }: { readonly meanLifeMs: Millis; readonly forMs: Millis; readonly samples: number },
  report: Report,
): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS })
  const alive = await buildGrid(grid, peers)
  await world.run(world.nowMs + 60_000)
  const random = world.random.split('churn')
  let replaced = 0
  const dieLater = () => {
    const inMs = random.exponential(meanLifeMs / peers)
    world.scheduler.at(world.nowMs + inMs, 'churn', () => {
      const at = random.int(alive.length)
      grid.crash(alive[at]!, 'powerLoss')
      alive[at] = alive.at(-1)!
      alive.pop()
      const seeds = [0, 1, 2].flatMap(() => random.pick(alive) ?? [])
      alive.push(grid.add(`late-${replaced++}`, [...new Set(seeds)]))
      dieLater()
    })
  }
  dieLater()
  for (let i = 1; i <= samples; i++) {
    await world.run(world.nowMs + forMs / samples)
    const figures = await measureLookups(grid, { count: lookups })
    const deadShare = round(grid.deadShare())
    const view = round(ownersInView(grid, 3, lookups))
    report(`churn, sample ${i}`, { ...figures, replaced, deadShare, ownersInView: view })
    atLeast('exact lookups', figures.exact / figures.lookups, 0.995)
    atMost('dead contacts', deadShare, 0.08)
    atLeast('owners who see the true owners', view, 0.92)
  }
}

/** A fifth of the peers lie about whom they know; the others ask. */
export async function liars(world: World, { peers, lookups }: Size, lie: Lie, report: Report): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS, options: QUIET_UPKEEP })
  const hosts = await buildGrid(grid, peers)
  const lying = new Set(sample(world, hosts, Math.round(0.2 * peers)))
  turnIntoLiars(grid, [...lying], lie)
  const askers = hosts.filter((host) => !lying.has(host)).map((host) => grid.overlay(host))
  const figures = await measureLookups(grid, { count: lookups, careful: lie === 'collusion', askers, gapMs: 200 })
  report(`20 % liars: ${lie}`, { peers, ...figures })
  atLeast('exact lookups', figures.exact / figures.lookups, 0.99)
  atMost('p95, ms', figures.p95Ms, 10_000)
  atMost('requests a lookup', figures.rpcsMean, 100)
}

/** Two halves apart for longer than it takes to forget one another, then healed. */
export async function split(
  world: World,
  { peers, lookups }: Size,
  report: Report,
  options: Partial<OverlayOptions> = {},
): Promise<void> {
  const grid = new OverlayGrid(world, { delayMs: DELAY_MS, options })
  const hosts = await buildGrid(grid, peers)
  const half = sample(world, hosts, Math.floor(peers / 2))
  const strangers = new Set(half.map((host) => host.caller.nodeId))
  const others = hosts.filter((host) => !half.includes(host)).map((host) => grid.overlay(host))
  const known = () =>
    others.reduce((sum, overlay) => sum + overlay.contacts().filter(({ nodeId }) => strangers.has(nodeId)).length, 0)
  const cut = world.network.partition(half)
  const cutAtMs = world.nowMs
  while (known() > 0) {
    world.check(world.nowMs - cutAtMs < 1_200_000, 'the halves have not forgotten each other in 20 minutes')
    await world.run(world.nowMs + 10_000)
  }
  const forgottenMs = world.nowMs - cutAtMs
  cut.heal()
  const healedAtMs = world.nowMs
  while (known() === 0) {
    world.check(world.nowMs - healedAtMs < 600_000, 'no contact within 10 minutes of healing')
    await world.run(world.nowMs + 1_000)
  }
  const contactMs = world.nowMs - healedAtMs
  let view = ownersInView(grid, 3, lookups)
  while (view < 1) {
    world.check(
      world.nowMs - healedAtMs - contactMs < 120_000,
      `${percent(view)} see the true owners 120 s after contact`,
    )
    await world.run(world.nowMs + 1_000)
    view = ownersInView(grid, 3, lookups)
  }
  const unitedMs = world.nowMs - healedAtMs - contactMs
  report('split', { peers, forgottenMs, contactMs, unitedMs })
}

/** Bytes in use after a full collection of garbage. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** `count` of `items`, none twice. */
function sample<T>(world: World, items: readonly T[], count: number): T[] {
  const rest = [...items]
  return Array.from({ length: count }, () => rest.splice(world.random.int(rest.length), 1)[0]!)
}

function atMost(what: string, value: number, limit: number): void {
  if (!(value <= limit)) throw new Error(`${what}: ${value}, at most ${limit} allowed`)
}

function atLeast(what: string, value: number, limit: number): void {
  if (!(value >= limit)) throw new Error(`${what}: ${value}, at least ${limit} needed`)
}

function round(share: number): number {
  return Math.round(10_000 * share) / 10_000
}

function percent(share: number): string {
  return `${Math.round(1000 * share) / 10} %`
}
