import { type Parsed, parseArguments, parseInteger, shown } from '../arguments.js'
import type { CheckInput } from '../task.js'
import type { GapCosts } from './smith-waterman.js'

/** Name of the shared input that holds the database. */
export const DATABASE_NAME = 'db'

/** What a unit of `align` was asked to do. */
export interface AlignOptions {
  readonly costs: GapCosts
  /** Hits shown a query, the best ones. */
  readonly top: number
  /** Hits below this score are not shown. */
  readonly minScore: number
}

/** Reads the options of a unit and sees that there is a database. */
export function readOptions(input: CheckInput): Parsed<AlignOptions> {
  const parsed = parseArguments(input.args, ['gap-open', 'gap-extend', 'top', 'min-score'])
  if (!parsed.ok) return parsed
  const extra = parsed.positional[0]
  if (extra !== undefined)
    return { ok: false, message: `align takes options only, not '${shown(extra)}'; queries come with --records` }
  const open = parseInteger('--gap-open', parsed.options.get('gap-open') ?? '11', 0, 1000)
  if (!open.ok) return open
  const extend = parseInteger('--gap-extend', parsed.options.get('gap-extend') ?? '1', 1, 1000)
  if (!extend.ok) return extend
  const top = parseInteger('--top', parsed.options.get('top') ?? '10', 1, 1_000_000)
  if (!top.ok) return top
  const minScore = parseInteger('--min-score', parsed.options.get('min-score') ?? '1', 1, 1_000_000_000)
  if (!minScore.ok) return minScore
  if (!input.fileNames.includes(DATABASE_NAME)) {
    return { ok: false, message: `align needs a database of sequences: add --in FILE.fasta=${DATABASE_NAME}` }
  }
  return {
    ok: true,
    value: { costs: { open: open.value, extend: extend.value }, top: top.value, minScore: minScore.value },
  }
}
