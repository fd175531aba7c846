/**
 * Child process of the tests of the SQLite store: `sqlite-writer.js FILE NAME [until-full]` commits groups of three facts,
 * printing the name of each after it was acknowledged, until it is killed or, with `until-full`, a commit is refused;
 * then it prints the refusal, shows that the store still answers, and ends with 0.
 */
import { writeSync } from 'node:fs'
import { SqliteStore } from '../../../coordinator/store/sqlite-store.js'
import { toGridError } from '../../../runtime/errors.js'
import { factWrite, jobIdOf, outputOf, shardWrite, specWrite } from './store-conformance.js'

const [path, name, untilFull] = process.argv.slice(2)
const job = jobIdOf('a')
const store = SqliteStore.open(path!)
await store.commit([specWrite(job), shardWrite(job)])
let acknowledged = 0
for (let i = 0; i < 100_000; i++) {
  const outputs = Array.from({ length: 16 }, (_, unit) => outputOf(unit, `${name} ${i}`, 100))
  try {
    await store.commit(['a', 'b', 'c'].map((part) => factWrite(job, `${name} ${i} ${part}`, outputs)))
  } catch (error) {
    if (!untilFull) throw error
    const { code, message, hint } = toGridError(error)
    const kept = (await store.facts(job, 0, 0, 1_000_000)).length
    if (kept !== 3 * acknowledged) throw new Error(`${kept} facts kept of ${acknowledged} groups`)
    writeSync(1, `refused ${code} ${message}; ${hint}\n`)
    break
  }
  acknowledged++
  writeSync(1, `${name} ${i}\n`)
}
await store.close()
