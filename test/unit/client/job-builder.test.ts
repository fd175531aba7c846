import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Content, memoryContent } from '../../../client/content/content.js'
import { type BuildContext, buildJob, type JobRequest, ownerRadius } from '../../../client/submit/job-builder.js'
import { blobOf } from '../../../job/blob.js'
import { neededItems } from '../../../job/spec/program.js'
import { contentSpan, cutItems, indexSpan, readFileItem } from '../../../job/units/list.js'
import { MODULE_BYTES_MAX } from '../../../proto/limits.js'
import type { PublicKey, TaskRef } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { systemRandom } from '../../../runtime/random.js'
import { PROFILE } from '../../../sandbox/contract.js'
import { cpuMs } from '../../support/cpu-time.js'
import { rejects } from '../../support/rejects.js'

const NOW_MS = 1_750_000_000_000
const task: TaskRef = { type: 'builtin', name: 'primes', version: 1 }

const context = (changes: Partial<BuildContext> = {}): BuildContext => ({
  sha256,
  random: systemRandom,
  nowMs: NOW_MS,
  network: 'test',
  submitter: 'aa'.repeat(32) as PublicKey,
  peers: 5,
  ...changes,
})
const build = (request: Partial<JobRequest> & Pick<JobRequest, 'source'>, changes: Partial<BuildContext> = {}) =>
  buildJob({ task, ...request }, context(changes))
const lines = (text: string) => ({ type: 'lines' as const, content: memoryContent(utf8(text)) })

const builder = suite('buildJob')

builder('numbers become exact sources', async () => {
  const range = await build({ source: { type: 'range', range: '10^16..10^16+10^8:10^7' }, args: ['{start}', '{end}'] })
  assert.is(range.units, 10)
  assert.equal(range.spec.source, { type: 'range', start: 10n ** 16n, end: 10n ** 16n + 10n ** 8n, step: 10n ** 7n })
  assert.is((await build({ source: { type: 'array', array: '1-100:3' } })).units, 34)
  assert.is((await build({ source: { type: 'count', count: '10^6' } })).units, 1_000_000)
  assert.equal(range.blobs, [])
})

builder('a program becomes a blob to upload, named by its digest, under the newest profile', async () => {
  const bytes = new Uint8Array(300_000).fill(5)
  const program = { type: 'upload', content: memoryContent(bytes), label: 'program p.wasm' } as const
  const { spec, blobs } = await build({ task: program, source: { type: 'count', count: 5 } })
  assert.equal(spec.task, { type: 'module', module: blobOf(sha256, bytes).blob })
  assert.is(spec.profile, PROFILE)
  assert.equal(
    blobs.map(({ label, blob }) => [label, blob.size]),
    [['program p.wasm', 300_000]],
  )
  const large: Content = { size: MODULE_BYTES_MAX + 1, read: () => new Uint8Array(0) }
  await rejects(build({ task: { ...program, content: large }, source: { type: 'count', count: 5 } }), /at most/)
})

builder('a module that the network has is not uploaded again', async () => {
  const { blob } = blobOf(sha256, Uint8Array.of(1))
  const built = await build({ task: { type: 'module', module: blob }, source: { type: 'count', count: 5 } })
  assert.equal(built.blobs, [])
  assert.is(built.spec.profile, PROFILE)
})

builder('defaults are those of the design, and a network may set its own', async () => {
  const { spec } = await build({ source: { type: 'count', count: 5 } })
  assert.equal(spec.policy, { type: 'quorum', quorum: 2 })
  assert.is(spec.maxErrors, 3)
  assert.is(spec.maxInstances, 10)
  assert.is(spec.limits.memoryBytes, 256 * 2 ** 20)
  assert.is(spec.limits.outputBytes, 16 * 2 ** 20)
  assert.is(spec.limits.wallMs, 3_600_000)
  assert.is(spec.expiresAtMs, NOW_MS + 30 * 24 * 3_600_000)
  assert.is(spec.minGrantors, 1)
  const own = await build(
    { source: { type: 'count', count: 5 }, limits: { wallMs: 5 } },
    { defaults: { policy: { type: 'none' }, limits: { memoryBytes: 1024 } } },
  )
  assert.equal(own.spec.policy, { type: 'none' })
  assert.is(own.spec.limits.memoryBytes, 1024)
  assert.is(own.spec.limits.wallMs, 5)
})

builder('two grantors are wanted where a shard has three owners and a quorum', async () => {
  const source = { type: 'count', count: 5 } as const
  assert.is((await build({ source }, { shardOwners: 3 })).spec.minGrantors, 2)
  assert.is((await build({ source, policy: { type: 'none' } }, { shardOwners: 3 })).spec.minGrantors, 1)
})

builder('the owner radius holds about 64 peers, and all of a small network', () => {
  assert.is(ownerRadius(0), 'f'.repeat(40))
  assert.is(ownerRadius(200), 'f'.repeat(40))
  assert.is(ownerRadius(640), (2n ** 160n / 10n - 1n).toString(16).padStart(40, '0'))
  assert.is(ownerRadius(64 * 256).slice(0, 4), '00ff')
})

builder('lines get an index and two blobs', async () => {
  const { spec, units, blobs } = await build({ source: lines('a\nbb\n\nccc'), args: ['{line}'] })
  assert.is(units, 4)
  assert.is(spec.source.type, 'list')
  assert.is(blobs.length, 2)
  assert.equal(blobs[0]!.blob, blobOf(sha256, utf8('a\nbb\n\nccc')).blob)
  if (spec.source.type !== 'list') return
  const items = neededItems(spec, 3)!
  const at = indexSpan(spec.source, items)
  const span = contentSpan(spec.source, await blobs[1]!.content.read(at.start, at.end))
  const [last] = cutItems(spec.source, items, await blobs[0]!.content.read(span.start, span.end))
  assert.is(new TextDecoder().decode(last), 'ccc')
})

builder('rows, records and files are sources, too', async () => {
  const csv = await build({
    source: { type: 'csv', content: memoryContent(utf8('x,y\n1,2\n3,4\n')) },
    args: ['{x}', '{y}'],
  })
  assert.is(csv.units, 2)
  const fasta = { type: 'records', sep: 'fasta', content: memoryContent(utf8('>a\nAC\n>b\nGT\n')) } as const
  assert.is((await build({ source: fasta, perUnit: 2 })).units, 1)
  const files = [
    { name: 'a.txt', content: memoryContent(utf8('hello')) },
    { name: 'b/c.txt', content: memoryContent(new Uint8Array(0)) },
  ]
  const made = await build({ source: { type: 'files', files }, repeat: 3 })
  assert.is(made.units, 6)
  const bytes = await made.blobs[0]!.content.read(0, made.blobs[0]!.blob.size)
  assert.equal(made.blobs[0]!.blob, blobOf(sha256, bytes).blob)
  assert.is(readFileItem(bytes.subarray(0, bytes.length - 17)).name, 'a.txt')
  // Any cut across the parts gives the same bytes.
  assert.equal(await made.blobs[0]!.content.read(7, 20), bytes.slice(7, 20))
})

builder('shared inputs are blobs of their own', async () => {
  const inputs = [{ name: 'db.fasta', content: memoryContent(utf8('data')) }]
  const { spec, blobs } = await build({ source: { type: 'count', count: 1 }, inputs })
  assert.equal(spec.inputs, [{ name: 'db.fasta', blob: blobOf(sha256, utf8('data')).blob }])
  assert.is(blobs.length, 1)
})

builder('mistakes have one clear message each', async () => {
  const count = { type: 'count', count: 10 } as const
  const wrong: [Partial<JobRequest> & Pick<JobRequest, 'source'>, RegExp][] = [
    [{ source: { type: 'count', count: 0 } }, /count of 0/],
    [{ source: lines('') }, /empty/],
    [{ source: { type: 'files', files: [] } }, /empty/],
    [{ source: { type: 'range', range: '5..5' } }, /empty/],
    [{ source: count, args: ['{nonsense}'] }, /unknown placeholder/],
    [{ source: count, units: '10' }, /last unit is 9/],
    [{ source: count, units: 'x' }, /selection/],
    [{ source: { type: 'count', count: 20_000_000 } }, /at most 10000000/],
    [{ source: count, shardUnits: 100 }, /shardUnits/i],
    [{ source: count, priority: 101 }, /priority/],
    [{ source: count, expiresInMs: 0 }, /expires/],
    [{ source: count, policy: { type: 'quorum', quorum: 16 } }, /quorum/],
    [{ source: { type: 'files', files: [{ name: '../x', content: memoryContent(utf8('')) }] } }, /'\.\.'/],
    [{ source: { type: 'csv', content: memoryContent(utf8('a,a\n1,2\n')) } }, /column/],
  ]
  for (const [request, message] of wrong) await rejects(build(request), message)
})

builder('content that shrinks while it is read is noticed', async () => {
  const shrinking: Content = { size: 10, read: () => new Uint8Array(9) }
  await rejects(build({ source: { type: 'lines', content: shrinking } }), /changed while/)
})

builder('large jobs are spread over shards', async () => {
  assert.is((await build({ source: { type: 'count', count: 10_000_000 } })).spec.shardUnits, 16_384)
  const slow = await build({ source: { type: 'count', count: 1_000 }, estimate: { unitMs: 30_000 } })
  assert.is(slow.spec.shardUnits, 16)
})

builder('a million lines take about a second and little memory', async () => {
  const line = utf8('some text of a line that is forty bytes\n')
  const total = 1_000_000
  let pieceMax = 0
  const content: Content = {
    size: total * line.length,
    read: (start, end) => {
      pieceMax = Math.max(pieceMax, end - start)
      const bytes = Buffer.alloc(end - start + line.length * 2, line)
      return bytes.subarray(start % line.length, (start % line.length) + end - start)
    },
  }
  const before = cpuMs()
  const { units, blobs } = await build({ source: { type: 'lines', content } })
  const ms = cpuMs() - before
  assert.is(units, total)
  assert.ok(pieceMax <= 2 * 2 ** 20)
  assert.ok(blobs[1]!.blob.size <= 8 * 65_537)
  assert.ok(ms < 5_000, `${ms} ms`)
})

builder.run()
