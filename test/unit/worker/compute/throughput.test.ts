import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobSpec } from '../../../../proto/model.js'
import { computeBench, computeSpec } from '../../../support/compute/compute.js'

/** Units a second through one thread, with `held` of them in hand at a time. */
async function throughput(spec: JobSpec, count: number, held: number, items: readonly Uint8Array[]): Promise<number> {
  const bench = computeBench(1)
  try {
    await bench.collect(bench.submit(spec, 1, items), 1)
    const jobId = bench.submit(spec, 0)
    const startedMs = performance.now()
    await new Promise<void>((resolve) => {
      let next = 0
      let done = 0
      const feed = (wanted: number) => {
        const units = []
        while (units.length < wanted && next < count) units.push({ unit: next++, items })
        bench.compute.run({ jobId, units })
      }
      bench.compute.onResults((results) => {
        assert.ok(results.every(({ outcome }) => outcome === 'done'))
        done += results.length
        if (done === count) resolve()
        else feed(results.length)
      })
      feed(held)
    })
    return count / ((performance.now() - startedMs) / 1000)
  } finally {
    await bench.compute.close()
  }
}

const test = suite('throughput of the compute process')

test('tiny units share calls', async () => {
  const rate = await throughput(computeSpec('hash', 20_000), 20_000, 1024, [])
  console.log(`${Math.round(rate)} tiny units/s`)
  assert.ok(rate > 3000, `${rate} units/s`)
})

test('large units are moved rather than copied', async () => {
  const rate = await throughput(computeSpec('echo', 100), 100, 8, [new Uint8Array(1 << 20)])
  console.log(`${Math.round((rate * 2 * 2 ** 20) / 1e6)} MB/s in and out`)
  assert.ok(rate > 20, `${rate} units/s`)
})

test.run()
