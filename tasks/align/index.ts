import type { Task } from '../task.js'
import { execute } from './execute.js'
import { readOptions } from './options.js'
import { reduce } from './reduce.js'

/**
 * Searches a protein database with Smith-Waterman local alignment, BLOSUM62 and affine gaps: a gap of n residues costs
 * open + n * extend, as BLAST and SSEARCH count, 11 and 1 unless told otherwise.
 *
 * Stdin of a unit: queries in FASTA; shared input `db`: the database in FASTA. Either case; U, O and J count as X; B, Z, X
 * and * are scored as the matrix says. Output: lines of query, target, score, query start and end, target start and end
 * (from 1, both included), separated by tabs; for each query the best hits by score, then name by code units, then order of
 * the database. Of alignments with equal score, the one that ends first in the target, then first in the query; of those,
 * the one that starts last in the target, then last in the query. Result: the same below a line that names the fields.
 * Fuel: one step for each pair of a query and a database residue. Cost: about 300 million a second.
 */
export const align: Task = {
  name: 'align',
  version: 1,
  summary: 'search a protein database: Smith-Waterman, BLOSUM62, affine gaps',
  usage: [
    'manyhands submit align --records queries.fasta --sep fasta --in database.fasta=db --wait',
    'manyhands submit align --records queries.fasta --sep fasta --in database.fasta=db --wait -- --top 3 --min-score 50',
    'Options:',
    '  --gap-open 11 --gap-extend 1   a gap of n residues costs open + n * extend',
    '  --top 10                       hits shown a query, the best ones',
    '  --min-score 1                  hits below this score are not shown',
  ].join('\n'),
  defaultArguments: [],
  sources: ['records'],
  check: (input) => {
    const options = readOptions(input)
    return options.ok ? undefined : options.message
  },
  execute,
  reduce,
}
