import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Layout } from '../../../client/output/layout.js'
import { nodeFolder } from '../../../client/output/node-folder.js'
import { ResultFolder } from '../../../client/output/result-folder.js'
import { reduceAnswers } from '../../../client/results/reduce.js'
import { ResultsReader } from '../../../client/results/results.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { findTask } from '../../../tasks/registry.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { type Computed, printed } from '../../support/client/fake-job.js'
import { rejects } from '../../support/rejects.js'

const folders: string[] = []
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'manyhands-results-'))
  folders.push(folder)
  return folder
}
const clean = async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true })
}

const layouts = suite('Layout')
const grid = new FakeGrid()

layouts('names come from the pattern, padded', () => {
  const layout = new Layout(grid.spec(), 'f_{i:06}.png')
  assert.is(layout.files(7, printed('x'))[0]!.name, 'f_000007.png')
  const repeated = new Layout(grid.spec({ repeat: 3 }), '{i}/{rep}_{name}')
  assert.is(repeated.files(7, printed('x'))[0]!.name, '2/1_stdout')
})

layouts('without a pattern: one file for what was printed, else a folder', () => {
  const layout = new Layout(grid.spec())
  assert.equal(
    layout.files(7, printed('x')).map(({ name }) => name),
    ['000007.out'],
  )
  const files = [{ name: 'a/b.txt', bytes: utf8('b') }]
  assert.equal(
    layout.files(7, printed('x', { files })).map(({ name }) => name),
    ['000007/stdout', '000007/a/b.txt'],
  )
  assert.equal(
    layout.files(7, printed('', { files })).map(({ name }) => name),
    ['000007/a/b.txt'],
  )
})

layouts('patterns that are wrong, leave the folder or clash are refused', () => {
  for (const pattern of ['same.txt', '../{i}', '/{i}', '{i', '{nonsense}', '{i}\u0007', 'con/{i}', '{name}']) {
    assert.throws(() => new Layout(grid.spec(), pattern), /layout/, pattern)
  }
  assert.throws(() => new Layout(grid.spec({ repeat: 2 }), '{i}.txt'), /same name/)
  const files = [{ name: 'a', bytes: utf8('b') }]
  assert.throws(() => new Layout(grid.spec(), '{i}').files(0, printed('x', { files })), /room for one/)
  for (const name of ['..', '../../x', '/etc/passwd', 'a\u001b[2J', 'nul', 'a\\b']) {
    const hostile = printed('', { files: [{ name, bytes: utf8('b') }] })
    assert.throws(() => new Layout(grid.spec(), '{i}/{name}').files(0, hostile), /output name/, name)
    assert.throws(() => new Layout(grid.spec()).files(0, hostile), /output name/, name)
  }
})

layouts.run()

const writing = suite('ResultFolder')
writing.after.each(clean)

async function fetchInto(root: string, job: ReturnType<FakeGrid['job']>, layout?: string) {
  const known = await grid.client.job(job.jobId)
  const folder = await ResultFolder.open(nodeFolder(root), known, sha256, layout === undefined ? {} : { layout })
  const reader = new ResultsReader(grid.client, known, {
    order: 'settled',
    skip: (unit, digest) => folder.has(unit, digest),
  })
  try {
    for await (const answer of reader) await folder.add(answer)
  } finally {
    await folder.close()
  }
  return { folder, summary: reader.summary }
}

writing('files, what is kept of failed units, and a manifest with all signatures', async () => {
  const root = await newFolder()
  const job = grid.job({ nonce: 'a1'.repeat(16), source: { type: 'count', count: 5 } }, (unit) =>
    unit === 2
      ? printed('partial', { outcome: 'exit', exitCode: 3, stderr: utf8('why'), stderrLength: 3 })
      : printed(`${unit}`),
  )
  await fetchInto(root, job, 'f_{i:03}.txt')
  assert.equal((await readdir(root)).sort(), [
    'f_000.txt',
    'f_001.txt',
    'f_003.txt',
    'f_004.txt',
    'failed',
    'manifest.json',
  ])
  assert.is(await readFile(join(root, 'failed', '000002.stderr'), 'utf8'), 'why')
  const manifest = JSON.parse(await readFile(join(root, 'manifest.json'), 'utf8'))
  assert.is(manifest.job, job.jobId)
  const units = manifest.entries.filter((entry: { unit?: number }) => entry.unit !== undefined)
  assert.is(units.length, 5)
  assert.is(units[0].donors.length, 2)
  assert.match(units.find((entry: { unit: number }) => entry.unit === 2).reason, /exit code 3/)
  const reports = manifest.entries.filter((entry: { report?: string }) => entry.report !== undefined)
  assert.equal(reports.map((entry: { report: string }) => entry.report).sort(), units[0].reports.toSorted())
  assert.ok(
    reports.every(
      (entry: { grants: unknown[]; signed: { signature: string } }) =>
        entry.grants.length === 1 && entry.signed.signature.length === 88,
    ),
  )
})

writing('what is there and right is skipped, what was changed is fetched again', async () => {
  const root = await newFolder()
  const job = grid.job({ nonce: 'a2'.repeat(16), source: { type: 'count', count: 5 } }, (unit) =>
    printed(`unit ${unit}`),
  )
  await fetchInto(root, job)
  await writeFile(join(root, '000001.out'), 'spoiled')
  await rm(join(root, '000003.out'))
  const { folder, summary } = await fetchInto(root, job)
  assert.is(folder.unitsSkipped, 3)
  assert.is(folder.filesWritten, 2)
  assert.is(summary.proved, 5)
  assert.is(await readFile(join(root, '000001.out'), 'utf8'), 'unit 1')
  const other = grid.job({ nonce: 'a3'.repeat(16) })
  await rejects(fetchInto(root, other), 'exists')
})

writing('links are not followed out of the folder', async () => {
  const root = await newFolder()
  const outside = await newFolder()
  await writeFile(join(outside, 'victim'), 'safe')
  const folder = nodeFolder(root)
  await symlink(join(outside, 'victim'), join(root, 'file'))
  await folder.write('file', utf8('new'))
  assert.not.ok((await lstat(join(root, 'file'))).isSymbolicLink())
  await symlink(outside, join(root, 'sub'))
  await rejects(folder.write('sub/victim', utf8('new')), 'invalid')
  await symlink(join(outside, 'victim'), join(root, 'draft.part'))
  await folder.write('draft', utf8('new'))
  assert.is(await readFile(join(outside, 'victim'), 'utf8'), 'safe')
  for (const name of ['../x', '/x', 'a/../../x']) await rejects(folder.write(name, utf8('x')), 'invalid')
  assert.is(await folder.read('nothing', 10), undefined)
  await mkdir(join(root, 'dir'))
  assert.is(await folder.read('dir', 10), undefined)
})

writing('two outputs that want one name are refused', async () => {
  const root = await newFolder()
  const files = (unit: number) => [{ name: unit === 0 ? 'A' : 'a', bytes: utf8('x') }]
  const job = grid.job({ nonce: 'a4'.repeat(16), source: { type: 'count', count: 1 } })
  const folder = await ResultFolder.open(nodeFolder(root), await grid.client.job(job.jobId), sha256)
  await folder.addResult(new Map([['A', utf8('x')]]))
  await rejects(folder.addResult(new Map(files(1).map(({ name, bytes }) => [name, bytes]))), /want the name/)
  await rejects(folder.addResult(new Map([['manifest.json', utf8('x')]])), /want the name/)
  await rejects(folder.addResult(new Map([['../x', utf8('x')]])), 'invalid')
  await folder.close()
})

writing.run()

const reducing = suite('reduceAnswers')

async function reduced(task: string | undefined, computed: Computed, nonce: string) {
  const job = grid.job({ nonce: nonce.repeat(16), source: { type: 'count', count: 10 } }, computed)
  const reader = new ResultsReader(grid.client, await grid.client.job(job.jobId))
  let text = ''
  const result = await reduceAnswers(reader, task === undefined ? undefined : findTask(task), job.spec, {
    write: (bytes) => {
      text += new TextDecoder().decode(bytes)
    },
  })
  return { text, result }
}

reducing('the task puts outputs together; without one they follow each other in unit order', async () => {
  const sum = await reduced('primes', (unit) => printed(`${unit}\n`), 'b1')
  assert.is(sum.text, '45\n')
  assert.ok(sum.result.byTask)
  const all = await reduced(
    undefined,
    (unit) => (unit === 4 ? printed('no', { outcome: 'trap' }) : printed(`${unit}`)),
    'b2',
  )
  assert.is(all.text, '012356789')
  assert.is(all.result.failed, 1)
})

reducing('an output that the task cannot read is one clear error', async () => {
  await rejects(
    reduced('primes', () => printed('rubbish'), 'b3'),
    'corrupt',
  )
})

reducing.run()
