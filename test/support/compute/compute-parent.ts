/** A worker's computing side and nothing else, for tests that kill it: prints the child's id once a unit runs for good. */
import { endlessLoop } from '../../../cli/sandbox-check/programs.js'
import { computeBench, computeSpec } from './compute.js'
import { moduleBench } from './module-job.js'

const [, , state] = process.argv
const modules = state === 'running a module' ? moduleBench(1) : undefined
const bench = modules ?? computeBench(1)
bench.compute.onProgress(() => {
  if (state === 'paused') bench.compute.pause()
  // Nobody else will: this process is killed.
  modules?.removeFiles()
  process.stdout.write(`${bench.compute.pid}\n`)
})
if (modules !== undefined) modules.start(endlessLoop())
else bench.submit(computeSpec('loop', 1, { args: ['0'] }), 1)
