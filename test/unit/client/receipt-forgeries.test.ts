import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fetchReceipt, receiptContext } from '../../../client/evidence/receipt.js'
import { decodeReceipt, encodeReceipt } from '../../../client/evidence/receipt-file.js'
import { giveRulings } from '../../../client/submit/orders.js'
import { checkReceipt, type Receipt } from '../../../job/evidence/receipt.js'
import { digestOutput } from '../../../job/facts/digest.js'
import type { ReportFact, Signed } from '../../../proto/model.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { donors, printed } from '../../support/client/fake-job.js'
import { ed25519Verifier } from '../../support/ed25519-verifier.js'

const UNITS = 8
const context = receiptContext(sha256, ed25519Verifier, 0)
const spec = { source: { type: 'count' as const, count: UNITS }, shardUnits: 16 }

/** Receipts of three units of two jobs, both with rulings: one on the unit itself, that agrees with its donors, and one on another. */
async function receiptsOf(): Promise<readonly Receipt[]> {
  const found: Receipt[] = []
  for (const [nonce, units] of [
    ['11'.repeat(16), [5, 6]],
    ['22'.repeat(16), [5]],
  ] as const) {
    const grid = new FakeGrid()
    const job = grid.job({ ...spec, nonce }, (unit) => printed(`${unit}\n`))
    job.dissent = (unit) => (unit === 6 ? printed('another\n') : undefined)
    const ruled = (unit: number) => ({
      unit,
      outcome: 'done' as const,
      digest: digestOutput(sha256, printed(`${unit}\n`)),
      convicted: [],
      rightGrantors: [],
      wrongGrantors: [],
    })
    for (const unit of [5, 7]) await giveRulings(grid.client, await grid.client.job(job.jobId), [ruled(unit)])
    const known = await grid.client.job(job.jobId)
    for (const unit of units) found.push(await fetchReceipt(grid.client, known, unit))
  }
  return found
}

/** Bytes that say the same to a reader of protobuf, written otherwise: with a field that nobody knows, or one field twice. */
const otherwise = (bytes: Uint8Array, how: number): Uint8Array =>
  how % 2 === 0 ? Uint8Array.of(...bytes, 0xf8, 0x7f, 0x01) : Uint8Array.of(...bytes, ...bytes.subarray(0, 34))

/** One place in a list or a record of a receipt, and what is done there. */
type Change = (receipt: Receipt, others: readonly Receipt[], at: number, how: number) => Receipt
const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)]
const put = <T>(list: readonly T[], at: number, ...entries: readonly T[]): readonly T[] =>
  list.length === 0 ? entries : [...list.slice(0, at % list.length), ...entries, ...list.slice((at % list.length) + 1)]
const inFact = (receipt: Receipt, at: number, change: (fact: ReportFact) => ReportFact): Receipt => {
  const fact = pick(receipt.facts, at)
  return fact === undefined ? receipt : { ...receipt, facts: put(receipt.facts, at, change(fact)) }
}
const written = (signed: Signed, how: number): Signed => ({ ...signed, bytes: otherwise(signed.bytes, how) })

const CHANGES: Readonly<Record<string, Change>> = {
  dropFact: (receipt, _, at) => ({ ...receipt, facts: put(receipt.facts, at) }),
  doubleFact: (receipt, _, at) => ({
    ...receipt,
    facts: [...receipt.facts, ...receipt.facts.slice(at % 2, (at % 2) + 1)],
  }),
  turnFacts: (receipt) => ({ ...receipt, facts: [...receipt.facts].reverse() }),
  swapFact: (receipt, others, at, how) => {
    const stolen = pick(pick(others, how)!.facts, how)
    return stolen === undefined ? receipt : { ...receipt, facts: put(receipt.facts, at, stolen) }
  },
  addFact: (receipt, others, at) => ({ ...receipt, facts: [...receipt.facts, ...pick(others, at)!.facts] }),
  swapGrants: (receipt, others, at, how) =>
    inFact(receipt, at, (fact) => ({ ...fact, grants: pick(pick(others, how)!.facts, how)?.grants ?? [] })),
  crossGrants: (receipt, _, at) =>
    inFact(receipt, at, (fact) => ({ ...fact, grants: pick(receipt.facts, at + 1)?.grants ?? [] })),
  doubleGrant: (receipt, _, at) =>
    inFact(receipt, at, (fact) => ({ ...fact, grants: [...fact.grants, ...fact.grants] })),
  dropGrants: (receipt, _, at) => inFact(receipt, at, (fact) => ({ ...fact, grants: [] })),
  writeReport: (receipt, _, at, how) => inFact(receipt, at, (fact) => ({ ...fact, report: written(fact.report, how) })),
  // The donor itself may sign one report in two encodings.
  voteTwice: (receipt, _, at, how) => {
    const fact = pick(receipt.facts, at)
    if (fact === undefined) return receipt
    const bytes = otherwise(fact.report.bytes, how)
    const twice = donors.map(({ signer }) => ({ ...fact, report: { bytes, signature: signer.sign('report', bytes) } }))
    return { ...receipt, facts: [fact, ...twice.slice(how % 3, (how % 3) + 1)] }
  },
  writeGrant: (receipt, _, at, how) =>
    inFact(receipt, at, (fact) => ({ ...fact, grants: fact.grants.map((grant) => written(grant, how)) })),
  dropOrder: (receipt, _, at) => ({ ...receipt, orders: put(receipt.orders, at) }),
  doubleOrder: (receipt) => ({ ...receipt, orders: [...receipt.orders, ...receipt.orders] }),
  turnOrders: (receipt) => ({ ...receipt, orders: [...receipt.orders].reverse() }),
  foreignOrder: (receipt, others, at, how) => {
    const order = pick(pick(others, how)!.orders, how)
    return order === undefined ? receipt : { ...receipt, orders: put(receipt.orders, at, order) }
  },
  writeOrder: (receipt, _, at, how) => ({
    ...receipt,
    orders: receipt.orders.map((order, i) => (i === at ? written(order, how) : order)),
  }),
  foreignSpec: (receipt, others, at) => ({ ...receipt, spec: pick(others, at)!.spec }),
  writeSpec: (receipt, _, __, how) => ({ ...receipt, spec: written(receipt.spec, how) }),
  cutSpec: (receipt, _, at) => ({ ...receipt, spec: { ...receipt.spec, bytes: receipt.spec.bytes.slice(0, at) } }),
  foreignOutput: (receipt, others, at) => ({ ...receipt, output: pick(others, at)!.output }),
  writeOutput: (receipt, _, __, how) => ({ ...receipt, output: otherwise(receipt.output, how) }),
  cutOutput: (receipt, _, at) => ({ ...receipt, output: receipt.output.slice(0, at % receipt.output.length) }),
  otherUnit: (receipt, _, at) => ({ ...receipt, unit: at % (UNITS + 2) }),
}

const test = suite('forged receipts')

test('put together from parts of others, doubled, cut, turned or written otherwise, say what the true ones say or nothing', async () => {
  const receipts = await receiptsOf()
  const statement = (receipt: Receipt): string | undefined => {
    const checked = checkReceipt(receipt, context)
    if (!checked.ok) return undefined
    const { digest, outcome } = checked.evidence
    return `${checked.jobId} ${receipt.unit} ${outcome} ${digest} ${new TextDecoder().decode(checked.output?.stdout)}`
  }
  const truths = new Set(receipts.map(statement))
  assert.not(truths.has(undefined))
  const change = fc.tuple(fc.constantFrom(...Object.keys(CHANGES)), fc.nat(40), fc.nat(40))
  let refused = 0
  let same = 0
  fc.assert(
    fc.property(fc.nat(2), fc.array(change, { minLength: 1, maxLength: 4 }), (which, changes) => {
      let forged = receipts[which]!
      const others = receipts.filter((_, i) => i !== which)
      for (const [name, at, how] of changes) forged = CHANGES[name]!(forged, others, at, how)
      const said = statement(decodeReceipt(encodeReceipt(forged, sha256), sha256))
      if (said === undefined) refused++
      else same++
      assert.ok(said === undefined || truths.has(said), said)
    }),
    { numRuns: 300 },
  )
  assert.ok(refused > 50 && same > 5, `${refused} refused, ${same} say the same`)
})

test('one donor is one vote, in however many encodings it signs its report', async () => {
  const [receipt] = await receiptsOf()
  const own = { ...receipt!, orders: [] }
  const [fact] = own.facts
  const { signer } = donors.find(({ publicKey }) =>
    ed25519Verifier.verify(publicKey, 'report', fact!.report.bytes, fact!.report.signature),
  )!
  const bytes = otherwise(fact!.report.bytes, 0)
  const again: ReportFact = { ...fact!, report: { bytes, signature: signer.sign('report', bytes) } }
  const checked = checkReceipt({ ...own, facts: [fact!, again] }, context)
  assert.not(checked.ok)
  assert.match(checked.ok ? '' : checked.reason, /^(a report is void: |these reports leave unit 5 open)/)
})

test('files that were cut or go on are refused', async () => {
  const [receipt] = await receiptsOf()
  const file = encodeReceipt(receipt!, sha256)
  const isRead = (bytes: Uint8Array) => {
    try {
      decodeReceipt(bytes, sha256)
      return true
    } catch (error) {
      assert.ok(error instanceof GridError && error.code === 'corrupt')
      return false
    }
  }
  assert.ok(isRead(file))
  for (let length = 0; length < file.length; length += 7)
    assert.not(isRead(file.subarray(0, length)), `${length} bytes`)
  for (const more of ['\n', ' ', '\0', '{}', new TextDecoder().decode(file)])
    assert.not(isRead(Uint8Array.of(...file, ...new TextEncoder().encode(more))), JSON.stringify(more.slice(0, 5)))
})

test.run()
