import * as assert from 'uvu/assert'
import { type GridClient, ResultsReader } from '../../client/index.js'
import { shardKey } from '../../job/units/shard.js'
import type { GridProcess } from '../../process/compose.js'
import type { Digest, JobId, NodeId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import type { Endpoint } from '../../runtime/transport.js'
import { factIdsAt } from '../support/cores/owner-facts.js'
import { turnOf } from '../support/cores/turns.js'
import { deadline } from '../support/deadline.js'
import { type GrantedRun, parseGrantedRun } from '../support/processes/grant-tap.js'
import { GrowingFile } from '../support/processes/growing-file.js'
import type { ProcessGrid } from '../support/processes/process-grid.js'
import { say } from './soak.js'

const OWNERS = 3
/** The next job is submitted when fewer units than this were never granted. */
const LOW_UNITS = 192
const READ_MS = 120_000
/** Owners agree about facts that come in all the time this long after the last of them. */
const AGREE_MS = 60_000
const LOOK_MS = 100

/** One job of the load, as it is seen from outside. */
interface LoadJob {
  readonly name: string
  readonly jobId: JobId
  readonly count: number
  /** When the submitter had a proved result of each unit. */
  readonly settledAtMs: Map<number, number>
  /** Units that no owner has granted yet. */
  readonly untouched: Set<number>
  readonly reading: Promise<void>
  /** Facts that two owners had on disk at once, at any look. */
  readonly durable: Set<Digest>
}

/** What one owner is to grant of one job before the others. */
export interface Share {
  readonly owner: NodeId
  readonly jobId: JobId
  /** Units that nobody has been granted and whose first opinion is its turn. */
  readonly units: ReadonlySet<number>
  /** Whether an opinion is its turn. */
  readonly isTurn: (unit: number, opinion: number) => boolean
}

/** Time until others granted something of a share; undefined: they did not in time. Unit: ms. */
export interface NextGrant {
  readonly anyMs: number | undefined
  /** A first opinion: units are granted in order, so that it may stand behind blocks of other owners. */
  readonly firstMs: number | undefined
}

interface OwnerLoadOptions {
  /** Time a unit takes. Unit: ms. */
  readonly unitMs: number
  /** Units of one job. */
  readonly jobUnits: number
}

/**
 * A row of jobs whose units must be granted all the time, each read by its submitter while it runs, and what owners grant:
 * for runs in which owners die. All of it is seen from outside: results, traces of computed units, grants as sent.
 */
export class OwnerLoad {
  readonly #grid: ProcessGrid
  readonly #client: GridProcess
  readonly #options: OwnerLoadOptions
  readonly #jobs: LoadJob[] = []
  readonly #grants: GrowingFile
  /** Every grant so far, in order of arrival. */
  readonly granted: GrantedRun[] = []

  constructor(grid: ProcessGrid, client: GridProcess, options: OwnerLoadOptions) {
    this.#grid = grid
    this.#client = client
    this.#options = options
    assert.ok(grid.grantFile, 'the grants of owners are written down')
    this.#grants = new GrowingFile(grid.grantFile)
  }

  get #session(): GridClient {
    return this.#client.client()
  }

  /** Reads what was granted since the last look. */
  look(): void {
    const jobs = new Map(this.#jobs.map((job) => [job.jobId, job]))
    for (const line of this.#grants.lines()) {
      const run = parseGrantedRun(line)
      this.granted.push(run)
      const job = jobs.get(run.jobId)
      for (let unit = run.first; unit < run.first + run.count; unit++) job?.untouched.delete(unit)
    }
  }

  /** Submits the next job when the last is nearly handed out. */
  async topUp(): Promise<void> {
    this.look()
    const left = this.#jobs.reduce((sum, { untouched }) => sum + untouched.size, 0)
    if (left >= LOW_UNITS) return
    const name = `load-${this.#jobs.length}`
    const { jobUnits: count, unitMs: ms } = this.#options
    const { jobId, grid } = await this.#grid.submitTrace(this.#client, name, { count, ms, shardOwners: OWNERS })
    const settledAtMs = new Map<number, number>()
    const reading = (async () => {
      const reader = new ResultsReader(grid, await grid.job(jobId), { order: 'settled', follow: true })
      for await (const { unit, output } of reader) {
        assert.not.ok(settledAtMs.has(unit), `unit ${unit} of ${name} came twice`)
        assert.is(new TextDecoder().decode(output?.stdout), `${name} ${unit}`)
        settledAtMs.set(unit, Date.now())
      }
      assert.is(settledAtMs.size, count, `all units of ${name} came`)
    })()
    reading.catch(() => {})
    const untouched = new Set(Array.from({ length: count }, (_, unit) => unit))
    this.#jobs.push({ name, jobId, count, settledAtMs, untouched, reading, durable: new Set() })
    this.look()
    say(`${name} submitted: ${jobId.slice(0, 8)}, ${count} units of ${ms} ms`)
  }

  /** The share of each owner of the open jobs that nobody has been granted, the largest first. */
  async shares(): Promise<Share[]> {
    this.look()
    const shares: Share[] = []
    for (const { jobId, untouched, settledAtMs } of this.#jobs) {
      if (untouched.size === 0 || settledAtMs.size === 0) continue
      const owners = (await this.ownersOf(jobId)).map(({ nodeId }) => nodeId)
      const byOwner = new Map<NodeId, Set<number>>(owners.map((owner) => [owner, new Set()]))
      for (const unit of untouched) byOwner.get(turnOf(owners, jobId, unit, 0))!.add(unit)
      for (const [owner, units] of byOwner) {
        const isTurn = (unit: number, opinion: number) => turnOf(owners, jobId, unit, opinion) === owner
        shares.push({ owner, jobId, units, isTurn })
      }
    }
    return shares.sort((a, b) => b.units.size - a.units.size)
  }

  ownersOf(jobId: JobId): Promise<readonly Endpoint[]> {
    return this.#client.overlay
      .owners(shardKey(sha256, jobId, 0), OWNERS)
      .then((owners) => owners.map((contact) => this.#client.overlay.endpoint(contact)))
  }

  /** Waits for grants of a share from `sinceMs` (wall clock) on, for `ms` at most. */
  async nextGrant({ jobId, units, isTurn }: Share, sinceMs: number, ms: number): Promise<NextGrant> {
    let from = this.granted.length
    let anyMs: number | undefined
    for (;;) {
      this.look()
      for (const run of this.granted.slice(from)) {
        if (run.jobId !== jobId || run.atMs < sinceMs) continue
        const tookMs = run.atMs - sinceMs
        for (let unit = run.first; unit < run.first + run.count; unit++) {
          if (isTurn(unit, run.opinion)) anyMs ??= tookMs
          if (run.opinion === 0 && units.has(unit)) return { anyMs: anyMs ?? tookMs, firstMs: tookMs }
        }
      }
      from = this.granted.length
      if (Date.now() > sinceMs + ms) return { anyMs, firstMs: undefined }
      await rest()
    }
  }

  /** Notes which facts two owners have on disk, and returns those of each job together. */
  async noteDurable(): Promise<ReadonlyMap<JobId, ReadonlySet<Digest>>> {
    const all = new Map<JobId, Set<Digest>>()
    for (const { jobId, durable } of this.#open()) {
      const known = new Set<Digest>()
      for (const ids of (await this.#factsOf(jobId)).values())
        for (const id of ids ?? []) (known.has(id) ? durable : known).add(id)
      all.set(jobId, known)
    }
    return all
  }

  #open(): LoadJob[] {
    return this.#jobs.filter(({ count, settledAtMs }) => settledAtMs.size < count)
  }

  async #factsOf(jobId: JobId): Promise<Map<NodeId, ReadonlySet<Digest> | undefined>> {
    const found = new Map<NodeId, ReadonlySet<Digest> | undefined>()
    for (const owner of await this.ownersOf(jobId))
      found.set(owner.nodeId, await factIdsAt(this.#session, owner, jobId, 0).catch(() => undefined))
    return found
  }

  /** Whether a peer has all these facts of the jobs that it owns. */
  async hasAll(peer: Endpoint, facts: ReadonlyMap<JobId, ReadonlySet<Digest>>): Promise<boolean> {
    for (const [jobId, wanted] of facts) {
      const owners = await this.ownersOf(jobId)
      if (!owners.some(({ nodeId }) => nodeId === peer.nodeId)) continue
      const known = await factIdsAt(this.#session, peer, jobId, 0)
      if (known === undefined) return false
      for (const id of wanted) if (!known.has(id)) return false
    }
    return true
  }

  /** Waits for the end of all jobs and checks that they are whole. */
  async finish(limitMs: number): Promise<void> {
    for (const job of this.#jobs) {
      await deadline(job.reading, limitMs, `${job.name} ends\n${this.#grid.processes.logs()}`)
      await this.#readAgain(job)
      await this.#ownersAgree(job)
    }
    this.look()
  }

  /** Everything is there for somebody who comes later. */
  async #readAgain({ name, jobId, count }: LoadJob): Promise<void> {
    const reader = new ResultsReader(this.#session, await this.#session.job(jobId))
    const read = (async () => {
      let units = 0
      for await (const { output, unit } of reader) {
        assert.is(new TextDecoder().decode(output?.stdout), `${name} ${unit}`)
        units++
      }
      return units
    })()
    assert.is(await deadline(read, READ_MS, `${name} is read again`), count, `all units of ${name} are there`)
    assert.is(reader.summary.overturned.length, 0, `no result of ${name} is overturned`)
  }

  /** All owners have the same facts, among them all that were ever durable. */
  async #ownersAgree({ name, jobId, durable }: LoadJob): Promise<void> {
    const endAt = Date.now() + AGREE_MS
    for (;;) {
      const sets = [...(await this.#factsOf(jobId)).values()]
      const missing = sets.map((ids) => [...durable].filter((id) => ids?.has(id) !== true).length)
      const sizes = new Set(sets.map((ids) => ids?.size))
      if (sizes.size === 1 && !sizes.has(undefined) && missing.every((many) => many === 0)) return
      if (Date.now() > endAt)
        throw new Error(
          `owners of ${name}: facts ${sets.map((ids) => ids?.size ?? 'none').join(', ')}; of ${durable.size} durable ones ${missing.join(', ')} missing`,
        )
      await rest()
    }
  }

  /** Units granted again although the submitter had their result for longer than `graceMs`. */
  grantedAgain(graceMs: number): string[] {
    const again: string[] = []
    const jobs = new Map(this.#jobs.map((job) => [job.jobId, job]))
    for (const { jobId, first, count, atMs, opinion, owner } of this.granted) {
      const job = jobs.get(jobId)
      for (let unit = first; job !== undefined && unit < first + count; unit++) {
        const settledAt = job.settledAtMs.get(unit)
        if (settledAt !== undefined && atMs > settledAt + graceMs)
          again.push(
            `${(atMs - performance.timeOrigin) / 1000} s: ${owner} grants ${job.name}/${unit} (opinion ${opinion}), ${atMs - settledAt} ms after its result`,
          )
      }
    }
    return again
  }

  /** Instances granted, computed to the end, and needed. */
  get figures(): { readonly granted: number; readonly computed: number; readonly needed: number } {
    const needed = this.#jobs.reduce((sum, { count }) => sum + 2 * count, 0)
    const granted = this.granted.reduce((sum, { count }) => sum + count, 0)
    const computed = this.#jobs.reduce(
      (sum, { name }) => sum + this.#grid.traces(name).filter(({ what }) => what === 'end').length,
      0,
    )
    return { granted, computed, needed }
  }
}

/** Waits until `condition` holds; what fails counts as no. @throws Error naming `what` after `ms` */
export async function until(condition: () => Promise<boolean>, ms: number, what: string): Promise<void> {
  const endAt = Date.now() + ms
  for (let last: unknown; ; ) {
    if (
      await condition().catch((error: unknown) => {
        last = error
        return false
      })
    )
      return
    if (Date.now() > endAt)
      throw new Error(`${what}: not within ${ms} ms${last === undefined ? '' : ` (${toGridError(last).message})`}`)
    await rest()
  }
}

function rest(): Promise<void> {
  return pause(systemClock, LOOK_MS)
}
