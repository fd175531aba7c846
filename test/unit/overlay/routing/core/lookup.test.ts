import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Lookup, type LookupEffect, type LookupLimits } from '../../../../../overlay/routing/core/lookup.js'
import { compareDistance } from '../../../../../overlay/routing/core/node-id.js'
import { createShortlist } from '../../../../../overlay/routing/kademlia.js'
import type { NodeId } from '../../../../../proto/model.js'

interface Entry {
  readonly nodeId: NodeId
}
const at = (start: string): Entry => ({ nodeId: start.padEnd(40, '0') as NodeId })
const SELF = at('ee').nodeId
const LIMITS: LookupLimits = {
  width: 20,
  parallel: 3,
  softTimeoutMs: 300,
  need: 2,
  requestsMax: 6,
  durationMaxMs: 10_000,
  replyMax: 20,
  blame: 3,
}
const begin = (limits: Partial<LookupLimits> = {}, target = at('00').nodeId) => {
  const all = { ...LIMITS, ...limits }
  return new Lookup<Entry>(target, SELF, createShortlist(target, all.width), all)
}
const asked = (effects: readonly LookupEffect<Entry>[]) =>
  effects.map((effect) => (effect.type === 'ask' ? effect.contact.nodeId.slice(0, 2) : effect.type))
const entries = (...starts: string[]) => starts.map(at)

const lookups = suite('Lookup')

lookups('asks the three closest seeds at once and nobody beyond until one answers', () => {
  const lookup = begin()
  assert.equal(asked(lookup.start(entries('09', '01', '05', '03'), 0)), ['01', '03', '05'])
  assert.equal(asked(lookup.handle({ type: 'replied', contact: at('05'), contacts: [] }, 1)), ['09'])
  lookup.checkInvariants()
})

lookups('starts another request beside one that is slow, and still takes its answer', () => {
  const lookup = begin()
  lookup.start(entries('01', '03', '05', '09'), 0)
  assert.is(lookup.nextWakeup(), 300)
  assert.equal(asked(lookup.handle({ type: 'woken' }, 300)), ['09'])
  lookup.handle({ type: 'replied', contact: at('01'), contacts: [] }, 400)
  const [end] = lookup.handle({ type: 'replied', contact: at('03'), contacts: [] }, 401)
  assert.ok(end?.type === 'found' && end.result.complete)
  assert.is(lookup.nextWakeup(), undefined)
})

lookups('ends with what answered when its time is up', () => {
  const lookup = begin({ need: 3 })
  lookup.start(entries('01', '03', '05'), 0)
  lookup.handle({ type: 'replied', contact: at('05'), contacts: [] }, 10)
  const [end] = lookup.handle({ type: 'woken' }, 10_000)
  assert.equal(end, { type: 'found', result: { contacts: [at('05')], requests: 3, complete: false } })
})

lookups('ends at once without seeds', () => {
  assert.equal(begin().start([], 0), [{ type: 'found', result: { contacts: [], requests: 0, complete: true } }])
})

lookups('forgets what a peer vouched for once three of its contacts failed', () => {
  const lookup = begin({ need: 8, requestsMax: 64, parallel: 1 })
  lookup.start(entries('40'), 0)
  lookup.handle({ type: 'replied', contact: at('40'), contacts: entries('01', '02', '03', '04', '05') }, 1)
  for (const start of ['01', '02']) lookup.handle({ type: 'failed', from: at(start).nodeId }, 2)
  const [end] = lookup.handle({ type: 'failed', from: at('03').nodeId }, 3)
  assert.equal(end, { type: 'found', result: { contacts: [at('40')], requests: 4, complete: true } })
})

lookups('keeps what somebody else vouches for, too, and takes back what is named again', () => {
  const lookup = begin({ need: 8, requestsMax: 64, parallel: 1 })
  lookup.start(entries('40', '41'), 0)
  const named = entries('01', '02', '03', '0a', '0b')
  lookup.handle({ type: 'replied', contact: at('40'), contacts: named }, 1)
  lookup.handle({ type: 'failed', from: at('01').nodeId }, 2)
  lookup.handle({ type: 'failed', from: at('02').nodeId }, 3)
  // Only `40` named these: gone, and the next one asked is the other seed.
  assert.equal(asked(lookup.handle({ type: 'failed', from: at('03').nodeId }, 4)), ['41'])
  assert.equal(asked(lookup.handle({ type: 'replied', contact: at('41'), contacts: entries('01', '0a') }, 5)), ['0a'])
  const [end] = lookup.handle({ type: 'replied', contact: at('0a'), contacts: [] }, 6)
  assert.ok(end?.type === 'found')
  assert.equal(end.result.contacts, entries('0a', '40', '41'))
  lookup.checkInvariants()
})

lookups('takes no more than its bound from one reply', () => {
  const lookup = begin({ replyMax: 2, parallel: 16, requestsMax: 64, need: 20 })
  lookup.start(entries('40'), 0)
  assert.is(lookup.handle({ type: 'replied', contact: at('40'), contacts: entries('01', '02', '03') }, 1).length, 2)
})

lookups(
  'finds the true closest of any network whose peers know their neighbourhood, whatever the order of answers',
  () => {
    const point = fc
      .uint8Array({ minLength: 20, maxLength: 20 })
      .map((bytes) => Buffer.from(bytes).toString('hex') as NodeId)
    fc.assert(
      fc.property(
        fc.uniqueArray(point, { minLength: 1, maxLength: 60 }),
        point,
        fc.infiniteStream(fc.nat()),
        (ids, target, order) => {
          const peers = ids.filter((nodeId) => nodeId !== SELF).map((nodeId) => ({ nodeId }))
          const closest = (to: NodeId) =>
            [...peers].sort((a, b) => compareDistance(to, a.nodeId, b.nodeId)).slice(0, 20)
          const lookup = begin({ need: 8, requestsMax: 64 }, target)
          const queue: Entry[] = []
          let found: readonly Entry[] | undefined
          const perform = (effects: readonly LookupEffect<Entry>[]) => {
            lookup.checkInvariants()
            for (const effect of effects) {
              if (effect.type === 'ask') queue.push(effect.contact)
              else found = effect.result.contacts
            }
          }
          perform(lookup.start(peers.slice(0, 3), 0))
          while (found === undefined) {
            const [next] = queue.splice(order.next().value % queue.length, 1)
            perform(lookup.handle({ type: 'replied', contact: next!, contacts: closest(target) }, 0))
          }
          assert.equal(found.slice(0, 3), closest(target).slice(0, 3))
        },
      ),
      { numRuns: 200 },
    )
  },
)

lookups.run()
