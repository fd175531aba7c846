import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { BlobContent } from '../../../client/content/content.js'
import { memoryContent } from '../../../client/content/content.js'
import { type Replay, replayUnit } from '../../../client/replay/replay.js'
import { buildJob, type JobRequest } from '../../../client/submit/job-builder.js'
import type { UnitOutput } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { systemRandom } from '../../../runtime/random.js'
import type { Task } from '../../../tasks/task.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { printed } from '../../support/client/fake-job.js'
import { deadline } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

/** Prints its line, then the shared input `base`, and fails for the line `bad`. */
const joined: Task = {
  name: 'joined',
  version: 1,
  summary: '',
  usage: '',
  defaultArguments: [],
  sources: ['lines'],
  execute: ({ stdin, files }) => {
    const line = new TextDecoder().decode(stdin).trim()
    const base = new TextDecoder().decode(files.get('base'))
    return { exitCode: line === 'bad' ? 3 : 0, stdout: utf8(`${line}+${base}`) }
  },
}

const REQUEST: JobRequest = {
  task: { type: 'builtin', name: 'joined', version: 1 },
  source: { type: 'lines', content: memoryContent(utf8('one\ntwo\nbad\nlast\n')) },
  inputs: [{ name: 'base', content: memoryContent(new Uint8Array(300_000).fill(0x78)) }],
}
const BASE = 'x'.repeat(300_000)

/** A job of four lines that the grid has with its inputs, computed as told, and a replay of one of its units. */
async function replayed(unit: number, computed: (unit: number) => UnitOutput | 'open'): Promise<Replay> {
  const grid = new FakeGrid()
  const built = await buildJob(REQUEST, {
    sha256,
    random: systemRandom,
    nowMs: systemClock.wallMs(),
    network: 'test',
    submitter: grid.submitter.publicKey,
    peers: 1,
  })
  for (const blob of built.blobs) await keep(grid, blob)
  const { jobId } = grid.job(built.spec, computed)
  const written = new Map<string, Uint8Array>()
  const compute = startInProcessCompute({
    threads: 1,
    clock: systemClock,
    costMs: () => 0,
    findTask: () => joined,
    readInput: (path) => written.get(path)!,
  })
  try {
    const job = await grid.client.job(jobId)
    const replaying = replayUnit(grid.client, job, unit, {
      compute,
      createFile: async ({ digest, size }) => {
        const bytes = new Uint8Array(size)
        return {
          path: digest,
          write: async (offset, piece) => bytes.set(piece, offset),
          finish: async () => void written.set(digest, bytes),
        }
      },
    })
    return await deadline(replaying, 10_000, 'the replay')
  } finally {
    await compute.close()
  }
}

async function keep(grid: FakeGrid, { blob, content }: BlobContent): Promise<void> {
  const chunks = new Map<number, Uint8Array>()
  for (let at = 0, i = 0; at < blob.size; at += 256 * 1024, i++)
    chunks.set(i, (await content.read(at, Math.min(blob.size, at + 256 * 1024))).slice())
  grid.peers[0]!.blobs.set(blob.digest, chunks)
}

const LINES = ['one', 'two', 'bad', 'last']
const honest = (unit: number): UnitOutput =>
  printed(`${LINES[unit]}+${BASE}`, unit === 2 ? { outcome: 'exit', exitCode: 3 } : {})

function done(replay: Replay): Extract<Replay, { type: 'replayed' }> {
  if (replay.type !== 'replayed') throw new Error('nothing was replayed')
  return replay
}

const replay = suite('replayUnit')

replay('a unit computed again from inputs fetched by digest matches', async () => {
  const { verdict, accepted, local, differences } = done(await replayed(1, honest))
  assert.is(verdict, 'match')
  assert.is(local.digest, accepted.digest)
  assert.is(accepted.donors.length, 2)
  assert.is(accepted.proof().length, 2)
  assert.equal(differences, [])
})

replay('a failure that happens here as well is a match', async () => {
  const { verdict, local } = done(await replayed(2, honest))
  assert.is(verdict, 'match')
  assert.match(local.reason, /exit code 3/)
})

replay('other bytes are a mismatch, and it is said where they begin to differ', async () => {
  const { verdict, differences } = done(await replayed(0, () => printed('onE', { stderr: utf8('!'), stderrLength: 1 })))
  assert.is(verdict, 'mismatch')
  assert.equal(differences, [
    'standard output: differs from byte 2 on (3 bytes there, 300004 here)',
    'standard error: differs from byte 0 on (1 bytes there, 0 here)',
    'length of standard error: 1 there, 0 here',
  ])
})

replay('what took too long there cannot be compared with what was done here', async () => {
  const { verdict } = done(await replayed(0, () => printed('', { outcome: 'wall' })))
  assert.is(verdict, 'undecided')
})

replay('without a result there is nothing to replay', async () => {
  const found = await replayed(0, (unit) => (unit === 0 ? 'open' : honest(unit)))
  assert.is(found.type, 'missing')
  assert.equal(
    found.summary.missing.map(({ reason, count }) => [reason, count]),
    [['open', 1]],
  )
})

replay('a unit that the job does not have is refused', async () => {
  await rejects(replayed(4, honest), 'invalid')
})

replay.run()
