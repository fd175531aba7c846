import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { explainReplyCodec } from '../../../../proto/codec/explain.js'
import type { ExplainReply, UnitWait } from '../../../../proto/explain-messages.js'
import { explainCases } from './cases/explain.js'
import { refusedBytes } from './refused.js'

const codecs = suite('Explain codecs')

for (const { name, codec, values } of explainCases) {
  codecs(`${name} reads back what it writes`, () => {
    for (const value of values) assert.equal(codec.decode(codec.encode(value)), value)
  })
}

const [full] = explainCases.find(({ name }) => name === 'ExplainReply')!.values as readonly ExplainReply[]

codecs('a word of a later version is passed on as text', () => {
  const later = { ...full!, unit: { ...full!.unit!, wait: 'tomorrow' as UnitWait } }
  assert.is(explainReplyCodec.decode(explainReplyCodec.encode(later)).unit?.wait, 'tomorrow')
})

codecs('what stands in place of a word is letters and nothing else', () => {
  for (const wait of ['', 'a b', '\u001b[2J', 'x'.repeat(40)]) {
    const evil = { ...full!, unit: { ...full!.unit!, wait: wait as UnitWait } }
    refusedBytes(explainReplyCodec, explainReplyCodec.encode(evil), /wait/)
  }
})

codecs('reasons lose what could steer a terminal', () => {
  const evil = { ...full!, refusal: 'gone\u001b[2J\u202e' }
  assert.is(explainReplyCodec.decode(explainReplyCodec.encode(evil)).refusal, 'gone[2J')
})

codecs.run()
