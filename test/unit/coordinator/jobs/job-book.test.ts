import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { JobBook, PASSED_ON_SHARE, SUBMITTED_SHARE } from '../../../../coordinator/jobs/job-book.js'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import type { NodeId, Signed } from '../../../../proto/model.js'
import { toGridError } from '../../../../runtime/errors.js'
import { sha256 } from '../../../../runtime/hash.js'
import { specWith } from '../../job/fixture.js'

const spec = specWith()
const nowMs = spec.createdAtMs
const verifier = { verify: () => true, nodeIdOf: () => '00'.repeat(20) as NodeId }
const signed = (bytes: Uint8Array): Signed => ({ bytes, signature: new Uint8Array(64) })

const room = suite('a book of jobs')

/** A book with room for `jobsMax`, and how many jobs it takes of an address before it refuses one. */
function bookOf(jobsMax: number) {
  const jobs = new JobBook({ sha256, verifier, network: spec.network, wallMs: () => nowMs })
  const limits = { jobsMax, jobsPerSubmitterMax: jobsMax, specBytesMax: 2 ** 30, specBytesPerSubmitterMax: 2 ** 30 }
  let made = 0
  return (host: string, share: number, most = Number.POSITIVE_INFINITY): number => {
    for (let taken = 0; taken < most; taken++) {
      const job = jobs.read(signed(jobSpecCodec.encode(specWith({ name: `job ${made++}` }))))
      try {
        jobs.checkRoom(job, limits, { host, share })
      } catch (error) {
        assert.is(toGridError(error).code, 'quota')
        return taken
      }
      jobs.keep(job, { host, share })
    }
    return most
  }
}

room('is never filled by one address, nor by a few, however many keys they have', () => {
  const take = bookOf(80)
  assert.is(take('203.0.113.1', SUBMITTED_SHARE), 40)
  assert.is(take('203.0.113.2', SUBMITTED_SHARE), 20)
  assert.is(take('2001:db8::1', SUBMITTED_SHARE), 10)
  assert.is(take('2001:db8::2', SUBMITTED_SHARE), 0, 'the same /64')
  assert.is(take('198.51.100.1', SUBMITTED_SHARE, 5), 5)
})

room('leaves a peer that passes on what a greedy submitter gave it room for the jobs of others', () => {
  const take = bookOf(80)
  assert.is(take('192.0.2.1', PASSED_ON_SHARE, 40), 40, 'what one address can submit at that peer')
  assert.is(take('192.0.2.1', PASSED_ON_SHARE), 20)
})

room('is open to this machine itself until it is full', () => {
  const take = bookOf(100)
  assert.is(take('127.0.0.1', SUBMITTED_SHARE), 100)
})

room('counts specs of many small entries for what they take in memory', () => {
  const jobs = new JobBook({ sha256, verifier, network: spec.network, wallMs: () => nowMs })
  const room = { jobsMax: 1_000, jobsPerSubmitterMax: 1_000, specBytesMax: 2 ** 20, specBytesPerSubmitterMax: 2 ** 20 }
  const here = { host: '127.0.0.1', share: SUBMITTED_SHARE }
  const args = Array<string>(1_024).fill('')
  const submit = (name: string) => {
    const job = jobs.read(signed(jobSpecCodec.encode(specWith({ name, args }))))
    jobs.checkRoom(job, room, here)
    jobs.keep(job, here)
  }
  const fill = () => {
    for (let i = 0; i < 100; i++) submit(`job ${i}`)
  }
  assert.throws(fill, /bytes of specs/)
  assert.ok(jobs.size < 32, `${jobs.size} jobs of 128 KiB of memory each`)
})

room('keeps nothing that was compiled to check a spec', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const jobs = new JobBook({ sha256, verifier, network: spec.network, wallMs: () => nowMs })
  const args = Array<string>(1_024).fill('{i}')
  const read = (name: string) => jobs.read(signed(jobSpecCodec.encode(specWith({ name, args }))))
  read('warm')
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = Array.from({ length: 20 }, (_, i) => read(`job ${i}`))
  collect()
  const each = (process.memoryUsage().heapUsed - before) / kept.length
  assert.ok(each < 128 * 1_024, `${(each / 1_024).toFixed(0)} KiB a job`)
})

room('has one memory of checked grants for all its jobs', () => {
  const jobs = new JobBook({ sha256, verifier, network: spec.network, wallMs: () => nowMs })
  const [one, other] = ['one', 'other'].map((name) => jobs.read(signed(jobSpecCodec.encode(specWith({ name })))))
  assert.is.not(one!.jobId, other!.jobId)
  assert.is(one!.factContext.checked, other!.factContext.checked)
})

room.run()
