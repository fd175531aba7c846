import { cpus } from 'node:os'
import { keepHeapRoom } from '../runtime/heap-room.js'
import { suites } from './suites.js'

// As every command does.
keepHeapRoom()
// npm run bench [-- NAME...]: one JSON line a benchmark. Bars and how they are measured stand in docs/benchmarks.md.
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => suites[name] === undefined)
if (unknown.length > 0) {
  process.stderr.write(`unknown benchmark ${unknown.join(', ')}; there are ${Object.keys(suites).join(', ')}\n`)
  process.exit(2)
}
process.stdout.write(
  `${JSON.stringify({ machine: cpus()[0]?.model ?? '', cores: cpus().length, node: process.version })}\n`,
)
let missed = 0
for (const [name, run] of Object.entries(suites)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const measurement = await run()
  if (measurement.ratio < 1) missed++
  process.stdout.write(`${JSON.stringify({ ...measurement, ratio: Math.round(measurement.ratio * 100) / 100 })}\n`)
}
process.exit(missed > 0 ? 1 : 0)
