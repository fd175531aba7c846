// Counts primes on a grid: node dist/examples/library/primes.js HOST [NETWORK [DATA]]
import { connect } from 'manyhands'

const [join = '127.0.0.1:4747', network = 'main', data] = process.argv.slice(2)

const grid = await connect({ join, network, ...(data === undefined ? {} : { data }) })
try {
  const job = await grid.submit({ task: 'primes', source: { range: '0..10^6:10^5' }, name: 'primes of a program' })
  console.error(`job ${job.id}: ${job.units} units`)

  // Each as soon as donors agree and the proof was checked here. Leaving the loop stops the reading, not the job.
  const results = job.results({
    onProgress: ({ summary }) => console.error(`${summary.settled} of ${summary.units} settled`),
  })
  let total = 0
  for await (const result of results) {
    if (result.state === 'failed') throw new Error(`unit ${result.unit}: ${result.reason}`)
    total += Number(result.text())
    console.error(`unit ${result.unit}: ${result.text().trim()} (${result.donors.length} donors agree)`)
  }
  if (results.summary.missingCount > 0) throw new Error(`${results.summary.missingCount} units have no result`)
  console.log(total)
} finally {
  await grid.close()
}
