import { suite } from 'uvu'
import { connect } from '../../../library/connect.js'
import { openRequest } from '../../../library/request.js'
import type { SubmitRequest } from '../../../library/submit-request.js'
import { rejects } from '../../support/rejects.js'

const requests = suite('openRequest')

requests('what a program without types leaves out is refused as any other mistake', async () => {
  const refused = (given: unknown, why: RegExp) => rejects(openRequest(given as SubmitRequest), why)
  await refused(undefined, /a request has a task/)
  await refused({ source: { count: 1 } }, /a request has a task/)
  await refused({ task: 'primes' }, /a request has a source/)
  await refused({ task: 'primes', source: null }, /a request has a source/)
  await refused({ task: 'primes', source: {} }, /exactly one of/)
})

requests('every value out of range is told in the words of the request, with what there can be', async () => {
  const base = { task: 'primes', source: { range: '0..100:50' } }
  const cases: readonly (readonly [given: Readonly<Record<string, unknown>>, why: RegExp])[] = [
    [{ source: { range: 5 } }, /^source\.range must be a text/],
    [{ args: 'x' }, /^args must be a list of texts/],
    [{ perUnit: 0 }, /^perUnit must be a whole number from 1 to 4294967295/],
    [{ perUnit: 1.5 }, /^perUnit must be a whole number/],
    [{ repeat: 0 }, /^repeat must be a whole number from 1 to 10000000/],
    [{ limits: { memoryBytes: 2 ** 50 } }, /^limits\.memoryBytes must be a whole number of bytes from 1 B to 4 GiB/],
    [{ limits: { wallMs: 0 } }, /^limits\.wallMs must be .* milliseconds from 1ms/],
    [{ limits: { fuel: 5 } }, /^limits\.fuel must be a bigint/],
    [{ limits: { fuel: -5n } }, /^limits\.fuel must be a bigint/],
    [{ limits: { memory: 5 } }, /^limits has no field 'memory'/],
    [{ limits: 5 }, /^limits must be an object/],
    [{ policy: 'none' }, /^policy must be \{ type: 'quorum'/],
    [{ policy: { type: 'quorum', quorum: 99 } }, /^policy must be/],
    [{ policy: { type: 'confidence', errorPpm: 0 } }, /^policy must be .*errorPpm: 1 to 49999/],
    [{ okExit: 3 }, /^okExit must be a list of exit codes/],
    [{ maxFails: 3 }, /^maxFails must be \{ type: 'count'/],
    [{ priority: 1e9 }, /^priority must be a whole number from -100 to 100/],
    [{ name: 5 }, /^name must be a text/],
    [{ labels: [1] }, /^labels must be an object of texts/],
    [{ expiresInMs: -1 }, /^expiresInMs must be a whole number of milliseconds from 1s to 30d/],
    [{ seed: 1n << 70n }, /^seed must be a bigint/],
    [{ readers: ['x'] }, /^readers must be a list of public keys/],
    [{ quorum: 3 }, /^a request has no field 'quorum'/],
    [{ shardUnits: 48 }, /^shardUnits must be a power of two from 16 to 16384/],
    [{ units: 5 }, /^units must be a text/],
    [{ inputs: { a: 'nope' } }, /^inputs must be an object/],
    [{ inputs: { '../a': new Uint8Array(1) } }, /^inputs has the name '..\/a', which has a part '..'/],
    [{ source: { records: new Uint8Array(3) } }, /^a source of records needs sep: 'fasta'/],
    [{ estimate: { unitMs: -4 } }, /^estimate\.unitMs must be a number of milliseconds/],
    [{ isPublic: 'x' }, /^isPublic must be true or false/],
  ]
  for (const [given, why] of cases) await rejects(openRequest({ ...base, ...given } as unknown as SubmitRequest), why)
  const { close } = await openRequest({
    ...base,
    perUnit: 2,
    limits: { fuel: 5n, wallMs: 60_000 },
    policy: { type: 'confidence', errorPpm: 1 },
    units: [{ first: 0, count: 1 }],
    shardUnits: 64,
    estimate: { unitMs: 0.5 },
  })
  await close()
})

requests('what connect is given is looked at before anybody is dialled', async () => {
  await rejects(connect({ join: 5 as unknown as string }), /join is a peer or a list of peers/)
  await rejects(connect({ join: [5] as unknown as string[] }), /join is a peer or a list of peers/)
})

requests.run()
