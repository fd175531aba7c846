import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { PROFILE } from '../../sandbox/contract.js'
import { assembledPrograms } from '../corpus/assembled.js'
import { computeUnits, type Row } from '../corpus/compute.js'
import { answerFor, difference, readTable, readTinyPrograms } from '../corpus/table.js'
import { tinyUnits } from '../corpus/units.js'

/** Bytes that a committed program may have. */
const PROGRAM_BYTES_MAX = 4_096

const table = readTable()
const programs = new Map([...readTinyPrograms(), ...assembledPrograms])
const rows = await computeUnits(tinyUnits, async (program) => programs.get(program)!)

function rowOf(unit: string, nanPass = true): Row {
  return rows.find((row) => row.unit === unit && row.nanPass === nanPass)!
}

const Corpus = suite('corpus')

Corpus('the table of known answers is that of this profile', () => {
  assert.is(table.profile, PROFILE)
})

for (const { name } of tinyUnits) {
  Corpus(`${name}: same outcome, digest and fuel as on every other engine`, () => {
    assert.is(difference(rowOf(name), table.units[name]!), undefined)
  })
}

Corpus('every way to end is among them', () => {
  const outcomes = new Set(tinyUnits.map(({ name }) => rowOf(name).outcome))
  assert.equal([...outcomes].sort(), ['depth', 'done', 'exit', 'fuel', 'trap'])
})

Corpus('NaN bits are another answer without the pass, for the same fuel', () => {
  const unit = 'tiny NaN bits'
  assert.is.not(rowOf(unit, false).digest, rowOf(unit).digest)
  assert.is(rowOf(unit, false).fuel, rowOf(unit).fuel)
})

Corpus('an answer that differs from the table is told', () => {
  const row = rowOf('tiny integers')
  const known = answerFor([row], table)!
  assert.match(difference({ ...row, fuel: '1' }, known) ?? '', /^fuel is 1, not \d+$/)
  assert.match(
    difference({ ...row, digest: 'ab', outcome: 'trap' }, known) ?? '',
    /^outcome is trap, not done; digest is ab/,
  )
  assert.is(answerFor([{ ...row, unit: 'unheard of' }], table), undefined)
})

Corpus('answers of a module that another compiler made are held against one another', () => {
  const row = { ...rowOf('tiny integers'), module: '00' }
  const wrong = { ...row, digest: 'ab' }
  const known = answerFor([row, wrong], table)!
  assert.is(difference(row, known), undefined)
  assert.match(difference(wrong, known) ?? '', /^digest is ab, not /)
})

Corpus('programs kept in the repository are tiny', () => {
  for (const [name, { length }] of programs) assert.ok(length <= PROGRAM_BYTES_MAX, `${name} has ${length} bytes`)
  assert.equal(new Set(programs.keys()), new Set(tinyUnits.map(({ program }) => program)))
})

Corpus.run()
