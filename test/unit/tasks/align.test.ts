import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BLOSUM62, LETTER_OF_CODE, LETTERS } from '../../../tasks/align/blosum62.js'
import { parseFasta } from '../../../tasks/align/fasta.js'
import { align } from '../../../tasks/align/index.js'
import {
  type Alignment,
  findBestEnd,
  findStart,
  type GapCosts,
  QueryProfile,
} from '../../../tasks/align/smith-waterman.js'
import { FuelExhausted } from '../../../tasks/task.js'
import { localAlignment } from '../../support/compute/local-alignment.js'
import { reduceOutputs, refusal, runUnit } from '../../support/compute/run-task.js'
import { rejects } from '../../support/rejects.js'

/** Globins of Swiss-Prot, as in the tutorial of HMMER (`globins45.fa`). */
const GLOBINS: Readonly<Record<string, string>> = {
  MYG_ESCGI:
    'VLSDAEWQLVLNIWAKVEADVAGHGQDILIRLFKGHPETLEKFDKFKHLKTEAEMKASEDLKKHGNTVLTALGGILKKKGHHEAELKPLAQSHATKHKIPIKYLEFISDAIIHVLHSRHPGDFGADAQAAMNKALELFRKDIAAKYKELGFQG',
  MYG_HORSE:
    'GLSDGEWQQVLNVWGKVEADIAGHGQEVLIRLFTGHPETLEKFDKFKHLKTEAEMKASEDLKKHGTVVLTALGGILKKKGHHEAELKPLAQSHATKHKIPIKYLEFISDAIIHVLHSKHPGNFGADAQGAMTKALELFRNDIAAKYKELGFQG',
  MYG_MUSAN:
    'VDWEKVNSVWSAVESDLTAIGQNILLRLFEQYPESQNHFPKFKNKSLGELKDTADIKAQADTVLSALGNIVKKKGSHSQPVKALAATHITTHKIPPHYFTKITTIAVDVLSEMYPSEMNAQVQAAFSGAFKIICSDIEKEYKAANFQG',
  HBAZ_HORSE:
    'SLTKAERTMVVSIWGKISMQADAVGTEALQRLFSSYPQTKTYFPHFDLHEGSPQLRAHGSKVAAAVGDAVKSIDNVAGALAKLSELHAYILRVDPVNFKFLSHCLLVTLASRLPADFTADAHAAWDKFLSIVSSVLTEKYR',
  HBB_COLLI:
    'VHWSAEEKQLITSIWGKVNVADCGAEALARLLIVYPWTQRFFSSFGNLSSATAISGNPNVKAHGKKVLTSFGDAVKNLDNIKGTFAQLSELHCDKLHVDPENFRLLGDILVIILAAHFGKDFTPECQAAWQKLVRVVAHALARKYH',
}

/** Hits by SSEARCH 36.3.8i (`-f -11 -g -1 -s BL62`); scores also by Biopython 1.88 (open -12, extend -1, BLOSUM62). */
const GLOBIN_HITS = [
  'MYG_ESCGI\tMYG_ESCGI\t795\t1\t153\t1\t153',
  'MYG_ESCGI\tMYG_HORSE\t730\t2\t153\t2\t153',
  'MYG_ESCGI\tMYG_MUSAN\t310\t6\t153\t2\t148',
  'MYG_ESCGI\tHBAZ_HORSE\t174\t2\t147\t2\t141',
  'MYG_ESCGI\tHBB_COLLI\t162\t3\t146\t4\t145',
]

const BLAST_COSTS: GapCosts = { open: 11, extend: 1 }
const residues = (text: string) => Uint8Array.from(text, (letter) => LETTER_OF_CODE[letter.charCodeAt(0)]!)
const alignTexts = (query: Uint8Array, target: Uint8Array, costs: GapCosts): Alignment => {
  return findStart(
    query,
    target,
    findBestEnd(new QueryProfile(query), target, costs, () => {}),
    costs,
  )
}
const fasta = (names: readonly string[]) => names.map((name) => `>${name}\n${GLOBINS[name]}\n`).join('')
const search = (query: string, db: string | Uint8Array, ...args: string[]) =>
  runUnit(align, args, { stdin: query, files: { db } })

const test = suite('align')

test('scores the example pairs of the Biopython tutorial as printed there', () => {
  // Gap of n costs 10 + (n - 1) there.
  const costs = { open: 9, extend: 1 }
  assert.is(alignTexts(residues('KEVLA'), residues('EVL'), costs).score, 13)
  assert.equal(alignTexts(residues('LSPADKTNVKAA'), residues('PEEKSAV'), costs), {
    score: 16,
    queryStart: 3,
    queryEnd: 9,
    targetStart: 1,
    targetEnd: 7,
  })
})

test('finds the hits that SSEARCH finds among globins', async () => {
  const run = await search(fasta(['MYG_ESCGI']), fasta(Object.keys(GLOBINS).reverse()))
  assert.is(run.text, `${GLOBIN_HITS.join('\n')}\n`)
  const other = await search(fasta(['HBB_COLLI']), fasta(['HBAZ_HORSE']))
  assert.is(other.text, 'HBB_COLLI\tHBAZ_HORSE\t291\t7\t145\t6\t140\n')
})

test('agrees with trying every pair of pieces, ties included', () => {
  // Few letters, of which some attract each other, make gaps and ties frequent.
  const sequence = fc
    .array(fc.constantFrom(...residues('WAPX*LI')), { maxLength: 7 })
    .map((letters) => Uint8Array.from(letters))
  const costs = fc.record({ open: fc.integer({ min: 0, max: 6 }), extend: fc.integer({ min: 1, max: 3 }) })
  fc.assert(
    fc.property(sequence, sequence, costs, (query, target, gaps) => {
      assert.equal(alignTexts(query, target, gaps), localAlignment(query, target, gaps))
    }),
    { numRuns: 300 },
  )
})

test('charges a gap of n residues open + n * extend, in either sequence', () => {
  const whole = residues('WWWWWWHHHHHH')
  const spread = residues('WWWWWWGGGHHHHHH')
  const score = 6 * 11 + 6 * 8 - (11 + 3 * 1)
  assert.is(alignTexts(whole, spread, BLAST_COSTS).score, score)
  assert.is(alignTexts(spread, whole, BLAST_COSTS).score, score)
})

test('finds an alignment whose gap follows a gap in the other sequence', () => {
  const costs = { open: 0, extend: 1 }
  // * against P costs 4 as a pair and 2 as two gaps.
  assert.is(alignTexts(residues('WW*WW'), residues('WWPWW'), costs).score, 42)
})

test('prefers the first end in the target and the shortest alignment that gets there', () => {
  assert.equal(alignTexts(residues('WW'), residues('WPWWPWW'), BLAST_COSTS), {
    score: 22,
    queryStart: 1,
    queryEnd: 2,
    targetStart: 3,
    targetEnd: 4,
  })
  // A against S scores 1, W against A -3, and A against A 4: a start that adds nothing is left out.
  assert.equal(alignTexts(residues('AW'), residues('GW'), BLAST_COSTS), {
    score: 11,
    queryStart: 2,
    queryEnd: 2,
    targetStart: 2,
    targetEnd: 2,
  })
})

test('sorts by score, then name by code units, then place in the database', async () => {
  const run = await search('>q\nWWW\n', '>b\nWWW\n>a\nWWW\n>B\nWWW\n>c\nWWWW\n>a\nPWWW\n>low\nAWW\n')
  const order = run.text.split('\n').map((line) => line.split('\t').slice(1).join(' '))
  assert.equal(order, [
    'B 33 1 3 1 3',
    'a 33 1 3 1 3',
    'a 33 1 3 2 4',
    'b 33 1 3 1 3',
    'c 33 1 3 1 3',
    'low 22 1 2 2 3',
    '',
  ])
})

test('shows the best hits only, and none below the lowest score', async () => {
  const db = '>a\nWWW\n>b\nWW\n>c\nW\n>d\nP\n'
  const names = async (...args: string[]) =>
    (await search('>q\nWWW\n', db, ...args)).text.replace(/q\t(\w)[^\n]*\n/g, '$1')
  assert.is(await names(), 'abc')
  assert.is(await names('--top', '2'), 'ab')
  assert.is(await names('--min-score=22'), 'ab')
  assert.is(await names('--min-score', '34'), '')
})

test('searches for each record of a unit in turn', async () => {
  const run = await search('>q1 first\nWWW\n>q2\n\n>q3\nHH\n', '>t\nWWHH\n')
  assert.is(run.text, 'q1\tt\t22\t1\t2\t1\t2\nq3\tt\t16\t1\t2\t3\t4\n')
})

test('reads lower case, wrapped lines, CRLF, comments, gap signs and letters outside the matrix', () => {
  const parsed = parseFasta(
    new TextEncoder().encode('; note\r\n>one  words\r\nac-d.\r\n  W*\r\n>\tTwo\rUOJxbz\n>\nA'),
    'the query',
  )
  assert.ok(parsed.ok)
  const read = parsed.value.map(
    ({ name, residues: letters }) => `${name}:${[...letters].map((letter) => LETTERS[letter]).join('')}`,
  )
  assert.equal(read, ['one:ACDW*', 'Two:XXXXBZ', 'unnamed-3:A'])
})

test('shows control characters of names as question marks', async () => {
  const run = await search('>q\u001b[31m\nWW\n', '>t\u0007\nWW\n')
  assert.is(run.text, 'q?[31m\tt?\t22\t1\t2\t1\t2\n')
})

test('never fails on hostile bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const parsed = parseFasta(bytes, 'the query')
      if (parsed.ok)
        for (const { residues: letters } of parsed.value) assert.ok(letters.every((letter) => letter < LETTERS.length))
      else assert.not.match(parsed.message, /[\u0000-\u001f]/)
    }),
    { numRuns: 500 },
  )
})

test('has a symmetric matrix of 24 letters with the published corners', () => {
  const n = LETTERS.length
  assert.is(BLOSUM62.length, n * n)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) assert.is(BLOSUM62[i * n + j], BLOSUM62[j * n + i])
  const score = (pair: string) => BLOSUM62[LETTERS.indexOf(pair[0]!) * n + LETTERS.indexOf(pair[1]!)]
  assert.equal(['WW', 'CC', 'AA', 'DE', 'WC', 'IV', 'XX', 'B*', '**'].map(score), [11, 9, 4, 2, -2, 3, -1, -4, 1])
})

test('burns long pairs in several parts that add up, and refuses pairs that would take too long', async () => {
  let parts = 0
  let cells = 0
  const burn = (steps: number) => {
    parts++
    cells += steps
  }
  findBestEnd(new QueryProfile(new Uint8Array(3001)), new Uint8Array(3000), BLAST_COSTS, burn)
  assert.is(cells, 9_003_000)
  assert.ok(parts > 1)
  const long = `>long\n${'A'.repeat(50_000)}\n`
  assert.match(
    await refusal(align, [], { stdin: long, files: { db: long } }),
    'long and long are too long for one alignment',
  )
})

test('burns a step for each pair of residues, equally often on every run', async () => {
  const once = await search('>q\nWWW\n>p\nWW\n', '>a\nWWWW\n>b\nW\n')
  const again = await search('>q\nWWW\n>p\nWW\n', '>a\nWWWW\n>b\nW\n')
  assert.is(once.fuel, 25n)
  assert.is(again.fuel, 25n)
  await rejects(
    runUnit(align, [], { stdin: '>q\nWWW\n', files: { db: '>a\nWWWW\n' }, fuelLimit: 11n }),
    (error) => error instanceof FuelExhausted,
  )
})

test('reduces to one table below the names of its fields', async () => {
  const reduced = await reduceOutputs(align, ['a\n', undefined, '', 'b\n'])
  assert.is(reduced.text, 'query\ttarget\tscore\tquery_start\tquery_end\ttarget_start\ttarget_end\na\nb\n')
})

test('says what is wrong with arguments and input', async () => {
  const files = { db: '>a\nWW\n' }
  const stdin = '>q\nWW\n'
  assert.is(await refusal(align, [], { stdin }), 'align needs a database of sequences: add --in FILE.fasta=db')
  assert.match(await refusal(align, [], { files }), 'the query holds no FASTA record')
  assert.match(await refusal(align, [], { stdin, files: { db: '' } }), 'the database holds no FASTA record')
  assert.match(
    await refusal(align, [], { stdin: 'WW\n', files }),
    "the query, line 1: FASTA starts with a line '>name'",
  )
  assert.match(
    await refusal(align, [], { stdin, files: { db: '>a\nWW\nW7\n' } }),
    "the database, line 3: '7' is no amino acid",
  )
  assert.match(await refusal(align, ['x.fasta'], { stdin, files }), "options only, not 'x.fasta'")
  assert.match(
    await refusal(align, ['--gap-extend', '0'], { stdin, files }),
    '--gap-extend must be an integer from 1 to 1000',
  )
  assert.match(await refusal(align, ['--gap-open', '-1'], { stdin, files }), '--gap-open must be an integer from 0')
  assert.match(await refusal(align, ['--top'], { stdin, files }), 'option --top needs a value')
  assert.match(
    await refusal(align, ['--matrix', 'PAM250'], { stdin, files }),
    'known: --gap-open --gap-extend --top --min-score',
  )
  assert.match(align.check!({ args: [], fileNames: [] })!, 'add --in')
  assert.is(align.check!({ args: [], fileNames: ['db'] }), undefined)
})

test.run()
