import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { offer } from '../../../cli/completion/candidates.js'
import { afterBashBreak, splitLine } from '../../../cli/completion/line.js'
import { treeOf } from '../../../cli/completion/tree.js'
import { buildProgram } from '../../../cli/program.js'

const test = suite('completion of a line')

const tree = treeOf(await buildProgram(async () => {}), [{ name: 'primes', about: 'counts' }])
const jobs = [{ value: 'c0ffee', about: 'a job', units: 120 }]
const offered = (line: string) => {
  const { candidates, paths } = offer(tree, splitLine(line).slice(1), jobs)
  return [paths, ...candidates.map(({ value }) => value)]
}

test('every command is offered, with what it does, and none that is hidden', async () => {
  const { candidates } = offer(tree, [''], [])
  const names = (await buildProgram(async () => {})).commands.map((command) => command.name())
  for (const name of names)
    assert.ok(
      candidates.find(({ value, about }) => value === name && about !== ''),
      name,
    )
  assert.equal(offered('m __'), ['none'])
})

test('flags are those of the command and the global ones, and take their values', () => {
  assert.ok(offered('m submit --').includes('--range'))
  assert.ok(offered('m submit --').includes('--network'))
  assert.not(offered('m show --').includes('--range'))
  assert.equal(offered('m units --state se'), ['none', 'settled'])
  assert.equal(offered('m units --state=se'), ['none', '--state=settled'])
  assert.equal(offered('m peers a'), ['none', 'add'])
  assert.equal(offered('m prefs ho'), ['none', 'hours', 'hours=22:00-07:00'])
  assert.equal(offered('m work --hours '), ['none', '22:00-07:00'])
  assert.equal(offered('m work --on-battery y'), ['none', 'yes'])
  assert.equal(offered('m prefs hours on-battery=y'), ['none', 'on-battery=yes'])
  assert.equal(offered('m results x -o '), ['folders'])
  assert.equal(offered('m submit --from '), ['files'])
  assert.equal(offered('m work --job '), ['none', 'last', 'c0ffee'])
  assert.equal(offered('m submit --name '), ['none'])
})

test('a unit of a job is offered digit by digit, as far as the job has units', () => {
  assert.equal(offered('m explain c0'), ['none', 'c0ffee'])
  assert.is(offered('m explain c0ffee/').length, 1 + 10)
  assert.equal(offered('m explain last/11'), [
    'none',
    ...['11', '110', '111', '112', '113', '114', '115', '116', '117', '118', '119'].map((unit) => `last/${unit}`),
  ])
  assert.equal(offered('m explain c0f/12'), ['none', 'c0f/12'])
  assert.equal(offered('m explain c0ffee/0'), ['none', 'c0ffee/0'])
  assert.equal(offered('m explain beef/1'), ['none'])
  assert.equal(offered('m explain c0ffee/x'), ['none'])
  assert.equal(offered('m explain /'), ['none'])
})

test('arguments are counted past flags and their values', () => {
  assert.equal(offered('m --data x show --json c'), ['none', 'c0ffee'])
  assert.equal(offered('m show c0ffee '), ['none'])
  assert.equal(offered('m wait c0ffee c'), ['none', 'c0ffee'])
  assert.equal(offered('m submit --count 5 pri'), ['none', 'primes'])
  assert.equal(offered('m submit ./p'), ['files'])
  assert.equal(offered('m submit primes --files a b --na'), ['none', '--name'])
  assert.equal(offered('m submit primes -- '), ['files'])
  assert.equal(offered('m help sho'), ['none', 'show'])
  assert.equal(offered('m nonsense '), ['none'])
  assert.equal(offered('m id ex'), ['none', 'export'])
})

test('a line is cut into words as a shell does', () => {
  assert.equal(splitLine(`m 'a b' "c \\" d" e\\ f g`), ['m', 'a b', 'c " d', 'e f', 'g'])
  assert.equal(splitLine('m x '), ['m', 'x', ''])
  assert.equal(splitLine(`m 'open quo`), ['m', 'open quo'])
})

test('bash is given what comes after the character at which it began a word', () => {
  assert.is(afterBashBreak('--state=o', '--state=open'), 'open')
  assert.is(afterBashBreak('quorum:', 'quorum:2'), '2')
  assert.is(afterBashBreak('sho', 'show'), 'show')
})

test.run()
