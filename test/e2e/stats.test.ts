import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SqliteStore } from '../../coordinator/store/sqlite-store.js'
import { reportCodec, reportFactCodec } from '../../proto/codec/facts.js'
import type { JobId } from '../../proto/model.js'
import { eventually } from '../support/deadline.js'
import type { Health } from '../support/processes/grid-process.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'
import { run } from '../unit/cli/run.js'

const UNITS = 96

interface Totals {
  readonly agreed: number
  readonly disagreed: number
  readonly fuel: string
  readonly computeSeconds: number
}
interface Stats {
  readonly total: Totals | null
  readonly groups: readonly (Totals & { readonly jobId?: string; readonly jobName?: string })[]
  readonly sources: readonly { readonly agreed: number }[]
}

/** `manyhands stats --json`, as somebody else on the machine runs it. */
async function stats(...args: readonly string[]): Promise<Stats> {
  const { code, stdout, stderr } = await run(['stats', '--json', ...args])
  assert.is(code, 0, stderr)
  return JSON.parse(stdout) as Stats
}

/** Units that each worker key has a fact about on the disk of an owner that is not running. */
async function unitsOnDisk(owner: GridMember, jobId: JobId): Promise<Map<string, Set<number>>> {
  const store = SqliteStore.open(join(owner.settings.dataFolder, 'owner.sqlite'))
  const units = new Map<string, Set<number>>()
  for (const { shard } of await store.shards(jobId)) {
    for (const { fact } of await store.facts(jobId, shard, 0, 10_000)) {
      const { worker, results } = reportCodec.decode(reportFactCodec.decode(fact).report.bytes)
      const own = units.get(worker) ?? new Set<number>()
      for (const { unit } of results) own.add(unit)
      units.set(worker, own)
    }
  }
  await store.close()
  return units
}

const grid = new ProcessGrid()
const test = suite('stats of workers that are killed and started again')
test.after(() => grid.close())

test('stats of every machine is the sum of its settled facts, whatever was killed meanwhile', async () => {
  const peer = await grid.peer()
  const address = [peer.endpoint.address]
  const workers = await Promise.all(Array.from({ length: 3 }, () => grid.worker(address)))
  const client = await grid.client(...address)
  const { jobId } = await grid.submitTrace(client, 'counted', { count: UNITS, ms: 25 })
  const ended = () => grid.traces('counted').filter(({ what }) => what === 'end').length
  const worked = (count: number) =>
    grid.until(() => (ended() >= count ? true : undefined), 30_000, `${count} units were computed`)
  await worked(25)
  await workers[0]!.process.kill('SIGKILL')
  await grid.restart(workers[0]!)
  await worked(70)
  await Promise.all([peer.process.kill('SIGKILL'), workers[1]!.process.kill('SIGKILL')])
  await Promise.all([grid.restart(peer), grid.restart(workers[1]!)])
  await eventually(
    async () => {
      const { summary } = await client.client().show(jobId, false)
      const healths = await Promise.all(workers.map(({ process }) => process.ask<Health>('health')))
      return summary.settled === UNITS && healths.every(({ unsettled }) => unsettled === 0)
    },
    40_000,
    'all is settled',
  )
  await peer.process.kill('SIGKILL')
  const facts = [...(await unitsOnDisk(peer, jobId)).values()]
  const expected = facts.map((units) => ({
    agreed: units.size,
    fuel: String([...units].reduce((sum, unit) => sum + unit + 1, 0)),
  }))
  const folders = workers.map(({ settings }) => settings.dataFolder)
  const totals = async () =>
    (await Promise.all(folders.map((folder) => stats('--data', folder)))).map(({ total }) => ({
      agreed: total?.agreed ?? 0,
      fuel: total?.fuel ?? '0',
    }))
  const sorted = (list: readonly { agreed: number; fuel: string }[]) => list.map((one) => JSON.stringify(one)).sort()
  await eventually(
    async () => sorted(await totals()).join() === sorted(expected).join(),
    10_000,
    'the ledgers say what the facts say',
  ).catch(async () => assert.equal(sorted(await totals()), sorted(expected)))

  // Nothing is counted again by another life, and several machines are summed.
  const before = await totals()
  await workers[0]!.process.kill('SIGKILL')
  await grid.restart(workers[0]!)
  assert.equal(await totals(), before)
  const units = before.reduce((sum, { agreed }) => sum + agreed, 0)
  console.log(
    `${units} instances of ${UNITS} units counted over five kills: ${before.map(({ agreed }) => agreed).join(' + ')}`,
  )
  const exported = join(grid.processes.folder, 'first.json')
  assert.is((await run(['stats', '--data', folders[0]!, '--export', exported])).code, 0)
  const summed = await stats('--by', 'job', exported, ...folders)
  assert.is(summed.total?.agreed, units, 'the exported machine is among the folders, and counts once')
  assert.is(summed.sources.length, 3)
  assert.is(summed.groups.length, 1)
  assert.is(summed.groups[0]!.jobId, jobId)
  assert.is(summed.groups[0]!.jobName, 'counted')
  assert.ok(summed.total!.computeSeconds >= units * 0.02, `${summed.total!.computeSeconds} s of computing`)
  assert.is((await stats(exported)).total?.agreed, before[0]!.agreed)
  assert.is((await stats('--since', '2d', ...folders)).total?.agreed, units)
  assert.is((await stats('--since', '2990-01-01', ...folders)).total, null)
  writeFileSync(exported, '{"v":1}')
  assert.is((await run(['stats', exported])).code, 2)
  rmSync(exported)
})

test.run()
