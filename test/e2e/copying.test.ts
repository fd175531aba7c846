import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { specDefaults } from '../../job/spec/spec.js'
import { createIdentity } from '../../overlay/identity/identity.js'
import { grantCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { Signed } from '../../proto/model.js'
import { fromHex, utf8 } from '../../runtime/hex.js'
import { type Answer, answerOf } from '../support/hostile/raw-worker.js'
import { type Cast, type Heard, UnansweredUnit } from '../support/hostile/unanswered-unit.js'
import { testNetwork } from '../support/transport/grpc-nodes.js'

const HOUR_MS = 3_600_000

const cast: Cast = {
  peer: createIdentity(),
  submitter: createIdentity(),
  first: createIdentity(),
  waiting: createIdentity(),
  stranger: createIdentity(),
}
/** Of a private job and of a public one. */
const specs: readonly Signed[] = [false, true].map((isPublic) => {
  const bytes = jobSpecCodec.encode({
    ...specDefaults,
    network: testNetwork.name,
    submitter: cast.submitter.publicKey,
    nonce: (isPublic ? '44' : '55').repeat(16),
    createdAtMs: Date.now(),
    expiresAtMs: Date.now() + HOUR_MS,
    task: { type: 'builtin', name: 'copied', version: 1 },
    source: { type: 'count', count: 1 },
    shardUnits: 16,
    isPublic,
    owners: [cast.peer.publicKey],
  })
  return { bytes, signature: cast.submitter.signer.sign('spec', bytes) }
})

const nothing = { stderr: new Uint8Array(0), stderrLength: 0, files: [] }
/** Two answers that have nothing in common: in kind, exit code, size, bytes and fuel. */
const small = answerOf({ ...nothing, outcome: 'done', exitCode: 0, stdout: utf8('a small answer, 4711') }, 5n)
const large = answerOf(
  { ...nothing, outcome: 'exit', exitCode: 3, stdout: utf8('a large answer, 0815; '.repeat(500)) },
  2n ** 50n,
)
const guesses = [small.digest, large.digest]

/**
 * Fields that are not the same in any two runs, whatever was answered. Those whose names end in `Ms` are times. `ids` and
 * `prints` are hashes over grants with a random nonce and over signatures: nobody can tell from them what was signed.
 */
const VARYING: ReadonlySet<string> = new Set([
  ...['address', 'addresses', 'ownerAddress'],
  ...['bootId', 'seq', 'nonce', 'signature'],
  ...['ids', 'prints'],
])

const worlds = [small, large].map((answer) => ({ answer, grid: new UnansweredUnit(cast, specs) }))
const test = suite('a worker that waits for the answer of another')

let heard: readonly (readonly Heard[])[] = []
let pushed: readonly (readonly Heard[])[] = []
let pages: readonly string[] = []

test.before(async () => {
  await Promise.all(worlds.map(({ answer, grid }) => grid.answered(answer, guesses)))
  pages = await Promise.all(worlds.map(({ grid }) => grid.metrics()))
  heard = await Promise.all(worlds.map(async ({ grid }) => [...(await grid.asked(guesses)), grid.toldWaiting()]))
  pushed = worlds.map(({ grid }) => grid.pushed())
})
test.after(async () => {
  await Promise.all(worlds.map(({ grid }) => grid.close()))
})

test('finds neither its bytes nor its digest in any reply, on any stream, in the log or in the metrics', () => {
  for (const [world, { answer, grid }] of worlds.entries()) {
    assert.equal(leaksIn([...heard[world]!, ...pushed[world]!], answer), [])
    assert.ok(
      pushed[world]!.some(({ replies }) => replies.length > 0),
      'something was pushed',
    )
    const text = [...grid.logged, pages[world]!].join('\n')
    for (const needle of textsOf(answer)) assert.not(text.includes(needle), `'${needle}' is written down`)
  }
})

test('is told the same whatever was answered, whether or not it guesses right', () => {
  const [ofSmall, ofLarge] = heard as [readonly Heard[], readonly Heard[]]
  assert.equal(
    ofSmall.map(({ what }) => what),
    ofLarge.map(({ what }) => what),
  )
  for (const [at, one] of ofSmall.entries()) assert.equal(told(one), told(ofLarge[at]!), one.what)
})

test('reads nothing off the metrics but times, sizes and what the process itself uses', () => {
  // `Show` is what the test waits with; how often a worker is told that there is nothing depends on time, too.
  const varying = /^(process_|nodejs_|\S+_seconds|\S+_bytes|# )|commit_queue|Jobs\/Show|noWork/
  const [ofSmall, ofLarge] = pages.map((page) =>
    page
      .split('\n')
      .filter((line) => !varying.test(line))
      .sort(),
  )
  assert.ok(ofSmall!.some((line) => line.startsWith('manyhands_work_messages_total')))
  assert.equal(ofSmall, ofLarge)
})

test('could see it here if it were shown: once the unit is decided, everybody reads the public job, and no bytes of the private one', async () => {
  const { answer, grid } = worlds[0]!
  await grid.agree(answer)
  const leaks = leaksIn(await grid.asked(guesses), answer)
  assert.ok(leaks.includes('stranger job 1 results: bytes'), leaks.join('\n'))
  assert.ok(leaks.includes('stranger job 1 output: bytes'), leaks.join('\n'))
  assert.ok(leaks.includes('stranger job 0 listUnits: digest'), leaks.join('\n'))
  assert.equal(
    leaks.filter((leak) => /job 0 .*: bytes$/.test(leak)),
    [],
  )
})

/** Where an answer shows: `who job N method: what`. */
function leaksIn(all: readonly Heard[], answer: Answer): readonly string[] {
  const digest = Buffer.from(fromHex(answer.digest))
  const stdout = Buffer.from(answer.output.stdout.subarray(0, 64))
  return all.flatMap(({ what, replies, ending }) => {
    const bytes = Buffer.concat(replies)
    const shows = (needle: Buffer, texts: readonly string[]) =>
      bytes.includes(needle) || texts.some((text) => bytes.includes(text) || ending.includes(text))
    return [
      ...(shows(digest, [answer.digest]) ? [`${what}: digest`] : []),
      ...(shows(stdout, []) ? [`${what}: bytes`] : []),
    ]
  })
}

function textsOf({ digest, output }: Answer): readonly string[] {
  const start = output.stdout.subarray(0, 20)
  return [digest, Buffer.from(start).toString(), Buffer.from(start).toString('hex')]
}

/** What replies say, {@link VARYING} fields aside, and how it ended. */
function told({ codec, replies, ending }: Heard): unknown {
  const said = replies.map((reply) => JSON.stringify(codec.decode(reply), plain))
  return { ending, said: said.sort() }
}

function plain(name: string, value: unknown): unknown {
  if (name.endsWith('Ms') || VARYING.has(name)) return Array.isArray(value) ? `${value.length} varying` : typeof value
  if (name === 'grant' && isSigned(value)) return grantCodec.decode(value.bytes)
  // Contacts say the same in `signed` as in their fields.
  if (name === 'signed') return 'varying'
  if (typeof value === 'bigint') return `${value}`
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}

function isSigned(value: unknown): value is Signed {
  return typeof value === 'object' && value !== null && 'bytes' in value
}

test.run()
