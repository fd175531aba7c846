import { writeFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SqliteStore } from '../../coordinator/store/sqlite-store.js'
import type { Digest } from '../../proto/model.js'
import { type BlobEntry, parseHead } from '../../storage/blob-files.js'
import { type CommandResult, clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'

const DAY_MS = 86_400_000

const cluster = new GridCluster()
const keep = suite('extend, rm, and a key on another machine')
const test = clusterTests(cluster, keep)
keep.before(async () => {
  await cluster.node('peer')
  await Promise.all([cluster.worker('worker-1'), cluster.worker('worker-2')])
})
keep.after(() => cluster.close())

const here = (name: string) => join(cluster.folder, name)

type Fields = Readonly<Record<string, unknown>>

/** Runs a command of the submitter, or of another data directory, that is to succeed. */
async function done(args: readonly string[], data = 'submitter'): Promise<CommandResult> {
  const result = await cluster.asked(args, { data })
  expectCode(result, 0)
  return result
}

async function command(args: readonly string[], data?: string): Promise<Fields> {
  return JSON.parse((await done([...args, '--json'], data)).stdout) as Fields
}

/** Content that the peer keeps: large outputs, and inputs. Read beside a peer that writes, so a file may go meanwhile. */
async function kept(): Promise<readonly BlobEntry[]> {
  const entries: BlobEntry[] = []
  for (const kind of ['blob', 'whole'] as const) {
    const files = await readdir(join(cluster.folder, 'peer', 'blobs', kind), { recursive: true, withFileTypes: true })
    for (const { name, parentPath } of files) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue
      const bytes = await readFile(join(parentPath, name)).catch(() => undefined)
      const entry = bytes && parseHead(kind, name as Digest, bytes)
      if (entry !== undefined) entries.push(entry)
    }
  }
  return entries
}

async function factsOnDisk(jobId: string): Promise<number> {
  const store = SqliteStore.open(join(cluster.folder, 'peer', 'owner.sqlite'))
  try {
    const id = jobId as Parameters<SqliteStore['shards']>[0]
    let facts = 0
    for (const { shard } of await store.shards(id)) facts += (await store.factIds(id, shard)).length
    return facts
  } finally {
    await store.close()
  }
}

const PROTEINS = ['a', 'b', 'c'].map((name) => `>${name}\n${'MKVLAAGIWQERTY'.repeat(40)}\n`).join('')

test('a job that is extended keeps inputs and outputs longer, one that is removed loses what no other job needs', async () => {
  writeFileSync(here('proteins.fasta'), PROTEINS)
  writeFileSync(here('query.fasta'), '>q\nMKVLAAGIWQ\n')
  const align = ['submit', 'align', '--records', here('query.fasta'), '--sep', 'fasta', '--no-trial', '--expires', '1d']
  const ids: string[] = []
  for (const args of [
    [...align, '--in', `${here('proteins.fasta')}=db`, '--name', 'first'],
    [...align, '--in', `${here('proteins.fasta')}=db`, '--name', 'second', '--quorum', '1'],
    ['submit', 'mandelbrot', '--count', '4', '--name', 'drawn', '--no-trial'],
  ])
    ids.push((await done(args)).stdout.trim())
  await done(['wait', ...ids])
  const listed = (await command(['jobs', '--all'])).jobs as readonly { jobId: string; name: string; state: string }[]
  const idOf = (name: string) => listed.find((job) => job.name === name)!.jobId
  assert.equal(
    listed.map(({ name, state }) => [name, state]),
    [
      ['drawn', 'finished'],
      ['second', 'finished'],
      ['first', 'finished'],
    ],
  )
  const outputs = (await kept()).filter(({ kind }) => kind === 'whole')
  const inputs = (await kept()).filter(({ kind }) => kind === 'blob')
  assert.ok(outputs.length > 0 && inputs.length > 0, 'there is something to keep')

  // Longer: the order counts from the present expiry, and whoever keeps bytes heeds it.
  const now = Date.now()
  const { expiresAtMs, capped } = await command(['extend', idOf('first'), '20d'])
  assert.is(capped, false)
  assert.ok(Math.abs(Number(expiresAtMs) - (now + 21 * DAY_MS)) < 3_600_000, `expires at ${expiresAtMs}`)
  for (const { keepUntilMs } of (await kept()).filter(({ kind }) => kind === 'blob'))
    assert.ok(keepUntilMs >= now + 20 * DAY_MS, 'inputs are kept as long as the job')
  const far = await command(['extend', idOf('drawn'), '80d'])
  assert.is(far.capped, true)
  assert.ok(Number(far.leftMs) > 89 * DAY_MS && Number(far.leftMs) < 91 * DAY_MS, `${far.leftMs} ms left`)
  await cluster.until(
    async () => (await kept()).every(({ kind, keepUntilMs }) => kind === 'blob' || keepUntilMs > now + 89 * DAY_MS),
    'outputs are kept as long as the job',
  )

  // Gone: facts and outputs at once, inputs when no other job needs them.
  assert.ok((await factsOnDisk(idOf('first'))) > 0)
  const first = await command(['rm', idOf('first')])
  assert.equal([first.removed, first.inputs], [true, 0], 'the second job has the same inputs')
  assert.is((await kept()).filter(({ kind }) => kind === 'blob').length, inputs.length)
  const gone = await cluster.asked(['results', idOf('first')])
  assert.is(gone.code, 6, gone.stderr)
  const second = await command(['rm', idOf('second')])
  assert.is(second.inputs, inputs.length)
  assert.equal(
    (await kept()).filter(({ kind }) => kind === 'blob'),
    [],
  )
  await command(['rm', idOf('drawn')])
  await cluster.until(async () => (await kept()).length === 0, 'large outputs are dropped')
  await cluster.until(async () => (await factsOnDisk(idOf('first'))) === 0, 'facts are dropped')
})

test('another machine with the same key lists, reads, sums and removes the jobs of the first', async () => {
  await done(['submit', 'primes', '--range', '0..10^6:10^5', '--no-trial', '--name', 'mine'])
  await done(['wait', 'last'])
  const exported = join(cluster.folder, 'submitter.key')
  await done(['id', 'export', exported], 'submitter')
  await done(['id', 'import', exported], 'moved')
  const [job, ...others] = (await command(['jobs', '--all'], 'moved')).jobs as readonly Fields[]
  assert.equal([others.length, job!.name, job!.state], [0, 'mine', 'finished'])
  const summed = await done(['results', 'last', '--sum'], 'moved')
  assert.is(summed.stdout, '78498\n')
  await done(['rm', 'last'], 'moved')
  const [left] = (await command(['jobs', '--all'])).jobs as readonly Fields[]
  assert.match(String(left!.state), /removed/, 'the first machine sees what became of it')
})

keep.run()
