import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ResultsReader, type UnitAnswer } from '../../client/index.js'
import { deadline } from '../support/deadline.js'
import { ProcessGrid } from '../support/processes/process-grid.js'

const grids: ProcessGrid[] = []
const newGrid = () => {
  const grid = new ProcessGrid()
  grids.push(grid)
  return grid
}
const test = suite('processes that are killed, stopped and started again')
test.after(async () => {
  await Promise.all(grids.splice(0).map((grid) => grid.close()))
})

/** A connected worker that says nothing counts as lost after 30 s, one whose connection breaks after 1 s. */
const SILENCE_MS = 30_000
/** Bound for what follows a broken connection on a busy machine. */
const BROKEN_MS = SILENCE_MS / 2
const START_MS = 60_000

/** Five workers, of which three have one long unit each. */
async function busyGrid(job: string) {
  const grid = newGrid()
  const peer = await grid.peer()
  const address = [peer.endpoint.address]
  const workers = await Promise.all(Array.from({ length: 5 }, () => grid.worker(address)))
  const client = await grid.client(...address)
  await grid.submitTrace(client, job, { count: 3, ms: 120_000, policy: { type: 'none' } })
  const begun = () => grid.traces(job).filter(({ what }) => what === 'begin')
  await grid.until(() => begun().length >= 3 || undefined, START_MS, 'three units have begun')
  const busy = begun().map(({ unit, worker }) => ({
    unit,
    process: workers.find(({ process }) => process.pid === worker)!.process,
  }))
  return { grid, begun, busy }
}

let stopped: Promise<number> | undefined

test('the units of a killed worker run elsewhere at once, beside those of one that is stopped', async () => {
  const { grid, begun, busy } = await busyGrid('busy')
  const [first, second] = busy
  const takenOver = async ({ unit, process }: (typeof busy)[number], signal: NodeJS.Signals, withinMs: number) => {
    const began = performance.now()
    process.signal(signal)
    const elsewhere = () => begun().find((trace) => trace.unit === unit && trace.worker !== process.pid)
    await grid.until(elsewhere, withinMs, `unit ${unit} runs elsewhere after ${signal}`)
    return performance.now() - began
  }
  // The slow one goes on beside the other tests.
  stopped = takenOver(second!, 'SIGSTOP', SILENCE_MS + START_MS).finally(() => grid.close())
  stopped.catch(() => {})
  const tookMs = await takenOver(first!, 'SIGKILL', BROKEN_MS)
  console.log(`kill -9 of a worker: its unit ran elsewhere after ${tookMs.toFixed(0)} ms`)
})

test('workers that were there before their peer begin about a second after the submit', async () => {
  const grid = newGrid()
  const port = await ProcessGrid.freePort()
  const address = `127.0.0.1:${port}`
  await Promise.all([grid.worker([address]), grid.worker([address])])
  await grid.peer([], port)
  const client = await grid.client(address)
  await grid.submitTrace(client, 'early', { count: 4, ms: 10 })
  const began = performance.now()
  await grid.until(() => grid.traces('early')[0], START_MS, 'the first unit has begun')
  console.log(`submit to the first unit running: ${(performance.now() - began).toFixed(0)} ms`)
  await grid.until(
    () => grid.traces('early').filter(({ what }) => what === 'end').length >= 8 || undefined,
    START_MS,
    'both workers answer each unit',
  )
  assert.is(new Set(grid.traces('early').map(({ worker }) => worker)).size, 2)
  await grid.close()
})

test('an owner that is killed and restarted has no accepted unit computed again', async () => {
  const grid = newGrid()
  const owner = await grid.peer()
  const address = owner.endpoint.address
  const workers = await Promise.all(Array.from({ length: 3 }, () => grid.worker([address])))
  const client = await grid.client(address)
  const count = 60
  const { jobId, grid: session } = await grid.submitTrace(client, 'owned', { count, ms: 100 })

  const before = new Map<number, UnitAnswer>()
  const abort = new AbortController()
  const follow = new ResultsReader(session, await session.job(jobId), {
    order: 'settled',
    follow: true,
    signal: abort.signal,
  })
  for await (const answer of follow) {
    before.set(answer.unit, answer)
    if (before.size >= 20) break
  }
  abort.abort()
  await owner.process.kill('SIGKILL')
  const known = grid.traces('owned').length
  const killedAt = performance.now()
  await grid.restart(owner)

  const after = new Map<number, UnitAnswer>()
  const reader = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true })
  await deadline(
    (async () => {
      for await (const answer of reader) after.set(answer.unit, answer)
    })(),
    START_MS,
    `the job ends\n${grid.processes.logs()}`,
  )
  console.log(
    `owner killed with ${before.size} units settled; the job ended ${((performance.now() - killedAt) / 1000).toFixed(1)} s later`,
  )

  assert.is(after.size, count)
  for (const [unit, { digest }] of before) assert.is(after.get(unit)?.digest, digest, `unit ${unit} keeps its result`)
  const traces = grid.traces('owned')
  const again = traces.slice(known).filter(({ what, unit }) => what === 'begin' && before.has(unit))
  assert.equal(again, [], 'nothing that was settled is begun again')
  // From outside: whoever signed a counting report has run the unit, and no unit ran on one worker twice.
  const runs = new Map<string, number>()
  for (const { what, unit, worker } of traces) {
    if (what === 'begin') runs.set(`${unit} ${worker}`, (runs.get(`${unit} ${worker}`) ?? 0) + 1)
  }
  assert.equal(
    [...runs].filter(([, times]) => times > 1),
    [],
    'no worker computes a unit twice',
  )
  for (const { unit, reports, donors } of after.values()) {
    const ended = traces.filter((trace) => trace.what === 'end' && trace.unit === unit)
    assert.is(new Set(donors).size, 2, 'two donors agree')
    assert.ok(ended.length >= reports.length, 'each report stands for a run')
  }
  const pids = new Set(traces.slice(known).map(({ worker }) => worker))
  assert.is(pids.size, workers.length, 'every worker came back by itself')
  await grid.close()
})

test('the units of a stopped worker run elsewhere once it has been silent for 30 s', async () => {
  const tookMs = await stopped!
  console.log(`SIGSTOP of a worker: its unit ran elsewhere after ${(tookMs / 1000).toFixed(1)} s`)
})

test.run()
