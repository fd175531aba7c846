import * as assert from 'uvu/assert'
import { ResultsReader, type UnitAnswer } from '../../client/index.js'
import { deadline } from '../support/deadline.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import type { Soak } from './soak.js'

const PEERS = 3
const WORKERS = 2
const UNITS = 40
const UNIT_MS = 50
const START_MS = 60_000
const END_MS = 90_000

/** Every process of a grid is killed at once: what was acknowledged is there when they are started again. */
export const everybodyKilled: Soak = {
  name: 'everybody-killed',
  summary: 'every process of a grid is killed at once and started again: some 20 s',
  async run() {
    const grid = new ProcessGrid()
    try {
      await killEverybody(grid)
    } finally {
      await grid.close()
    }
    return undefined
  },
}

async function killEverybody(grid: ProcessGrid): Promise<void> {
  const ports = await Promise.all(Array.from({ length: PEERS }, () => ProcessGrid.freePort()))
  const addresses = ports.map((port) => `127.0.0.1:${port}`)
  const peers = await Promise.all(ports.map((port, i) => grid.peer(addresses.slice(0, i), port)))
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => grid.worker(addresses)))
  const everybody: readonly GridMember[] = [...peers, ...workers]
  const client = await grid.client(...addresses)
  const { jobId, grid: session } = await grid.submitTrace(client, 'killed', { count: UNITS, ms: UNIT_MS })

  const before = new Map<number, UnitAnswer>()
  const abort = new AbortController()
  const { signal } = abort
  const seen = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true, signal })
  await deadline(
    (async () => {
      for await (const answer of seen) {
        before.set(answer.unit, answer)
        if (before.size >= UNITS / 4) break
      }
    })(),
    START_MS,
    `some units are settled\n${grid.processes.logs()}`,
  )
  abort.abort()
  for (const { process } of everybody) process.signal('SIGKILL')
  await Promise.all(everybody.map(({ process }) => process.kill()))
  const known = grid.traces('killed').length
  await Promise.all(everybody.map((member) => grid.restart(member)))

  const after = new Map<number, UnitAnswer>()
  const reader = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true })
  await deadline(
    (async () => {
      for await (const answer of reader) after.set(answer.unit, answer)
    })(),
    END_MS,
    `the job ends\n${grid.processes.logs()}`,
  )
  assert.is(after.size, UNITS)
  for (const [unit, answer] of after) assert.is(new TextDecoder().decode(answer.output?.stdout), `killed ${unit}`)
  for (const [unit, { digest, reports }] of before) {
    const again = after.get(unit)
    assert.is(again?.digest, digest, `unit ${unit} keeps its result`)
    assert.ok(
      reports.every((report) => again?.reports.includes(report)),
      `unit ${unit} keeps the reports that were acknowledged`,
    )
  }
  const begun = grid.traces('killed').slice(known)
  assert.equal(
    begun.filter(({ what, unit }) => what === 'begin' && before.has(unit)),
    [],
    'nothing that was settled is begun again',
  )
}
