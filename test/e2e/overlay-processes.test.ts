import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compareDistance } from '../../overlay/core/node-id.js'
import type { Key, NodeId } from '../../proto/model.js'
import type { Random } from '../../runtime/random.js'
import type { LookupAnswer, StartedPeer } from '../support/overlay-process.js'
import { type TestProcess, TestProcesses } from '../support/processes.js'
import { seededRandom } from '../support/seeded-random.js'

const PROCESSES = 10
const PEERS_PER_PROCESS = 5
/** Processes that join at a time. */
const WAVE = 2
const KEYS = 60
const OWNERS = 3
/** Bounds: generous for a machine that does other things besides. */
const JOIN_MS = 150_000
const SETTLE_MS = 60_000
const REPAIR_MS = 60_000

const processes = new TestProcesses()
const test = suite('50 peers over gRPC in 10 processes')
test.after(() => processes.close())

const NOBODY: LookupAnswer = { owners: [], ms: Number.POSITIVE_INFINITY }

interface Group {
  readonly process: TestProcess
  peers: readonly StartedPeer[]
}

function trueOwners(key: Key, nodes: readonly NodeId[]): NodeId[] {
  return [...nodes].sort((a, b) => compareDistance(key, a, b)).slice(0, OWNERS)
}

function randomKeys(random: Random): Key[] {
  return Array.from({ length: KEYS }, () => Buffer.from(random.bytes(20)).toString('hex') as Key)
}

/** Looks every key up from a peer drawn at random. Returns what was found wrong, and the time of each lookup. */
async function lookUp(groups: readonly Group[], keys: readonly Key[], random: Random) {
  const nodes = groups.flatMap(({ peers }) => peers.map(({ nodeId }) => nodeId))
  const wrong: string[] = []
  const times: number[] = []
  const queue = keys.values()
  const lane = async () => {
    for (const key of queue) {
      const group = groups[random.int(groups.length)]!
      const asked = { peer: random.int(PEERS_PER_PROCESS), key }
      // On a busy machine a lookup may find nobody in time: it is wrong then, and looked up again in the next round.
      const { owners, ms } = await group.process.ask<LookupAnswer>('lookup', asked).catch(() => NOBODY)
      times.push(ms)
      const expected = trueOwners(key, nodes)
      if (owners.join() !== expected.join()) wrong.push(`${key}: ${owners.join(' ')}, not ${expected.join(' ')}`)
    }
  }
  await Promise.all(Array.from({ length: 4 }, lane))
  times.sort((a, b) => a - b)
  return { wrong, median: times[times.length >> 1]!, p95: times[Math.floor(times.length * 0.95)]! }
}

/** Looks up keys, new ones each round, until all of a round are right; tells of that round. Rejects after `ms`. */
async function untilRight(groups: readonly Group[], random: Random, ms: number) {
  const began = performance.now()
  for (let rounds = 1; ; rounds++) {
    const before = await requests(groups)
    const { wrong, median, p95 } = await lookUp(groups, randomKeys(random), random)
    if (wrong.length === 0) {
      const perLookup = ((await requests(groups)) - before) / KEYS
      return { ms: performance.now() - began, rounds, median, p95, perLookup }
    }
    if (performance.now() - began > ms) throw new Error(`${wrong.length} of ${KEYS} keys are wrong: ${wrong[0]}`)
  }
}

async function requests(groups: readonly Group[]): Promise<number> {
  const counts = await Promise.all(groups.map(({ process }) => process.ask<number>('requests')))
  return counts.reduce((sum, count) => sum + count, 0)
}

test('all join, every lookup finds the true owners, and again after a process was killed', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
  const random = seededRandom(seed)
  try {
    const groups: Group[] = Array.from({ length: PROCESSES }, (_, index) => ({
      process: processes.start(`peers ${index}`, './overlay-process.js', [processes.folder]),
      peers: [],
    }))
    const names = (group: number) => Array.from({ length: PEERS_PER_PROCESS }, (_, index) => `peer-${group}-${index}`)

    const began = performance.now()
    groups[0]!.peers = await groups[0]!.process.ask<StartedPeer[]>('start', { names: names(0).slice(0, 1), seeds: [] })
    const boot = groups[0]!.peers[0]!
    // In waves: 50 peers that shake hands with all others at once would measure the machine, not the overlay.
    for (let from = 0; from < PROCESSES; from += WAVE) {
      await Promise.all(
        groups.slice(from, from + WAVE).map(async (group, place) => {
          const index = from + place
          const started = await group.process.ask<StartedPeer[]>('start', {
            names: index === 0 ? names(0).slice(1) : names(index),
            seeds: [boot.address],
          })
          group.peers = [...group.peers, ...started]
          await group.process.ask('joined', JOIN_MS, JOIN_MS + 5_000)
        }),
      )
    }
    const joinMs = performance.now() - began
    assert.is(new Set(groups.flatMap(({ peers }) => peers.map(({ nodeId }) => nodeId))).size, 50)

    // Contacts that were met before they were eligible are met again within a round of upkeep.
    const settled = await untilRight(groups, random, SETTLE_MS)

    const victim = groups[1 + random.int(PROCESSES - 1)]!
    await victim.process.kill('SIGKILL')
    const left = groups.filter((group) => group !== victim)
    const repaired = await untilRight(left, random, REPAIR_MS)
    console.log(
      `joined in ${joinMs.toFixed(0)} ms, all views right after ${settled.ms.toFixed(0)} ms more; lookup: median ` +
        `${settled.median.toFixed(0)} ms, p95 ${settled.p95.toFixed(0)} ms, ${settled.perLookup.toFixed(1)} FindNode (upkeep included); ` +
        `right again ${repaired.ms.toFixed(0)} ms after kill -9 of 5 peers (${repaired.rounds} rounds of ${KEYS} keys)`,
    )
  } catch (error) {
    console.log(`seed ${seed}\n${processes.logs()}`)
    throw error
  }
})

test.run()
