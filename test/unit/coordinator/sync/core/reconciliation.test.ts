import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { answerRanges } from '../../../../../coordinator/sync/core/answer.js'
import { FactSet } from '../../../../../coordinator/sync/core/fact-set.js'
import type { PrintMaker } from '../../../../../coordinator/sync/core/prints.js'
import { FOUND_MAX, FRUITLESS_ROUNDS_MAX } from '../../../../../coordinator/sync/core/reconciliation.js'
import { newFactSet } from '../../../../../coordinator/sync/fact-set.js'
import type { Digest } from '../../../../../proto/model.js'
import type { RangeReply, RangeRequest } from '../../../../../proto/sync-messages.js'
import { idOf, idsOf, reconcile, reconcileSets, setOf } from '../sets.js'

const reconciliation = suite('Reconciliation')

reconciliation('two equal sets cost one round and less than 48 bytes', () => {
  for (const count of [0, 1, 32, 33, 10_000]) {
    const { here, there, complete, rounds, bytes } = reconcileSets(setOf(idsOf(0, count)), setOf(idsOf(0, count)))
    assert.equal([here.length, there.length, complete, rounds], [0, 0, true, 1])
    assert.ok(bytes <= 48, `${bytes} bytes`)
  }
})

reconciliation('one difference among 60,000 is found in 6 rounds and 4 KiB, on whichever side it is', () => {
  const more = setOf(idsOf(0, 60_000))
  const fewer = setOf(idsOf(1, 60_000))
  for (const [ours, theirs, here, there] of [
    [fewer, more, [idOf(0)], []],
    [more, fewer, [], [idOf(0)]],
  ] as const) {
    const found = reconcileSets(ours, theirs)
    assert.equal([found.here, found.there, found.complete], [here, there, true])
    assert.ok(found.rounds <= 6, `${found.rounds} rounds`)
    assert.ok(found.bytes <= 4_096, `${found.bytes} bytes`)
  }
})

reconciliation('any two sets become known to each other, each difference once', () => {
  const ids = fc.uniqueArray(
    fc
      .tuple(fc.constantFrom('', '', '', 'a'.repeat(5), 'b'.repeat(62)), fc.nat({ max: 300 }))
      .map(([prefix, i]) => (prefix + idOf(i)).slice(0, 64) as Digest),
    { maxLength: 500 },
  )
  fc.assert(
    fc.property(ids, ids, ids, (common, left, right) => {
      const a = new Set([...common, ...left])
      const b = new Set([...common, ...right])
      const found = reconcileSets(setOf(a), setOf(b))
      assert.equal([...found.here].sort(), [...b].filter((id) => !a.has(id)).sort())
      assert.equal([...found.there].sort(), [...a].filter((id) => !b.has(id)).sort())
      assert.ok(found.complete)
    }),
    { numRuns: 150 },
  )
})

reconciliation('sets of which half differs are told apart in bounded messages', () => {
  const found = reconcileSets(setOf(idsOf(0, 8_000)), setOf(idsOf(4_000, 12_000)))
  assert.equal([...found.here].sort(), idsOf(8_000, 12_000).sort())
  assert.equal([...found.there].sort(), idsOf(0, 4_000).sort())
  assert.ok(found.complete)
  assert.ok(found.messageBytesMax <= 192 * 1024, `a message of ${found.messageBytesMax} bytes`)
})

reconciliation('a newcomer gets everything, and an owner gives everything, one bound at a time', () => {
  const all = idsOf(0, FOUND_MAX + 10_000)
  const full = setOf(all)
  const fresh = newFactSet()
  const first = reconcileSets(fresh, full)
  assert.equal([first.here.length, first.complete], [FOUND_MAX, false])
  setOf(first.here, fresh)
  const second = reconcileSets(fresh, full)
  assert.equal([second.here.length, second.complete], [10_000, true])
  setOf(second.here, fresh)
  assert.equal(fresh.print(''), full.print(''))

  const given = reconcileSets(full, newFactSet())
  assert.equal([given.there.length, given.rounds, given.complete], [FOUND_MAX, 1, false])
  assert.is(new Set(given.there).size, FOUND_MAX)
})

reconciliation('facts that come in meanwhile neither stop it nor hide older differences', () => {
  const ours = setOf(idsOf(0, 5_000))
  const theirs = setOf(idsOf(100, 5_100))
  let next = 10_000
  const found = reconcile(ours, (request) => {
    for (let i = 0; i < 50; i++) ours.add(idOf(next++))
    for (let i = 0; i < 50; i++) theirs.add(idOf(next++))
    return answerRanges(theirs, request)
  })
  const here = new Set(found.here)
  const there = new Set(found.there)
  assert.ok(idsOf(5_000, 5_100).every((id) => here.has(id)))
  assert.ok(idsOf(0, 100).every((id) => there.has(id)))
})

reconciliation('a peer that makes up prints is asked a bounded number of times', () => {
  let made = 0
  const lie = (request: RangeRequest): RangeReply => {
    const prints = request.prints.flatMap(({ prefix, prints }) => {
      const prefixes = prints.length === 16 ? [prefix] : [...'0123'].map((digit) => prefix + digit)
      return prefixes.map((prefix) => ({ prefix, prints: new Uint8Array(256).map(() => ++made % 251 || 1) }))
    })
    return { answered: request.prints.length + request.wanted.length, prints, ids: [] }
  }
  const found = reconcile(setOf(idsOf(0, 20_000)), lie)
  assert.ok(found.rounds <= FRUITLESS_ROUNDS_MAX, `${found.rounds} rounds`)
})

reconciliation('a peer that tells what is known, one id at a time, is not listened to for ever', () => {
  const known = idsOf(0, 1_000).sort()
  const bore = (request: RangeRequest): RangeReply => {
    const after = request.wanted[0]?.after
    const id = known[after === undefined ? 0 : known.indexOf(after) + 1]!
    return { answered: 1, prints: [], ids: [{ prefix: '', ids: [id], complete: false }] }
  }
  const found = reconcile(setOf(known), bore)
  assert.equal([found.rounds, found.complete], [FRUITLESS_ROUNDS_MAX, false])
})

reconciliation('a peer that makes up ids is believed up to a bound', () => {
  let made = 0
  const lie = (request: RangeRequest): RangeReply => {
    const asked = [...request.wanted, ...request.prints.slice(0, 1).map(({ prefix }) => ({ prefix, after: undefined }))]
    const ids = asked.slice(0, 1).map(({ prefix, after }) => {
      const start = BigInt(`0x${(after ?? prefix).padEnd(64, '0')}`)
      return {
        prefix,
        ids: Array.from({ length: 2_048 }, () => (start + BigInt(++made)).toString(16).padStart(64, '0') as Digest),
        complete: false,
      }
    })
    return { answered: 1, prints: [], ids }
  }
  const found = reconcile(newFactSet(), lie)
  assert.ok(found.here.length <= FOUND_MAX)
  assert.not.ok(found.complete)
})

const REFUSED: readonly (readonly [why: string, reply: RangeReply])[] = [
  ['more answers than questions', { answered: 2, prints: [], ids: [] }],
  ['ids of a range nobody asked about', { answered: 1, prints: [], ids: [{ prefix: '3', ids: [], complete: true }] }],
  [
    'prints of a range nobody asked about',
    { answered: 1, prints: [{ prefix: '3', prints: new Uint8Array(256) }], ids: [] },
  ],
  [
    'a range spoken of twice',
    {
      answered: 1,
      prints: [{ prefix: '', prints: new Uint8Array(256) }],
      ids: [{ prefix: '', ids: [], complete: true }],
    },
  ],
]

for (const [why, reply] of REFUSED) {
  reconciliation(`${why}: refused, and the end`, () => {
    const found = reconcile(setOf(idsOf(0, 100)), () => reply)
    assert.type(found.refused, 'string')
    assert.equal([found.complete, found.rounds], [false, 1])
  })
}

reconciliation('any sensible-looking reply ends the talk in bounded rounds', () => {
  const digit = fc.constantFrom(...'0123456789abcdef')
  fc.assert(
    fc.property(fc.infiniteStream(fc.tuple(fc.nat({ max: 5 }), digit, fc.nat({ max: 255 }))), (choices) => {
      const answer = (request: RangeRequest): RangeReply => {
        const prints: { prefix: string; prints: Uint8Array }[] = []
        const ids: { prefix: string; ids: Digest[]; complete: boolean }[] = []
        for (const { prefix, prints: theirs } of request.prints) {
          const [kind, digit, byte] = choices.next().value
          const part = theirs.length === 16 ? prefix : prefix + digit
          if (kind < 3) prints.push({ prefix: part, prints: new Uint8Array(256).fill(byte) })
          else if (kind < 5) ids.push({ prefix: part, ids: [part.padEnd(64, digit) as Digest], complete: kind === 3 })
        }
        return {
          answered: 1 + (choices.next().value[2] % (request.prints.length + request.wanted.length)),
          prints,
          ids,
        }
      }
      const found = reconcile(setOf(idsOf(0, 2_000)), answer)
      assert.ok(found.rounds <= 4_096)
    }),
    { numRuns: 20 },
  )
})

reconciliation('a set forged so that its ids cancel out hides nothing, as it would with XOR for prints', () => {
  const common = idsOf(0, 1_000)
  const forged = cancellingIds(1_000)
  const xored = reconcileSets(
    setOf(common, new FactSet(XOR_PRINTS)),
    setOf([...common, ...forged], new FactSet(XOR_PRINTS)),
  )
  assert.equal([xored.here, xored.complete], [[], true], 'the forgery works where it should')
  const found = reconcileSets(setOf(common), setOf([...common, ...forged]))
  assert.equal([...found.here].sort(), [...forged].sort())
})

/** What a careless owner would take: the XOR of all ids below. */
const XOR_PRINTS: PrintMaker = { ofIds: (ids) => xorOf(ids, 32), ofParts: (prints) => xorOf(prints, 16) }

function xorOf(bytes: Uint8Array, stride: number): Uint8Array {
  const print = new Uint8Array(16)
  for (let start = 0; start < bytes.length; start += stride) for (let i = 0; i < 16; i++) print[i]! ^= bytes[start + i]!
  return print
}

/** Some ids, from the `first` on, the first 128 bits of which XOR to zero: by Gaussian elimination. */
function cancellingIds(first: number): Digest[] {
  const rows: { value: bigint; ids: Set<Digest> }[] = []
  for (let i = first; ; i++) {
    const id = idOf(i)
    let value = BigInt(`0x${id.slice(0, 32)}`)
    const ids = new Set([id])
    for (const row of rows) {
      if ((value ^ row.value) >= value) continue
      value ^= row.value
      for (const other of row.ids) if (!ids.delete(other)) ids.add(other)
    }
    if (value === 0n) return [...ids]
    rows.push({ value, ids })
    rows.sort((a, b) => (a.value < b.value ? 1 : -1))
  }
}

reconciliation.run()
