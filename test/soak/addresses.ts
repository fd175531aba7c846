import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as assert from 'uvu/assert'
import { DEFAULT_COORDINATOR_OPTIONS } from '../../coordinator/index.js'
import { GrpcTransport } from '../../overlay/channel/grpc-transport.js'
import { healthCheck } from '../../overlay/channel/health.js'
import { DEFAULT_LISTENER_LIMITS } from '../../overlay/channel/listener.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { resolveOptions } from '../../overlay/options.js'
import { SelfContact } from '../../overlay/routing/self-contact.js'
import { announceMethod, dialBackMethod, watchBoardMethod } from '../../proto/codec/overlay.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { systemClock } from '../../runtime/clock.js'
import { type GridError, toGridError } from '../../runtime/errors.js'
import { packageRoot } from '../../runtime/package-root.js'
import { systemRandom } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { deadline, eventually } from '../support/deadline.js'
import { Attack, times } from '../support/hostile/attack.js'
import { signSpec, specOf } from '../support/hostile/lies.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { seededRandom } from '../support/seeded-random.js'
import { CrowdNetwork, type Way } from '../support/transport/crowd-network.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'
import { spreadOverNetworks, votersOfOneNetwork } from './networks.js'
import { type Soak, say } from './soak.js'

const PORT = 7_411
const WAIT_MS = 60_000
const CALL_MS = 20_000
/** Calls under way at a time. */
const LANES = 16
/** Streams of one connection: below what one may have. */
const STREAMS = 60

/** Where the strangers are: two hosts of one network, one each of two others, and three of IPv6, two in one /64. */
const FROM = {
  a: '203.0.113.1',
  a2: '203.0.113.2',
  b: '198.51.100.1',
  c: '192.0.2.1',
  v6: '2001:db8:1::1',
  v6near: '2001:db8:1::2',
  v6far: '2001:db8:1:1::1',
} as const
type Place = keyof typeof FROM

const page = readFileSync(join(packageRoot, 'docs/limits.md'), 'utf8')

/** Strangers at many addresses against the limits by address of one peer, each refusal with the status and words of docs/limits.md. */
export const addresses: Soak = {
  name: 'addresses',
  summary:
    'limits by address and network, against strangers at many addresses in a network namespace: a few minutes  [--rows A,B]',
  async run(args) {
    const { values } = parseArgs({ args: [...args], options: { rows: { type: 'string' } } })
    let network: CrowdNetwork
    try {
      network = new CrowdNetwork([...Object.values(FROM), ...spreadOverNetworks.hosts])
    } catch (error) {
      return { skipped: `no network namespace can be made here (${(error as Error).message})` }
    }
    const grid = new ProcessGrid()
    const stop = () => void grid.close().finally(() => process.exit(130))
    process.on('SIGINT', stop).on('SIGTERM', stop)
    try {
      const peer = await grid.peer([], PORT, { host: '::', under: network.under })
      await new Strangers(network, peer).try(values.rows?.split(','))
      const health = await peer.process.ask<{ unhandled: readonly string[]; errors: readonly string[] }>('health')
      assert.equal([...health.unhandled, ...health.errors], [], 'the peer logged no fault')
      return undefined
    } finally {
      await grid.close()
      network.remove()
      process.off('SIGINT', stop).off('SIGTERM', stop)
    }
  },
}

class Strangers {
  readonly #network: CrowdNetwork
  readonly #peer: GridMember
  readonly #open: GrpcTransport[] = []

  constructor(network: CrowdNetwork, peer: GridMember) {
    this.#network = network
    this.#peer = peer
  }

  /** Tries these, or all. Rejects when a limit does not hold, or refuses in other words than its page has. */
  async try(rows: readonly string[] | undefined): Promise<void> {
    const all: Readonly<Record<string, () => Promise<string>>> = {
      handshakes: () => this.#handshakes(),
      connections: () => this.#connections('a', 'a2', 'b'),
      'connections-v6': () => this.#connections('v6', 'v6near', 'v6far'),
      jobs: () => this.#jobs(),
      'dial-backs': () => this.#dialBacks(),
      announcements: () => this.#announcements('a2', 'a2', 'b'),
      'announcements-v6': () => this.#announcements('v6', 'v6near', 'v6far'),
      watchers: () => this.#watchers('c', 'c', 'b'),
      'watchers-v6': () => this.#watchers('v6', 'v6near', 'v6far'),
      voters: () => votersOfOneNetwork(this.#to('a'), this.#to('a2'), this.#to('b')),
      networks: () => spreadOverNetworks.run(this.#peer.endpoint),
    }
    for (const name of rows ?? Object.keys(all)) {
      const attempt = all[name]
      if (attempt === undefined) throw new Error(`--rows: no '${name}'; known: ${Object.keys(all).join(' ')}`)
      try {
        say(await attempt())
      } finally {
        await Promise.all(this.#open.splice(0).map((transport) => transport.close()))
      }
    }
  }

  #way(place: Place): Way {
    return this.#network.ways.find(({ from }) => from === FROM[place])!
  }

  /** The peer as it is dialled from a place. */
  #to(place: Place): Endpoint {
    const { to } = this.#way(place)
    return { ...this.#peer.endpoint, address: to.includes(':') ? `[${to}]:${PORT}` : `${to}:${PORT}` }
  }

  #leaf(): GrpcTransport {
    const transport = new GrpcTransport({ identity: createIdentity(), network: testNetwork })
    this.#open.push(transport)
    return transport
  }

  async #answers(place: Place): Promise<boolean> {
    const code = await this.#leaf()
      .call(this.#to(place), healthCheck, '', { deadlineMs: CALL_MS })
      .then(() => 'ok', codeOf)
    return code === 'ok'
  }

  /** TCP connections on which nothing is said: those that the peer did not reset at once. */
  async #silent(place: Place, count: number): Promise<Socket[]> {
    const { to } = this.#way(place)
    const sockets: Socket[] = []
    for (const _ of times(count)) {
      const socket = connect({ host: to, port: PORT })
      socket.on('error', () => {})
      await new Promise<void>((resolve) => socket.once('connect', resolve).once('close', () => resolve()))
      sockets.push(socket)
    }
    // What comes after a reset was seen by then: the peer has answered somebody since.
    await this.#answers('c')
    return sockets.filter((socket) => !socket.destroyed)
  }

  async #handshakes(): Promise<string> {
    const { handshakesPerAddressMax: each, handshakesMax: all, handshakeTimeoutMs } = DEFAULT_LISTENER_LIMITS
    const silent = await this.#silent('a', each + 8)
    assert.is(silent.length, each, 'handshakes under way of one address')
    assert.not(await this.#answers('a'), 'nobody else gets in from there')
    assert.ok(await this.#answers('a2'), 'its neighbour does')
    const began = performance.now()
    const gone = () => silent.every((socket) => socket.destroyed)
    await eventually(gone, handshakeTimeoutMs + WAIT_MS, 'handshakes that lead nowhere are ended')
    const endedMs = performance.now() - began
    assert.ok(await this.#answers('a'))
    const everywhere: Socket[] = []
    const hosts = this.#network.ways.filter(({ from }) => from !== FROM.c).map(({ from }) => from)
    for (const host of hosts.slice(0, Math.ceil(all / each) + 2)) {
      const { to } = this.#network.ways.find(({ from }) => from === host)!
      for (const _ of times(each)) everywhere.push(connect({ host: to, port: PORT }).on('error', () => {}))
    }
    await eventually(() => everywhere.every(({ connecting }) => !connecting), WAIT_MS, 'all have connected or not')
    const refused = () => everywhere.filter((socket) => socket.destroyed).length
    await eventually(() => refused() >= everywhere.length - all, WAIT_MS, 'handshakes in all')
    const left = everywhere.length - refused()
    for (const socket of everywhere) socket.destroy()
    assert.ok(left <= all)
    await eventually(() => this.#answers('b'), WAIT_MS, 'strangers get in again')
    return `handshakes: ${each} of one address, the others reset; over after ${(endedMs / 1_000).toFixed(1)} s more; ${left} in all`
  }

  /** `near` shares the limit of `from` where it is the same address or /64. */
  async #connections(from: Place, near: Place, far: Place): Promise<string> {
    const { connectionsPerAddressMax: most } = DEFAULT_LISTENER_LIMITS
    let open = 0
    for (; open < most; open++) if (!(await this.#answers(from))) break
    assert.is(open, most, `connections of ${from}`)
    const [again, atNear, atFar] = [await this.#answers(from), await this.#answers(near), await this.#answers(far)]
    assert.not(again, 'one more is reset')
    assert.is(atNear, !FROM[near].includes(':'), 'an IPv6 host shares the limit of its /64')
    assert.ok(atFar)
    return `connections: ${open} of ${FROM[from]}, one more is reset; ${FROM[near]} ${atNear ? 'gets in' : 'is reset'}, ${FROM[far]} gets in`
  }

  /** Tries until something is refused, `LANES` at a time; what was let through and how it was refused. */
  async #until(most: number, one: (index: number) => Promise<GridError | undefined>) {
    let passed = 0
    let refusal: GridError | undefined
    const indices = times(most)
    const lane = async () => {
      for (const index of indices) {
        if (refusal !== undefined) return
        const failure = await one(index)
        if (failure === undefined) passed++
        else refusal ??= failure
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    return { passed, refusal }
  }

  #attack(place: Place, strangers: number): Attack {
    const target = {
      endpoint: this.#to(place),
      jobId: '00'.repeat(32) as JobId,
      spec: { bytes: NONE, signature: NONE },
    }
    const attack = new Attack(target, seededRandom(Date.now()), { strangers })
    this.#open.push(...attack.strangers.map(({ transport }) => transport))
    return attack
  }

  async #jobs(): Promise<string> {
    const { jobsPerAddressMinuteMax: most } = DEFAULT_COORDINATOR_OPTIONS
    const submit = (attack: Attack) => async () => {
      const from = attack.any()
      const { signed: spec } = signSpec(from, specOf(attack, from))
      return attempt(() =>
        from.transport.call(attack.target.endpoint, methods.submit, { spec }, { deadlineMs: CALL_MS }),
      )
    }
    const { passed, refusal } = await this.#until(4 * most, submit(this.#attack('b', 3)))
    refusedAs(refusal, 'jobs a minute from one address')
    // A minute may have ended meanwhile, and counting begun anew.
    assert.ok(passed >= most && passed <= 2 * most, `${passed} jobs`)
    assert.is(await submit(this.#attack('c', 1))(), undefined, 'from elsewhere they are taken')
    return `jobs: ${passed} from one address, then: ${refusal!.message}`
  }

  async #dialBacks(): Promise<string> {
    const { dialBacksPerMinute: most } = resolveOptions('lan')
    const attack = this.#attack('c', 1)
    const from = attack.strangers[0]!
    const dial = () =>
      attempt(() =>
        from.transport.call(attack.target.endpoint, dialBackMethod, { caller: from.contact }, { deadlineMs: CALL_MS }),
      )
    const { passed, refusal } = await this.#until(4 * most, dial)
    refusedAs(refusal, 'dial-backs a minute to')
    assert.ok(passed >= most - 5 && passed <= 2 * most, `${passed} dial-backs`)
    return `dial-backs: ${passed}, then: ${refusal!.message}`
  }

  async #announcements(from: Place, near: Place, far: Place): Promise<string> {
    const { announcementsPerHostMax: most } = resolveOptions('lan')
    const submitters = Array.from({ length: 32 }, () => createIdentity().publicKey)
    const post = (place: Place) => {
      const transport = this.#leaf()
      const caller = new SelfContact(transport.identity, systemClock, ['192.0.2.1:9'], []).get(true)
      return (index: number) => {
        const announcement = {
          jobId: Buffer.from(systemRandom.bytes(32)).toString('hex') as JobId,
          submitter: submitters[index % submitters.length]!,
          ready: 1,
          expiresInMs: 60_000,
          header: new Uint8Array(20),
        }
        return attempt(() =>
          transport.call(this.#to(place), announceMethod, { caller, announcement }, { deadlineMs: CALL_MS }),
        )
      }
    }
    const [here, there] = [post(from), post(near)]
    const { passed, refusal } = await this.#until(2 * most, (index) => (index % 2 === 0 ? here : there)(index))
    refusedAs(refusal, 'announcement refused: ', 'hostQuota')
    assert.is(passed, most)
    assert.is(await post(far)(0), undefined, 'from elsewhere they are taken')
    return `announcements: ${passed} from ${FROM[from]} and ${FROM[near]}, then: ${refusal!.message}`
  }

  async #watchers(from: Place, near: Place, far: Place): Promise<string> {
    const { watchersPerHostMax: most } = resolveOptions('lan')
    const watch = (place: Place, transport: GrpcTransport) =>
      new Promise<GridError | undefined>((resolve) => {
        const stream = transport.open(this.#to(place), watchBoardMethod)
        stream.onMessage(() => {})
        stream.onClose((reason) => resolve(reason === undefined ? undefined : toGridError(reason)))
        stream.send({ boards: 1 << (watched++ % 16) })
      })
    let watched = 0
    const first = Math.floor(most / 2)
    const closed: Promise<GridError | undefined>[] = []
    const open = async (place: Place, count: number) => {
      for (let left = count; left > 0; left -= STREAMS) {
        const transport = this.#leaf()
        // One after the other: handshakes have a limit of their own.
        await transport.call(this.#to(place), healthCheck, '', { deadlineMs: CALL_MS })
        for (const _ of times(Math.min(STREAMS, left))) closed.push(watch(place, transport))
      }
    }
    await open(from, first)
    await open(near, most - first)
    // One more than may be, whichever of them comes last.
    const last = watch(from, this.#leaf())
    const refusal = await deadline(Promise.race([last, ...closed]), WAIT_MS, 'one watcher is refused')
    refusedAs(refusal, 'too many watchers of the board')
    const elsewhere = await Promise.race([watch(far, this.#leaf()), this.#answers(far).then(() => 'watches')])
    assert.is(elsewhere, 'watches', 'from elsewhere one may')
    return `watchers: ${most} from ${FROM[from]} and ${FROM[near]}, then: ${refusal!.message}`
  }
}

const NONE = new Uint8Array(0)

function codeOf(error: unknown): string {
  return toGridError(error).code
}

async function attempt(call: () => Promise<unknown>): Promise<GridError | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    return toGridError(error)
  }
}

/** A refusal is a quota with words that docs/limits.md has. */
function refusedAs(refusal: GridError | undefined, words: string, more = ''): void {
  assert.is(refusal?.code, 'quota', `${refusal?.message ?? 'nothing was refused'}`)
  assert.ok(refusal!.message.includes(words) && refusal!.message.includes(more), refusal!.message)
  assert.ok(page.includes(`quota: \`${words}`), `docs/limits.md does not have '${words}'`)
}
