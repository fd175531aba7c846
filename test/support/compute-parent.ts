/** A worker's computing side and nothing else, for tests that kill it: prints the child's id once a unit runs for good. */
import { computeBench, computeSpec } from './compute.js'

const bench = computeBench(1)
bench.compute.onProgress(() => {
  if (process.argv[2] === 'paused') bench.compute.pause()
  process.stdout.write(`${bench.compute.pid}\n`)
})
bench.submit(computeSpec('loop', 1, { args: ['0'] }), 1)
