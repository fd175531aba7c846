import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { resolveOptions } from '../../../../../overlay/options.js'
import type { UpkeepEffect, UpkeepEvent } from '../../../../../overlay/routing/core/messages.js'
import { Upkeep } from '../../../../../overlay/routing/core/upkeep.js'
import { createTable } from '../../../../../overlay/routing/kademlia.js'
import type { NodeId } from '../../../../../proto/model.js'
import type { Random } from '../../../../../runtime/random.js'
import { contactAt } from './contacts.js'

const SELF = '0'.repeat(40) as NodeId
const steady: Random = { next: () => 0.5, int: (bound) => bound >> 1, bytes: (count) => new Uint8Array(count) }
const OPTIONS = resolveOptions('wan')
const begin = (changes = {}) => new Upkeep(SELF, createTable, { ...OPTIONS, ...changes }, steady, 0)
const said = (effects: readonly UpkeepEffect[]) =>
  effects.map((effect) => (effect.type === 'ping' ? `ping ${effect.contact.nodeId.slice(0, 2)}` : effect.type))

const upkeep = suite('Upkeep')

upkeep('lets a caller into the table only after it answered a ping of ours', () => {
  const state = begin()
  const caller = contactAt('80')
  assert.equal(said(state.handle({ type: 'called', contact: caller }, 1)), ['ping 80'])
  assert.equal(said(state.handle({ type: 'called', contact: caller }, 2)), [], 'one check at a time')
  assert.is(state.size, 0)
  assert.equal(said(state.handle({ type: 'answered', contact: caller }, 3)), ['neighboursChanged'])
  assert.is(state.size, 1)
  state.checkInvariants()
})

upkeep('hides a contact that missed once, asks it again a second later, and buries it after the second miss', () => {
  const state = begin()
  for (const start of ['80', '40']) state.handle({ type: 'answered', contact: contactAt(start) }, 0)
  const { nodeId } = contactAt('80')
  state.handle({ type: 'missed', nodeId }, 100)
  state.handle({ type: 'missed', nodeId }, 101)
  assert.equal(
    state.closestVerified(nodeId, 20, 200).map((contact) => contact.nodeId),
    [contactAt('40').nodeId],
  )
  assert.ok(
    state.nearest(nodeId, 20).some((contact) => contact.nodeId === nodeId),
    'it keeps its place',
  )
  assert.is(state.nextWakeup(), 1_101)
  assert.equal(said(state.handle({ type: 'woken' }, 1_101)), ['ping 80'])
  assert.equal(said(state.handle({ type: 'missed', nodeId }, 2_000)), ['neighboursChanged', 'lookUp'])
  assert.is(state.contact(nodeId), undefined)
  state.checkInvariants()
})

upkeep('believes a contact again that answers between two misses', () => {
  const state = begin()
  const contact = contactAt('80')
  for (let i = 0; i < 5; i++) {
    state.handle({ type: 'answered', contact }, i * 5_000)
    state.handle({ type: 'missed', nodeId: contact.nodeId }, i * 5_000 + 2_500)
  }
  assert.is(state.size, 1)
})

upkeep('probes the buried with growing pauses, and looks around when one rises', () => {
  const state = begin({ tickMs: 10_000 })
  const contact = contactAt('80')
  state.handle({ type: 'answered', contact: contactAt('40') }, 0)
  state.handle({ type: 'answered', contact }, 0)
  for (const at of [1_000, 2_000]) state.handle({ type: 'missed', nodeId: contact.nodeId }, at)
  const probes: number[] = []
  for (let now = 5_000; now < 200_000; now += 5_000) {
    state.handle({ type: 'answered', contact: contactAt('40') }, now)
    if (said(state.handle({ type: 'woken' }, now)).includes('ping 80')) {
      probes.push(now)
      state.handle({ type: 'missed', nodeId: contact.nodeId }, now + 1)
    }
  }
  const pauses = probes.slice(1).map((at, i) => at - probes[i]!)
  assert.ok(probes.length >= 3 && pauses.every((pause, i) => i === 0 || pause > pauses[i - 1]!), `${probes}`)
  assert.equal(said(state.handle({ type: 'answered', contact }, 200_001)), ['neighboursChanged', 'lookUp'])
})

upkeep('pings the nearest every round and the stalest of the others', () => {
  const state = begin({ nearest: 2, sweep: 1 })
  for (const start of ['80', '81', '40', '01']) state.handle({ type: 'answered', contact: contactAt(start) }, 0)
  state.handle({ type: 'answered', contact: contactAt('81') }, 20_000)
  assert.equal(
    said(state.handle({ type: 'woken' }, 31_000)).filter((effect) => effect.startsWith('ping')),
    ['ping 01', 'ping 40', 'ping 80'],
  )
})

upkeep('pings the nearest also in a round that comes early after the last one', () => {
  const early: Random = { ...steady, next: () => 0 }
  const state = new Upkeep(SELF, createTable, OPTIONS, early, 0)
  const contact = contactAt('01')
  state.handle({ type: 'answered', contact }, 0)
  const pinged: number[] = []
  for (let now = 0; now <= 40_000; now = state.nextWakeup()) {
    if (said(state.handle({ type: 'woken' }, now)).includes('ping 01')) pinged.push(now)
    state.handle({ type: 'answered', contact }, now)
  }
  const pauses = pinged.slice(1).map((at, i) => at - pinged[i]!)
  assert.ok(pauses.length >= 3 && pauses.every((pause) => pause <= 12_000), `pauses ${pauses}`)
})

upkeep('looks around once when several neighbours are found dead together, and once more a second later', () => {
  const state = begin()
  const starts = ['80', '40', '20', '10']
  for (const start of starts) state.handle({ type: 'answered', contact: contactAt(start) }, 0)
  const lookUps: number[] = []
  const feed = (event: UpkeepEvent, now: number) => {
    if (said(state.handle(event, now)).includes('lookUp')) lookUps.push(now)
  }
  for (const start of starts.slice(1)) {
    for (const at of [100, 1_200]) feed({ type: 'missed', nodeId: contactAt(start).nodeId }, at)
  }
  while (state.nextWakeup() < 4_000) feed({ type: 'woken' }, state.nextWakeup())
  assert.equal(lookUps, [1_200, 2_200])
})

upkeep('never asks to be woken for what it then does not do, whatever the instants are rounded to', () => {
  const instant = fc.double({ min: 0, max: 1e5, noNaN: true })
  fc.assert(
    fc.property(instant, instant, (first, later) => {
      const state = begin()
      for (const start of ['80', '40', '20']) state.handle({ type: 'answered', contact: contactAt(start) }, 0)
      const bury = (start: string, at: number) => {
        for (const now of [at, at + 1_500]) state.handle({ type: 'missed', nodeId: contactAt(start).nodeId }, now)
      }
      bury('80', first)
      bury('40', first + (later % 900))
      for (let i = 0; i < 20; i++) {
        const now = state.nextWakeup()
        state.handle({ type: 'woken' }, now)
        assert.ok(state.nextWakeup() > now, `again at ${now}`)
      }
    }),
    { numRuns: 300 },
  )
})

upkeep('takes at most two contacts of a /24 into a bucket and ten into the table; private addresses are exempt', () => {
  const fill = (address: (i: number) => string) => {
    const state = begin()
    for (let i = 0; i < 8; i++) {
      for (let j = 0; j < 8; j++) {
        const nodeId = ((1n << BigInt(159 - i)) + BigInt(j)).toString(16).padStart(40, '0') as NodeId
        state.handle({ type: 'answered', contact: contactAt('00', { nodeId, addresses: [address(i * 8 + j)] }) }, 0)
      }
    }
    state.checkInvariants()
    return state.size
  }
  assert.is(
    fill((i) => `203.0.113.${i}:4747`),
    10,
  )
  assert.is(
    fill((i) => `192.168.1.${i}:4747`),
    64,
  )
  assert.is(
    fill((i) => `203.0.${i}.1:4747`),
    64,
  )
})

upkeep('says when nobody is left', () => {
  const state = begin()
  const contact = contactAt('80')
  state.handle({ type: 'answered', contact }, 0)
  state.handle({ type: 'missed', nodeId: contact.nodeId }, 1_000)
  assert.ok(said(state.handle({ type: 'missed', nodeId: contact.nodeId }, 3_000)).includes('isolated'))
})

upkeep('keeps its invariants under any order of events', () => {
  const start = fc.integer({ min: 1, max: 255 }).map((value) => value.toString(16).padStart(2, '0'))
  const event: fc.Arbitrary<UpkeepEvent> = start.chain((text) => {
    const contact = contactAt(text, { addresses: [`203.0.113.${text.length}:1`] })
    return fc.constantFrom<UpkeepEvent>(
      { type: 'called', contact },
      { type: 'answered', contact },
      { type: 'missed', nodeId: contact.nodeId },
      { type: 'woken' },
    )
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(event, fc.integer({ min: 0, max: 20_000 })), { maxLength: 200 }), (events) => {
      const state = begin({ k: 4, graveyardMax: 3, checksMax: 2 })
      let now = 0
      for (const [item, pause] of events) {
        now += pause
        state.handle(item, now)
        state.checkInvariants()
      }
    }),
  )
})

upkeep.run()
