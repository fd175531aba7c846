/**
 * `npm run soak -- NAME [OPTIONS]`: a long run with real processes. Without a name: the list. Exit code 1 when something
 * was not as it must be, 2 for a mistake on the command line.
 */
import { soaks } from './soaks.js'

const [name, ...args] = process.argv.slice(2)
const soak = soaks.find((one) => one.name === name)
if (soak === undefined) {
  console.log(soaks.map((one) => `${one.name.padEnd(14)} ${one.summary}`).join('\n'))
  process.exit(name === undefined ? 0 : 2)
}
try {
  const end = await soak.run(args)
  console.log(end === undefined ? `ok    ${soak.name}` : `skipped  ${soak.name}: ${end.skipped}`)
  process.exit(0)
} catch (error) {
  console.log(error instanceof Error ? (error.stack ?? error.message) : String(error))
  console.log(`FAIL  ${soak.name}`)
  process.exit(1)
}
