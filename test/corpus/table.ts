import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../runtime/package-root.js'
import { PROFILE } from '../../sandbox/contract.js'
import type { Row } from './compute.js'

/** The known answer to a unit, whatever engine computes it. */
export interface KnownAnswer {
  readonly module: string
  readonly outcome: string
  readonly exitCode: number
  readonly digest: string
  readonly fuel: string
}

/** `expected.json`: answers of one profile. A change of any of them is a change of the profile. */
export interface AnswerTable {
  readonly profile: number
  readonly units: Readonly<Record<string, KnownAnswer>>
}

const FOLDER = join(packageRoot, 'test/corpus')
const TABLE = join(FOLDER, 'expected.json')

/** The committed table. */
export function readTable(): AnswerTable {
  return JSON.parse(readFileSync(TABLE, 'utf8')) as AnswerTable
}

/** Writes the table anew from the answers of one engine. */
export function writeTable(rows: readonly Row[]): void {
  const units: Record<string, KnownAnswer> = {}
  for (const { unit, nanPass, module, outcome, exitCode, digest, fuel } of rows)
    if (nanPass) units[unit] = { module, outcome, exitCode, digest, fuel }
  writeFileSync(TABLE, `${JSON.stringify({ profile: PROFILE, units }, null, 2)}\n`)
}

/** Programs of `tiny/` as they were compiled, by name. */
export function readTinyPrograms(): ReadonlyMap<string, Uint8Array> {
  const texts = JSON.parse(readFileSync(join(FOLDER, 'tiny.json'), 'utf8')) as Record<string, string>
  return new Map(Object.entries(texts).map(([name, text]) => [name, new Uint8Array(Buffer.from(text, 'base64'))]))
}

/** Keeps the compiled programs of `tiny/`. */
export function writeTinyPrograms(programs: ReadonlyMap<string, Uint8Array>): void {
  const texts = Object.fromEntries([...programs].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]))
  writeFileSync(join(FOLDER, 'tiny.json'), `${JSON.stringify(texts, null, 2)}\n`)
}

/**
 * What answers of engines to one unit are held against: the table's, or the first of them where their module is that of another
 * compiler. Undefined for a unit that the table does not have.
 */
export function answerFor(rows: readonly Row[], table: AnswerTable): KnownAnswer | undefined {
  const [first] = rows
  const known = first === undefined ? undefined : table.units[first.unit]
  return known === undefined || rows.some(({ module }) => module === known.module) ? known : first
}

/** How `row` differs from `known`, or undefined. */
export function difference(row: Row, known: KnownAnswer): string | undefined {
  const fields = ['module', 'outcome', 'exitCode', 'digest', 'fuel'] as const
  const wrong = fields.filter((field) => known[field] !== row[field])
  return wrong.length === 0
    ? undefined
    : wrong.map((field) => `${field} is ${row[field]}, not ${known[field]}`).join('; ')
}
