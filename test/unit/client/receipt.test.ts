import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fetchReceipt, receiptContext } from '../../../client/evidence/receipt.js'
import { decodeReceipt, encodeReceipt } from '../../../client/evidence/receipt-file.js'
import { giveRulings } from '../../../client/submit/orders.js'
import { checkReceipt, type Receipt } from '../../../job/evidence/receipt.js'
import { digestOutput } from '../../../job/facts/digest.js'
import { unitOutputCodec } from '../../../proto/codec/facts.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { donors, factBy, printed } from '../../support/client/fake-job.js'
import { ed25519Verifier } from '../../support/ed25519-verifier.js'
import { rejects } from '../../support/rejects.js'

const UNIT = 5
const context = receiptContext(sha256, ed25519Verifier, 0)
const small = { source: { type: 'count' as const, count: 8 }, shardUnits: 16 }

async function receiptOf(changes = {}, dissent = false): Promise<{ grid: FakeGrid; receipt: Receipt }> {
  const grid = new FakeGrid()
  const job = grid.job({ ...small, ...changes }, (unit) => printed(`${unit}\n`))
  if (dissent) job.dissent = () => printed('another\n')
  return { grid, receipt: await fetchReceipt(grid.client, await grid.client.job(job.jobId), UNIT) }
}

const reasonOf = (receipt: Receipt): string => {
  const checked = checkReceipt(receipt, context)
  return checked.ok ? 'valid' : checked.reason
}

/** Whether a file is taken as a receipt and proves something. */
function isTaken(file: Uint8Array): boolean {
  try {
    return checkReceipt(decodeReceipt(file, sha256), context).ok
  } catch (error) {
    if (error instanceof GridError && error.code === 'corrupt') return false
    throw error
  }
}

const receipts = suite('receipt')

receipts('proves a unit far from the grid: who asked, who answered, who granted, what came out', async () => {
  const { grid, receipt } = await receiptOf()
  const checked = checkReceipt(decodeReceipt(encodeReceipt(receipt, sha256), sha256), context)
  assert.ok(checked.ok)
  assert.is(checked.spec.submitter, grid.submitter.publicKey)
  assert.equal(
    checked.evidence.agreeing.map(({ donor }) => donor).sort(),
    [donors[0]!.publicKey, donors[1]!.publicKey].sort(),
  )
  assert.is(new TextDecoder().decode(checked.output!.stdout), '5\n')
})

receipts('with any one byte changed is refused', async () => {
  const { receipt } = await receiptOf()
  const file = encodeReceipt(receipt, sha256)
  assert.ok(isTaken(file))
  for (let at = 0; at < file.length; at++) {
    for (const flip of [0x01, 0x20]) {
      const changed = file.slice()
      changed[at]! ^= flip
      assert.ok(!isTaken(changed), `byte ${at} of ${file.length}`)
    }
  }
})

receipts('with a byte changed and its digest made anew is refused all the same', async () => {
  const { receipt } = await receiptOf()
  const text = new TextDecoder().decode(encodeReceipt(receipt, sha256))
  const body = `${text.slice(0, text.indexOf(',\n "sha256"'))}\n}`
  let met = 0
  for (let at = 0; at < body.length; at += 5) {
    const changed = utf8(body)
    changed[at]! ^= 0x01
    let forged: Receipt
    try {
      const fields = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(changed))
      const bytes = (value: string) => new Uint8Array(Buffer.from(value, 'base64'))
      const signed = (value: { bytes: string; signature: string }) => ({
        bytes: bytes(value.bytes),
        signature: bytes(value.signature),
      })
      forged = {
        unit: fields.unit,
        spec: signed(fields.spec),
        orders: fields.orders.map(signed),
        facts: fields.facts.map((fact: { report: never; grants: never[] }) => ({
          report: signed(fact.report),
          grants: fact.grants.map(signed),
        })),
        output: bytes(fields.output),
      }
      forged = decodeReceipt(encodeReceipt(forged, sha256), sha256)
    } catch {
      continue
    }
    // What only changed how it was written is the receipt itself.
    if (sha256(encodeReceipt(forged, sha256)) === sha256(encodeReceipt(receipt, sha256))) continue
    met++
    assert.is.not(reasonOf(forged), 'valid', `character ${at}`)
  }
  assert.ok(met > 300, `${met} forgeries were checked`)
})

receipts('keeps votes that contradict the result', async () => {
  const { receipt } = await receiptOf({}, true)
  const checked = checkReceipt(receipt, context)
  assert.ok(checked.ok)
  assert.is(checked.judgement.conflicting.length, 1)
})

receipts('of a unit on which one believed donor was enough carries what makes that donor believed', async () => {
  const grid = new FakeGrid()
  const policy = { type: 'confidence' as const, errorPpm: 1_000 }
  const spec = { source: { type: 'count' as const, count: 128 }, shardUnits: 128, policy, requires: ['confidence'] }
  const job = grid.job(spec, (unit) => printed(`${unit}\n`))
  job.opinions = (first) => (first === 0 ? 2 : 1)
  const receipt = await fetchReceipt(grid.client, await grid.client.job(job.jobId), 100)
  const checked = checkReceipt(decodeReceipt(encodeReceipt(receipt, sha256), sha256), context)
  assert.ok(checked.ok && checked.evidence.donors === 1)
  const alone = receipt.facts.filter((_, i) => i === receipt.facts.length - 1)
  assert.is(reasonOf({ ...receipt, facts: alone }), 'these reports leave unit 100 open')
})

receipts('says why it proves nothing', async () => {
  const { grid, receipt } = await receiptOf()
  const [first] = receipt.facts
  assert.is(reasonOf({ ...receipt, facts: [first!] }), 'these reports leave unit 5 open')
  assert.is(reasonOf({ ...receipt, facts: [...receipt.facts, first!] }), 'a report stands twice')
  assert.is(reasonOf({ ...receipt, unit: 8 }), 'the job has no unit 8')
  assert.match(reasonOf({ ...receipt, unit: 6 }), /digest/)
  const other = printed('6\n')
  assert.match(reasonOf({ ...receipt, output: unitOutputCodec.encode(other) }), /digest/)
  const stranger = factBy(
    { jobId: 'ab'.repeat(32) as never },
    0,
    [{ unit: UNIT, output: other, encoded: unitOutputCodec.encode(other) }],
    donors[2]!,
    grid.peers[0]!.identity,
    2,
  )
  assert.is(reasonOf({ ...receipt, facts: [...receipt.facts, stranger] }), 'a report is void: reportOtherJob')
})

receipts('leans on a ruling that it carries, and is nothing without the vote that the ruling lets count', async () => {
  const grid = new FakeGrid()
  const job = grid.job(small, (unit) => printed(unit === UNIT ? 'false\n' : `${unit}\n`))
  job.dissent = (unit) => (unit === UNIT ? printed('5\n') : undefined)
  const known = await grid.client.job(job.jobId)
  const right = digestOutput(sha256, printed('5\n'))
  const convicted = [donors[0]!.publicKey, donors[1]!.publicKey].sort()
  await giveRulings(grid.client, known, [
    { unit: UNIT, outcome: 'done', digest: right, convicted, rightGrantors: [], wrongGrantors: [] },
  ])
  // What donors said stays said; owners now have the output of the ruled answer.
  job.facts(0, grid.peers[0]!.identity)
  job.computed = (unit) => printed(`${unit}\n`)
  const receipt = await fetchReceipt(grid.client, await grid.client.job(job.jobId), UNIT)
  const checked = checkReceipt(receipt, context)
  assert.ok(checked.ok && checked.judgement.ruled && checked.evidence.donors === 1)
  assert.is(reasonOf({ ...receipt, orders: [] }), 'the output does not have the digest that was agreed on')
})

receipts('is not made for a unit without a result', async () => {
  const grid = new FakeGrid()
  const job = grid.job(small, () => 'open')
  await rejects(fetchReceipt(grid.client, await grid.client.job(job.jobId), UNIT), 'unavailable')
})

receipts.run()
