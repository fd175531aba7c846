import type { Parsed } from '../arguments.js'
import { type TaskOutput, textOutput, type UnitInput, usageError } from '../task.js'
import { parseFasta, type Sequence } from './fasta.js'
import { type AlignOptions, DATABASE_NAME, readOptions } from './options.js'
import { type BestEnd, findBestEnd, findStart, QueryProfile } from './smith-waterman.js'

/** Cells of one pair of sequences, some ten seconds of work. Titin against itself, the longest protein known, has 1.3 billion. */
const CELLS_MAX = 2_000_000_000

/** Databases that were read, for as long as the host hands the same bytes to this thread. */
const databases = new WeakMap<Uint8Array, Parsed<Sequence[]>>()

interface Hit {
  readonly target: Sequence
  readonly end: BestEnd
}

/** Searches the database for each query of the unit's stdin. */
export function execute(input: UnitInput): TaskOutput {
  const options = readOptions({ args: input.args, fileNames: [...input.files.keys()] })
  if (!options.ok) return usageError(options.message)
  const queries = parseFasta(input.stdin, 'the query')
  if (!queries.ok) return usageError(queries.message)
  const database = readDatabase(input.files.get(DATABASE_NAME)!)
  if (!database.ok) return usageError(database.message)
  let text = ''
  for (const query of queries.value) {
    const longest = database.value.find((target) => target.residues.length * query.residues.length > CELLS_MAX)
    if (longest !== undefined)
      return usageError(`${query.name} and ${longest.name} are too long for one alignment of ${CELLS_MAX} cells`)
    text += search(query, database.value, options.value, input.burn)
  }
  return textOutput(text)
}

function readDatabase(bytes: Uint8Array): Parsed<Sequence[]> {
  let database = databases.get(bytes)
  if (database === undefined) {
    database = parseFasta(bytes, 'the database')
    databases.set(bytes, database)
  }
  return database
}

/** The hits of one query as lines of tab-separated fields, best first. */
function search(
  query: Sequence,
  database: readonly Sequence[],
  options: AlignOptions,
  burn: (steps: number) => void,
): string {
  const profile = new QueryProfile(query.residues)
  const hits: Hit[] = []
  for (const target of database) {
    const end = findBestEnd(profile, target.residues, options.costs, burn)
    if (end.score >= options.minScore) hits.push({ target, end })
  }
  // The sort is stable, so that targets of one name and score stay in the order of the database.
  hits.sort((a, b) => b.end.score - a.end.score || compareNames(a.target.name, b.target.name))
  let text = ''
  for (const { target, end } of hits.slice(0, options.top)) {
    const found = findStart(query.residues, target.residues, end, options.costs)
    const fields = [
      query.name,
      target.name,
      found.score,
      found.queryStart,
      found.queryEnd,
      found.targetStart,
      found.targetEnd,
    ]
    text += `${fields.join('\t')}\n`
  }
  return text
}

/** By code units, the same in every locale. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
