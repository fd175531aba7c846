import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as jobs from '../../../../proto/codec/jobs.js'
import { summary } from '../../job/samples.js'
import { jobsCases } from './cases/jobs.js'
import { refused } from './refused.js'

const test = suite('codec of Jobs')

for (const { name, codec, values } of jobsCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

test('a request without its spec, order or job is refused', () => {
  refused('SubmitRequest', jobs.submitRequestCodec, {}, /spec is missing/)
  refused('OrderRequest', jobs.orderRequestCodec, {}, /order is missing/)
  refused('ShowRequest', jobs.showRequestCodec, {}, /jobId has 0 bytes/)
})

test('what is shown to people comes without control characters, and reasons are cut to their bound', () => {
  const { codec, values } = jobsCases.find((each) => each.name === 'ShowReply')!
  const long = `\u001b]0;owned\u0007${'\u00e9'.repeat(300)}`
  const reply = codec.decode(codec.encode({ ...(values[0] as object), waiting: long })) as { waiting: string }
  assert.ok(reply.waiting.startsWith(']0;owned\u00e9'))
  assert.ok(Buffer.byteLength(reply.waiting) <= 400)
  assert.not.match(reply.waiting, /\ufffd/)
})

test('fractions of a millisecond are cut off', () => {
  const { codec, values } = jobsCases.find((each) => each.name === 'ShowReply')!
  const reply = codec.decode(codec.encode({ ...(values[0] as object), ageMs: 12.7, firstGrantAgeMs: 0.2 }))
  assert.is((reply as { ageMs: number }).ageMs, 12)
  assert.is((reply as { firstGrantAgeMs: number }).firstGrantAgeMs, 1)
})

test('a summary beyond the units of any job is refused', () => {
  refused(
    'ActivateReply',
    jobs.activateReplyCodec,
    { summary: { ...summary, fuel: undefined, units: 10_000_001 } },
    /units/,
  )
})

test.run()
