import * as assert from 'uvu/assert'
import { Auditor, type GridClient, ResultsReader } from '../../client/index.js'
import { factId } from '../../job/facts/facts.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { reportFactCodec } from '../../proto/codec/facts.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { startInProcessCompute } from '../../worker/compute/in-process.js'
import { tasks } from '../support/compute/tasks/trace-tasks.js'
import { eventually } from '../support/deadline.js'
import { forgedFact } from '../support/hostile/forging-owner.js'
import { ProcessGrid } from '../support/processes/process-grid.js'
import { type Soak, say } from './soak.js'

const PEERS = 5
const WORKERS = 4
const UNITS = 64
const START_MS = 60_000
const END_MS = 300_000
const CALL_MS = 10_000
/** Time in which owners settle what they believe. Unit: ms. */
const BELIEF_MS = 8_000
const ROUNDS_MAX = 20

/**
 * Somebody with no peer at all signs grants with two keys that it makes up, and on each unit the reports of two more: before any
 * worker is there, and again after honest workers have settled a job. Nothing forged may be shown, and audits put it out.
 */
export const strangers: Soak = {
  name: 'strangers',
  summary: 'made-up owners and workers against five peers, before and after honest answers: about 2 minutes',
  async run() {
    const grid = new ProcessGrid()
    try {
      const first = await grid.peer()
      const joinAt = [first.endpoint.address]
      const peers = [first, ...(await Promise.all(Array.from({ length: PEERS - 1 }, () => grid.peer(joinAt))))]
      const addresses = peers.map(({ endpoint }) => endpoint.address)
      const client = await grid.client(...addresses)
      const stranger = await grid.client(...addresses)
      const submit = async (name: string) => {
        const { jobId } = await grid.submitTrace(client, name, { count: UNITS, ms: 1, shardOwners: 3 })
        const owners = async () => (await client.client().shardOwners(jobId, 0)).length === 3
        await eventually(owners, START_MS, 'three owners are found')
        return jobId
      }
      const before = await submit('before')
      const owned = async () => {
        const all = await Promise.all(peers.map(({ process }) => process.ask<boolean>('owns', before)))
        return all.filter(Boolean).length === 3
      }
      await eventually(owned, START_MS, 'three peers own the shard')
      say(`${await makeUp(stranger.client(), before)} made-up facts were taken before anybody worked`)
      await pause(systemClock, BELIEF_MS)
      say(`shown without a worker: ${describe(await shown(client.client(), before, 'before'))}`)
      await Promise.all(Array.from({ length: WORKERS }, () => grid.worker(addresses)))
      await workedOn(grid, client.client(), before, 'before')
      await audited(client.client(), before, 'before')

      const after = await submit('after')
      await workedOn(grid, client.client(), after, 'after')
      say(`${await makeUp(stranger.client(), after)} made-up facts were taken after the work was done`)
      await pause(systemClock, BELIEF_MS)
      await workedOn(grid, client.client(), after, 'after')
      await audited(client.client(), after, 'after')
      return undefined
    } finally {
      await grid.close()
    }
  },
}

/** Two made-up owners grant each unit to a made-up volunteer each; every owner of the shard is given the reports. */
async function makeUp(client: GridClient, jobId: JobId): Promise<number> {
  const grantors = [createIdentity(), createIdentity()]
  let taken = 0
  for (let unit = 0; unit < UNITS; unit++) {
    const forged = grantors.map((grantor) => forgedFact(grantor, createIdentity(), jobId, unit, 1))
    const facts = forged.map(({ fact, outputs }) => ({ fact: reportFactCodec.encode(fact), outputs }))
    assert.is(new Set(forged.map(({ fact }) => factId(fact, sha256))).size, 2)
    for (const owner of await client.shardOwners(jobId, 0)) {
      const { states } = await client.parts.transport.call(owner, methods.offer, { facts }, { deadlineMs: CALL_MS })
      taken += states.filter((state) => state === 'kept').length
    }
  }
  return taken
}

interface Shown {
  readonly right: number
  readonly forged: number
}

const describe = ({ right, forged }: Shown) => `${right} right, ${forged} FORGED, ${UNITS - right - forged} open`

/** What a client is shown as settled now. */
async function shown(client: GridClient, jobId: JobId, name: string): Promise<Shown> {
  let right = 0
  let forged = 0
  for await (const { unit, output } of new ResultsReader(client, await client.job(jobId), { order: 'settled' })) {
    if (new TextDecoder().decode(output?.stdout) === `${name} ${unit}`) right++
    else forged++
  }
  return { right, forged }
}

/** Waits until volunteers have settled all they can, and tells what is shown then. */
async function workedOn(grid: ProcessGrid, client: GridClient, jobId: JobId, name: string): Promise<void> {
  let last: Shown = { right: 0, forged: 0 }
  const isStill = async () => {
    const { summary } = await client.show(jobId, false)
    last = await shown(client, jobId, name)
    return summary.settled + summary.disputed >= UNITS && summary.leased === 0
  }
  await eventually(isStill, END_MS, `volunteers have done what they can\n${grid.processes.logs()}`)
  say(`${name}, shown when volunteers have done what they can: ${describe(last)}`)
}

/** As `submit --wait` does it. */
async function audited(client: GridClient, jobId: JobId, name: string): Promise<void> {
  const auditor = new Auditor(client, await client.job(jobId), {
    startCompute: () =>
      startInProcessCompute({ threads: 1, clock: systemClock, costMs: () => 0, findTask: () => tasks[0] }),
    createFile: () => Promise.reject(new Error('the job has no files')),
  })
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const foundFalse = await auditor.round(true)
      if (!foundFalse && auditor.findings.settled === UNITS) break
      await pause(systemClock, 2_000)
    }
    const { tried, disputed, sampled, wrong, convicted, dismissed } = auditor.findings
    say(
      `${name}, audited: ${tried} units tried, ${disputed} disputed, ${sampled} drawn; ${wrong.length} were false; ${convicted} keys and ${dismissed} owners out`,
    )
  } finally {
    await auditor.close()
  }
  const last = await shown(client, jobId, name)
  say(`${name}, shown in the end: ${describe(last)}`)
  assert.equal(last, { right: UNITS, forged: 0 })
}
