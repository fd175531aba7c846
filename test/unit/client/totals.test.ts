import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { betterOf, collectTotals, totalsContext } from '../../../client/evidence/totals.js'
import { decodeTotals, encodeTotals, isTotalsFile } from '../../../client/evidence/totals-file.js'
import { givenBy } from '../../../coordinator/services/attest.js'
import { checkTotals, type JobTotals, type Totals } from '../../../job/evidence/totals.js'
import { jobIdOf } from '../../../job/spec/spec.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { attestationCodec } from '../../../proto/codec/attestation.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import type { Attestation, JobId, JobSpec, Key, Signed } from '../../../proto/model.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { printed } from '../../support/client/fake-job.js'
import { OwnerGrid } from '../../support/cores/owner-grid.js'
import { ed25519Verifier } from '../../support/ed25519-verifier.js'
import { specWith } from '../job/fixture.js'

const worker = createIdentity()
const submitter = createIdentity()
const owners = [createIdentity(), createIdentity(), createIdentity()]
const context = totalsContext(sha256, ed25519Verifier, () => 0)

const signedSpec = (changes: Partial<JobSpec> = {}): Signed => {
  const source = { type: 'count' as const, count: 100 }
  const bytes = jobSpecCodec.encode(specWith({ submitter: submitter.publicKey, source, minGrantors: 2, ...changes }))
  return { bytes, signature: submitter.signer.sign('spec', bytes) }
}
const attested = (owner: Identity, jobId: JobId, changes: Partial<Attestation> = {}): Signed => {
  const bytes = attestationCodec.encode({
    jobId,
    shard: 0,
    owner: owner.publicKey,
    ownerIdNonce: owner.idNonce,
    worker: worker.publicKey,
    units: 10,
    fuel: 1_000n,
    attestedAtMs: 5,
    ...changes,
  })
  return { bytes, signature: owner.signer.sign('attestation', bytes) }
}
/** A job of two shards, of which owners attest so many units. */
function jobWith(units: readonly (readonly number[])[], changes: Partial<JobSpec> = {}): JobTotals {
  const spec = signedSpec(changes)
  const jobId = jobIdOf(sha256, spec.bytes)
  const shards = units.map((list, shard) =>
    list.map((count, i) => attested(owners[i]!, jobId, { shard, units: count, fuel: BigInt(count) })),
  )
  return { spec, orders: [], shards }
}
const totalsOf = (...jobs: readonly JobTotals[]): Totals => ({ worker: worker.publicKey, jobs })
const reasonOf = (totals: Totals): string => {
  const checked = checkTotals(totals, context)
  return checked.ok ? 'valid' : checked.reason
}

const test = suite('signed totals')

test('count of each shard what as many owners attest as a result needs', () => {
  const checked = checkTotals(
    totalsOf(
      jobWith([
        [10, 64, 12],
        [5, 5],
      ]),
    ),
    context,
  )
  assert.ok(checked.ok)
  const [job] = checked.jobs
  assert.equal([job!.units, job!.fuel, job!.shards, job!.owners], [17, 17n, 2, 3])
  assert.is(job!.spec.submitter, submitter.publicKey)
  const one = checkTotals(totalsOf(jobWith([[7]], { minGrantors: 1 })), context)
  assert.is(one.ok && one.jobs[0]!.units, 7)
})

test('are refused for anything that is wrong or does not belong there', () => {
  const good = jobWith([[10, 10]])
  const jobId = jobIdOf(sha256, good.spec.bytes)
  const [first, second] = good.shards[0]!
  const withShard = (...shard: readonly Signed[]) => totalsOf({ ...good, shards: [shard] })
  assert.is(reasonOf(totalsOf(good)), 'valid')
  assert.is(reasonOf(totalsOf(good, good)), 'a job stands twice')
  assert.is(reasonOf(withShard(first!)), '1 of 2 owners attest a shard')
  assert.is(reasonOf(withShard(first!, first!)), 'an owner stands twice')
  assert.is(
    reasonOf(
      totalsOf({
        ...good,
        shards: [
          [first!, second!],
          [first!, second!],
        ],
      }),
    ),
    'a shard stands twice',
  )
  assert.is(reasonOf(totalsOf({ ...good, shards: [] })), 'a job has no attestation')
  const of = (changes: Partial<Attestation>) => reasonOf(withShard(first!, attested(owners[1]!, jobId, changes)))
  assert.is(of({ shard: 1 }), 'attestations of one shard are about two')
  assert.is(of({ worker: owners[0]!.publicKey }), 'an attestation is about another key')
  assert.is(of({ owner: owners[2]!.publicKey }), 'an attestation is not signed by its owner')
  assert.is(of({ jobId: 'ab'.repeat(32) as JobId }), 'an attestation is about another job')
  const all = (units: number) => withShard(...[0, 1].map((i) => attested(owners[i]!, jobId, { units })))
  assert.is(reasonOf(all(64)), 'valid')
  assert.is(reasonOf(all(65)), 'shard 0 has 64 units, not 65')
  const strangers = jobWith([[10, 10]], { owners: [owners[0]!.publicKey] })
  assert.is(reasonOf(totalsOf(strangers)), 'an owner is none that the job names')
  const far = jobWith([[10, 10]], { ownerRadius: '0'.repeat(40) as Key })
  assert.is(reasonOf(totalsOf(far)), 'an owner is too far from its shard')
  const idWork = totalsContext(sha256, ed25519Verifier, () => 64)
  assert.match(JSON.stringify(checkTotals(totalsOf(good), idWork)), /lacks the work/)
  const forged = { ...good.spec, signature: owners[0]!.signer.sign('spec', good.spec.bytes) }
  assert.is(reasonOf(totalsOf({ ...good, spec: forged })), 'a spec is not signed by its submitter')
})

test('as a file are refused with any one byte changed, and taken as they were written', () => {
  const totals = totalsOf(jobWith([[3, 4]]))
  const file = encodeTotals(totals, worker.signer)
  assert.ok(isTotalsFile(file))
  assert.equal(encodeTotals(decodeTotals(file, ed25519Verifier), worker.signer), file)
  for (let at = 0; at < file.length; at++) {
    const changed = file.slice()
    changed[at]! ^= at % 2 === 0 ? 0x01 : 0x20
    assert.throws(
      () => decodeTotals(changed, ed25519Verifier),
      (error: unknown) => error instanceof GridError && error.code === 'corrupt',
      `byte ${at}`,
    )
  }
  const stolen = encodeTotals({ ...totals, worker: owners[0]!.publicKey }, worker.signer)
  assert.throws(() => decodeTotals(stolen, ed25519Verifier), /changed/)
})

test('keep of a job what proves more', () => {
  const [little, much] = [jobWith([[1, 1]]), jobWith([[9, 9]])]
  assert.is(betterOf(little, much, worker.publicKey, context), much)
  assert.is(betterOf(much, little, worker.publicKey, context), much)
})

test('are collected from the owners that answer, of the shards that the key worked on', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 64 }, shardUnits: 16 }, () => printed('x'))
  const asked: number[] = []
  grid.peers[0]!.attests = (shard, caller) => {
    asked.push(shard)
    return attested(grid.peers[0]!.identity, job.jobId, { shard, worker: caller, units: 4, fuel: 8n })
  }
  const { signer } = grid.client.parts
  const { jobs, gone } = await collectTotals(grid.client, {
    jobIds: [job.jobId, 'cd'.repeat(32) as JobId],
    gave: (_jobId, first) => first === 16 || first === 48,
    context,
  })
  assert.equal([asked, gone], [[1, 3], ['cd'.repeat(32)]])
  const checked = checkTotals({ worker: signer.publicKey, jobs: [...jobs.values()] }, context)
  assert.is(checked.ok && checked.jobs[0]!.units, 8)
})

test('attest units on which the key agreed, and no others', () => {
  const grid = new OwnerGrid({ units: 6 })
  const [right, also, liar] = ['a', 'b', 'c'].map((name) => grid.join(name, { want: 2 }))
  for (let round = 0; round < 40 && grid.summary().settled < 6; round++) {
    for (const volunteer of [right!, also!, liar!])
      for (const unit of volunteer.units()) volunteer.answer([unit], volunteer === liar ? 'false' : 'right')
    grid.advance(1_000)
  }
  assert.is(grid.summary().settled, 6)
  const shard = grid.owner.core.shard(grid.jobId, 0)!
  const given = [right!, also!, liar!].map(({ key }) => givenBy(shard, key))
  assert.equal(given, [
    { units: 6, fuel: 600n },
    { units: 6, fuel: 600n },
    { units: 0, fuel: 0n },
  ])
})

test.run()
