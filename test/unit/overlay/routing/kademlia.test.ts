import { createRequire } from 'node:module'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Lookup, type LookupEffect, type LookupLimits } from '../../../../overlay/routing/core/lookup.js'
import { compareDistance } from '../../../../overlay/routing/core/node-id.js'
import { createShortlist, createTable, SPARES_PER_BUCKET_MAX } from '../../../../overlay/routing/kademlia.js'
import type { NodeId } from '../../../../proto/model.js'

interface Entry {
  readonly nodeId: NodeId
}

const loaded = () => Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('kademlia-dht'))
const never = (file: string) =>
  assert.not.ok(
    loaded().some((path) => path.endsWith(`/${file}`)),
    `${file} is never loaded`,
  )
const entry = (start: string, end = ''): Entry => ({ nodeId: (start.padEnd(40 - end.length, '0') + end) as NodeId })
const SELF = entry('00').nodeId
const ids = (entries: Iterable<Entry>) => [...entries].map(({ nodeId }) => nodeId)
const LIMITS: LookupLimits = {
  width: 20,
  parallel: 3,
  softTimeoutMs: 300,
  need: 8,
  requestsMax: 64,
  durationMaxMs: 10_000,
  replyMax: 20,
  blame: 3,
}

/** Runs a lookup against `answer`, undefined meaning no answer; gives who was asked and what was found. */
function run(
  target: Entry,
  seeds: readonly Entry[],
  answer: (asked: Entry) => readonly Entry[] | undefined,
  limits = LIMITS,
) {
  const lookup = new Lookup<Entry>(target.nodeId, SELF, createShortlist(target.nodeId, limits.width), limits)
  const asked: NodeId[] = []
  let found: readonly Entry[] | undefined
  const queue: Entry[] = []
  let openMax = 0
  const perform = (effects: readonly LookupEffect<Entry>[]) => {
    lookup.checkInvariants()
    for (const effect of effects) {
      if (effect.type === 'ask') queue.push(effect.contact)
      else found = effect.result.contacts
    }
    openMax = Math.max(openMax, queue.length)
  }
  perform(lookup.start(seeds, 0))
  for (let next = queue.shift(); next !== undefined && found === undefined; next = queue.shift()) {
    asked.push(next.nodeId)
    const contacts = answer(next)
    perform(
      lookup.handle(contacts ? { type: 'replied', contact: next, contacts } : { type: 'failed', from: next.nodeId }, 0),
    )
  }
  return { asked, found: ids(found ?? []), openMax }
}

const defects = suite('the 24 defects of kademlia-dht 0.1.0')

defects('only the five modules without the node, its lookup and its network are loaded', () => {
  const names = loaded().map((path) => path.slice(path.lastIndexOf('/') + 1))
  assert.equal(names.sort(), ['bucket.js', 'contact.js', 'id.js', 'lookup-list.js', 'routing-table.js'])
})

defects('D1: a live old contact keeps its place when a newcomer finds the bucket full', () => {
  const table = createTable<Entry>(SELF, 2)
  for (const start of ['80', '81']) table.offer(entry(start))
  assert.is(table.offer(entry('82')), 'spare')
  assert.equal(ids(table.closest(entry('80').nodeId, 9)), [entry('80').nodeId, entry('81').nodeId])
})

defects('D2: a dropped contact is gone', () => {
  const table = createTable<Entry>(SELF, 20)
  table.offer(entry('80'))
  table.drop(entry('80').nodeId)
  assert.is(table.size, 0)
  assert.equal(table.closest(entry('80').nodeId, 1), [])
})

defects('D3: three dead nearest contacts do not empty a lookup that knows seventeen live ones', () => {
  const dead = ['c1', 'c2', 'c3'].map((start) => entry(start))
  const live = Array.from({ length: 17 }, (_, i) => entry((0x10 + i).toString(16)))
  const { found } = run(entry('c0'), [...dead, ...live], (asked) => (dead.includes(asked) ? undefined : []))
  assert.is(found.length >= 8, true)
})

defects('D4: a contact that failed is asked once in a lookup, however often others name it', () => {
  const dead = entry('80', '1')
  const { asked } = run(entry('80'), [dead, ...['41', '42', '43', '44'].map((start) => entry(start))], (it) =>
    it === dead ? undefined : [dead],
  )
  assert.is(asked.filter((nodeId) => nodeId === dead.nodeId).length, 1)
})

defects('D5: a second answer to one request changes nothing, and the end comes once', () => {
  const lookup = new Lookup<Entry>(entry('80').nodeId, SELF, createShortlist(entry('80').nodeId, 20), LIMITS)
  const only = entry('81')
  assert.equal(lookup.start([only], 0), [{ type: 'ask', contact: only }])
  assert.is(lookup.handle({ type: 'replied', contact: only, contacts: [] }, 1)[0]?.type, 'found')
  assert.equal(lookup.handle({ type: 'replied', contact: only, contacts: [entry('80', '1')] }, 2), [])
  assert.equal(lookup.handle({ type: 'failed', from: only.nodeId }, 3), [])
})

defects('D6: a lookup from one seed uses all its parallel requests once it knows more', () => {
  const seed = entry('ff')
  const rest = Array.from({ length: 15 }, (_, i) => entry((0x81 + i).toString(16)))
  assert.is(run(entry('80'), [seed], (asked) => (asked === seed ? rest : [])).openMax, 3)
})

for (const [name, what] of [
  ['D7', 'a key called hasOwnProperty breaks every read'],
  ['D8', 'a key called __proto__ forges all keys'],
  ['D9', 'anybody overwrites any value, without bound'],
  ['D10', 'a claimed id takes over its address'],
  ['D13', 'a lone node cannot read what it wrote'],
  ['D14', 'a write that nobody stored reports success'],
  ['D15', 'falsy values are skipped'],
  ['D16', 'a malformed contact throws out of the reply callback'],
  ['D18', 'joining reports success though nobody answered'],
  ['D19', 'the constructor of the documentation throws'],
] as const) {
  defects(`${name}: "${what}" cannot happen: the file that does it is never loaded`, () => never('dht.js'))
}

defects('D11: a near contact is stored even when one split is not enough', () => {
  const table = createTable<Entry>(SELF, 2)
  for (const end of ['1', '2', '3', '4', '5']) assert.is(table.offer(entry('00', end)), 'stored')
  assert.is(table.size, 5)
})

defects('D12: a full bucket that covers the own id is split for a newcomer on the far side', () => {
  const table = createTable<Entry>(SELF, 2)
  for (const start of ['01', '02']) table.offer(entry(start))
  assert.is(table.offer(entry('80')), 'stored')
})

defects('D17: ids and contacts of the package never leave the adapter', () => {
  const table = createTable<Entry>(SELF, 20)
  const given = entry('80')
  table.offer(given)
  assert.is(table.closest(given.nodeId, 1)[0], given)
  assert.is(table.get(given.nodeId), given)
})

defects('D20: a peer that names ever closer ids cannot hold a lookup beyond its bound', () => {
  let step = 0
  const closer = () => ({ nodeId: (BigInt(2) ** BigInt(159 - step++)).toString(16).padStart(40, '0') as NodeId })
  const { asked } = run(entry('00', '1'), [closer()], () => [closer()])
  assert.is(asked.length, LIMITS.requestsMax)
})

defects('D21: newcomers to a full bucket are kept as spares, the newest eight, and take over when one leaves', () => {
  const table = createTable<Entry>(SELF, 1)
  table.offer(entry('80'))
  const newcomers = Array.from({ length: 39 }, (_, i) => entry((0x81 + i).toString(16)))
  for (const newcomer of newcomers) assert.is(table.offer(newcomer), 'spare')
  assert.is(table.drop(entry('80').nodeId), newcomers.at(-1))
  const kept = newcomers.slice(-SPARES_PER_BUCKET_MAX, -1).reverse()
  const promoted = kept.map(() => {
    const holder = entry('ff')
    table.offer(holder)
    return table.drop(holder.nodeId)
  })
  assert.equal(promoted, kept)
  table.offer(entry('ff'))
  assert.is(table.drop(entry('ff').nodeId), undefined)
})

defects('D22: ids come from bytes, not from the reader that gives the zero id', () => {
  const table = createTable<Entry>(SELF, 1)
  for (const start of ['80', '40', '20']) assert.is(table.offer(entry(start)), 'stored')
  assert.equal(ids(table.closest(entry('4f').nodeId, 1)), [entry('40').nodeId])
  never('mock-rpc.js')
})

defects('D23: the node itself is neither stored nor asked', () => {
  const table = createTable<Entry>(SELF, 20)
  assert.is(table.offer({ nodeId: SELF }), 'refused')
  const { asked, found } = run(entry('80'), [entry('81')], () => [{ nodeId: SELF }])
  assert.not.ok([...asked, ...found].includes(SELF))
})

defects('D24: invented near contacts cannot push the honest ones out of a lookup', () => {
  const target = entry('80')
  const honest = Array.from({ length: 30 }, (_, i) => entry((0x90 + i).toString(16)))
  const liar = entry('ff')
  let invented = 0
  const fakes = () => Array.from({ length: 20 }, () => entry('80', (++invented).toString(16).padStart(4, '0')))
  const truth = ids([...honest].sort((a, b) => compareDistance(target.nodeId, a.nodeId, b.nodeId))).slice(0, 8)
  const known = new Set(ids([...honest, liar]))
  const { found } = run(target, [liar, ...honest.slice(0, 12)], (asked) => {
    if (!known.has(asked.nodeId)) return undefined
    return asked === liar ? fakes() : honest.slice(0, 20)
  })
  assert.equal(found.slice(0, 8), truth)
  never('lookup.js')
})

defects.run()
