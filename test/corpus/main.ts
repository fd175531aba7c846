/**
 * The corpus on every engine of this machine. docs/programs.md says what it shows.
 *
 *   sh test/corpus/build.sh PROGRAMS                     compile the programs
 *   sh test/corpus/engines.sh ENGINES                    fetch other Nodes (once)
 *   node dist/test/corpus/main.js PROGRAMS [--engines ENGINES] [--only NAME,...] [--write]
 *
 * Prints which engines ran, which are missing and why, and every answer that differs from the table, or between engines where
 * another compiler than the table's made the program.
 * `--write` makes a new table from this Node. Exit code 1 when anything differs.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { assembledPrograms } from './assembled.js'
import type { EngineAnswer, Row } from './compute.js'
import { corpusEngines } from './engines.js'
import { answerFor, difference, readTable, writeTable, writeTinyPrograms } from './table.js'
import { corpusUnits, tinyUnits } from './units.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engines: { type: 'string', default: '.build/engines' },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const [programs] = positionals
if (programs === undefined) {
  process.stderr.write(
    'usage: node dist/test/corpus/main.js PROGRAMS [--engines ENGINES] [--only NAME,...] [--write]\n',
  )
  process.exit(2)
}

for (const [name, bytes] of assembledPrograms) writeFileSync(join(programs, `${name}.wasm`), bytes)

interface Named extends EngineAnswer {
  readonly name: string
}

const only = values.only?.split(',')
const answers: Named[] = []
let troubles = 0
for (const engine of corpusEngines(values.engines)) {
  if (only !== undefined && !only.includes(engine.name)) continue
  if (engine.missing !== undefined) {
    console.log(`${engine.name.padEnd(14)} skipped: ${engine.missing}`)
    continue
  }
  try {
    const beganAt = performance.now()
    const answer = await engine.compute(programs)
    answers.push({ name: engine.name, ...answer })
    const seconds = ((performance.now() - beganAt) / 1000).toFixed(1)
    console.log(`${engine.name.padEnd(14)} ${answer.rows.length} answers in ${seconds} s: ${answer.engine}`)
  } catch (error) {
    troubles++
    console.log(`${engine.name.padEnd(14)} FAILED: ${error instanceof Error ? error.message : error}`)
  }
}
if (values.write) keep(answers.find(({ name }) => name === 'node')!)
const table = readTable()
const ofOtherCompilers: string[] = []
const equal = corpusUnits.filter(({ name }) => agrees(name)).length
troubles += corpusUnits.length - equal
console.log(`${equal} of ${corpusUnits.length} units: same outcome, digest and fuel on ${answers.length} engines`)
if (ofOtherCompilers.length > 0)
  console.log(
    `compiled to another module than that of the table, so compared between engines alone: ${ofOtherCompilers.join('; ')}`,
  )
showWithoutPass()
process.exitCode = troubles > 0 ? 1 : 0

function keep(answer: EngineAnswer): void {
  writeTable(answer.rows)
  const names = new Set(tinyUnits.map(({ program }) => program).filter((name) => !assembledPrograms.has(name)))
  writeTinyPrograms(new Map([...names].map((name) => [name, readFileSync(join(programs!, `${name}.wasm`))])))
}

/** Tells how a unit differs from the table, or between engines when its module is that of another compiler. */
function agrees(unit: string): boolean {
  const rows = answers.map(({ name, rows }) => [name, rows.find((row) => row.unit === unit && row.nanPass)] as const)
  const known = answerFor(
    rows.flatMap(([, row]) => row ?? []),
    table,
  )
  if (known !== table.units[unit]) ofOtherCompilers.push(unit)
  let good = true
  for (const [name, row] of rows) {
    const problem =
      row === undefined ? 'has no answer' : known === undefined ? 'is not in the table' : difference(row, known)
    if (problem === undefined) continue
    good = false
    console.log(`${unit}: on ${name} ${problem}`)
  }
  return good
}

/** What engines say when NaN bits are left as the processor makes them: why the pass is needed. */
function showWithoutPass(): void {
  const units = new Set(answers.flatMap(({ rows }) => rows.filter(({ nanPass }) => !nanPass).map(({ unit }) => unit)))
  for (const unit of units) {
    const groups = new Map<string, string[]>()
    for (const { name, rows } of answers) {
      const row = rows.find((row) => row.unit === unit && !row.nanPass)
      if (row !== undefined) groups.set(row.digest, [...(groups.get(row.digest) ?? []), name])
    }
    const canonical = answers[0]?.rows.find((row: Row) => row.unit === unit && row.nanPass)?.digest
    console.log(`${unit}, without the NaN pass: ${groups.size} different answers`)
    for (const [digest, names] of groups)
      console.log(`  ${digest.slice(0, 16)}${digest === canonical ? ' (as with it)' : ''}  ${names.join(', ')}`)
  }
}
