/**
 * `npm run trust [-- --rows NAME,...] [--seeds N] [--units N] [--owners N] [--policies NAME,...] [--json]`: what liars of each kind get
 * accepted, and what it costs, by the owners' real cores and by two rules of others. Measures and bounds: `docs/trust.md`.
 *
 * A line for each population and policy; `--json`: one JSON object for each instead. Exit code 1 when a row of ours is over
 * a bound, 2 for what was typed wrongly.
 */
import { parseArgs } from 'node:util'
import { type Row, rows } from './rows.js'
import { POLICIES, type Policy, run } from './run.js'
import { KEYS, OWNERS, UNITS } from './scene.js'
import { cellOf, format, head } from './table.js'

const SEEDS = 3
const UNITS_MIN = 100
const UNITS_MAX = 1_000_000

function readNumber(name: string, text: string | undefined, fallback: number, min: number, max: number): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new Error(`--${name} must be a whole number from ${min} to ${max}, not ${text}`)
  return value
}

/** `ring` chooses `ring-10` and all its kin. */
function chosenRows(text: string | undefined): readonly Row[] {
  if (text === undefined) return rows
  return text.split(',').flatMap((name) => {
    const found = rows.filter((row) => row.name === name || row.name.startsWith(`${name}-`))
    if (found.length === 0) throw new Error(`no row ${name}; there are: ${rows.map((row) => row.name).join(', ')}`)
    return found
  })
}

function chosenPolicies(text: string | undefined): readonly Policy[] {
  if (text === undefined) return POLICIES
  return text.split(',').map((name) => {
    const found = POLICIES.find((policy) => policy === name)
    if (found === undefined) throw new Error(`no policy ${name}; there are: ${POLICIES.join(', ')}`)
    return found
  })
}

function main(): void {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      policies: { type: 'string' },
      seeds: { type: 'string' },
      units: { type: 'string' },
      owners: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  })
  const seeds = readNumber('seeds', values.seeds, SEEDS, 1, 1_000)
  const units = readNumber('units', values.units, UNITS, UNITS_MIN, UNITS_MAX)
  const owners = readNumber('owners', values.owners, OWNERS, 1, OWNERS)
  const policies = chosenPolicies(values.policies)
  const chosen = chosenRows(values.rows)
  if (!values.json) console.log(head())
  let over = 0
  for (const row of chosen) {
    for (const policy of policies) {
      const measures = Array.from({ length: seeds }, (_, i) =>
        run({ policy, scene: row.scene, seed: i + 1, units, keys: KEYS, owners }),
      )
      const cell = cellOf(row, policy, measures)
      if (cell.over.length > 0) over++
      console.log(values.json ? JSON.stringify({ v: 1, ...cell, bounds: row.bounds }) : format(row, cell))
    }
  }
  if (!values.json) console.log(over === 0 ? 'every row is within its bounds' : `${over} rows are over a bound`)
  process.exitCode = over > 0 ? 1 : 0
}

try {
  main()
} catch (error) {
  // Only what was typed can be wrong here; a run that fails has found a mistake, whose stack is wanted.
  if (!(error instanceof Error) || !/^(--|no (row|policy) |Unknown option|Unexpected)/.test(error.message)) throw error
  console.error(error.message)
  process.exitCode = 2
}
