import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { buildJob } from '../../../client/index.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import { stripControls } from '../../../proto/codec/fields.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { fileNameProblem } from '../../../proto/file-name.js'
import { methods } from '../../../proto/methods.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { seededRandom } from '../../support/seeded-random.js'
import * as s from '../job/samples.js'

/** What clears a screen, renames a window, forges a line, turns the direction of writing. */
const HOSTILE = [
  '\u001b[2J',
  '\u001b]0;owned\u0007',
  'a\nb',
  'a\rb',
  '\u009b31m',
  '\u202egpj.exe',
  'a\u2028b',
  '\u0000',
]
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

const context = {
  sha256,
  random: seededRandom(1),
  nowMs: 1_750_000_000_000,
  network: 'test',
  submitter: s.key,
  peers: 1,
}
const test = suite('names and texts of strangers')

test('of jobs reach nobody with control characters, whatever the submitter signed', async () => {
  for (const text of HOSTILE) {
    const signed = jobSpecCodec.decode(jobSpecCodec.encode(s.spec({ name: `job ${text}` })))
    assert.not.match(signed.name, CONTROLS)
    const built = await buildJob(
      {
        task: { type: 'builtin', name: 'primes', version: 1 },
        source: { type: 'count', count: 3 },
        name: `job ${text}`,
      },
      context,
    ).catch((error: unknown) => error)
    if (built instanceof GridError) assert.is(built.code, 'invalid')
    else assert.not.match(jobSpecCodec.decode(jobSpecCodec.encode((built as { spec: never }).spec)).name, CONTROLS)
  }
})

test('of labels are refused or stripped', () => {
  for (const text of HOSTILE) {
    assert.throws(() => jobSpecCodec.decode(jobSpecCodec.encode(s.spec({ labels: [[text, 'x']] }))))
    let value = ''
    try {
      value = jobSpecCodec.decode(jobSpecCodec.encode(s.spec({ labels: [['k', text]] }))).labels[0]![1]
    } catch (error) {
      assert.is((error as GridError).code, 'invalid')
    }
    assert.not.match(value, CONTROLS)
  }
})

test('of output files are refused, so that no result is written under them', () => {
  const names = [...HOSTILE, '../x', '/etc/passwd', 'a/../b', 'C:\\x', 'con', 'a//b', '.', '', 'x'.repeat(5_000)]
  for (const name of names) {
    assert.ok(fileNameProblem(name) !== undefined, JSON.stringify(name.slice(0, 40)))
    const files = [{ name, bytes: new Uint8Array(1) }]
    assert.throws(
      () => unitOutputCodec.decode(unitOutputCodec.encode({ ...s.output, files })),
      (error: unknown) => error instanceof GridError && error.code === 'invalid',
    )
  }
})

test('of owners and homes, the reasons they give, are stripped when they arrive', () => {
  for (const text of HOSTILE) {
    const show = {
      spec: s.signed(),
      orders: [],
      summary: s.summary,
      shards: [
        {
          shard: 0,
          owner: s.nodeId,
          ownerAddress: 'h:1',
          summary: s.summary,
          waiting: text,
          summaryAgeMs: 1,
          firstGrantAgoMs: undefined,
        },
      ],
      waiting: text,
      ageMs: 1,
      firstGrantAgeMs: undefined,
      holders: [],
      wanted: 0,
    }
    const shown = methods.show.response.decode(methods.show.response.encode(show))
    assert.not.match(shown.waiting + shown.shards[0]!.waiting, CONTROLS)
    const down = methods.work.down
    const noWork = down.decode(down.encode({ type: 'noWork', reason: text, retryAfterMs: 1 }))
    assert.not.match((noWork as { reason: string }).reason, CONTROLS)
    assert.not.match(stripControls(text), CONTROLS)
  }
})

test.run()
