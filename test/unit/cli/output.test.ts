import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { exitCodeOf } from '../../../cli/terminal/exit-codes.js'
import { clean, facts, Output, table } from '../../../cli/terminal/output.js'
import { textWidth } from '../../../cli/terminal/text-width.js'
import { GridError } from '../../../runtime/errors.js'
import { TextSink } from './run.js'

function output(
  flags: { json?: boolean; quiet?: boolean; verbose?: boolean; noColor?: boolean; terminal?: boolean } = {},
) {
  const stdout = new TextSink()
  const stderr = new TextSink(flags.terminal)
  const { json = false, quiet = false, verbose = false, noColor = false } = flags
  return { stdout, stderr, output: new Output({ stdout, stderr, json, quiet, verbose, noColor }) }
}

const modes = suite('Output')

modes('an answer is text, or one JSON value with its version', () => {
  const text = output()
  text.output.answer('hello', { greeting: 'hello' })
  assert.is(text.stdout.text, 'hello\n')
  const json = output({ json: true })
  json.output.answer('hello', { greeting: 'hello', exact: 2n ** 60n })
  assert.is(json.stdout.text, '{"v":1,"greeting":"hello","exact":"1152921504606846976"}\n')
})

modes('notes are for people: on stderr, not with --quiet, not with --json', () => {
  for (const flags of [{ quiet: true }, { json: true }]) {
    const { output: quiet, stdout, stderr } = output(flags)
    quiet.note('by the way')
    assert.is(stdout.text + stderr.text, '')
  }
  const loud = output()
  loud.output.note('by the way')
  assert.is(loud.stderr.text, 'by the way\n')
  assert.is(loud.stdout.text, '')
})

modes('a terminal that only writes lines is drawn upon by nobody, and gets no colour', () => {
  const [stdout, stderr] = [new TextSink(true), new TextSink(true)]
  const flags = { stdout, stderr, json: false, quiet: false, verbose: false, noColor: false }
  const able = new Output(flags)
  assert.ok(able.isInteractive && able.canDraw)
  const dumb = new Output({ ...flags, dumb: true })
  assert.not.ok(dumb.isInteractive || dumb.canDraw)
  dumb.warn('look')
  assert.is(stderr.text, 'warning: look\n')
})

modes('an error is a message and what to do, on stderr', () => {
  const { output: out, stdout, stderr } = output({ quiet: true })
  out.error(new GridError('invalid', 'that is wrong', { hint: 'do this\nor that' }))
  assert.is(stdout.text, '')
  assert.is(stderr.text, 'error: that is wrong\n  do this\n  or that\n')
})

modes('with --json an error is the value on stdout', () => {
  const { output: out, stdout, stderr } = output({ json: true })
  out.error(new GridError('unreachable', 'nobody is there', { hint: 'go elsewhere' }))
  assert.equal(JSON.parse(stdout.text), {
    v: 1,
    error: { code: 'unreachable', message: 'nobody is there', hint: 'go elsewhere' },
  })
  assert.is(stderr.text, '')
})

modes('no stack is shown, except of an internal error with --verbose', () => {
  const plain = output()
  plain.output.error(new TypeError('boom'))
  assert.is(plain.stderr.text, 'error: boom\n')
  const verbose = output({ verbose: true })
  verbose.output.error(new TypeError('boom'))
  assert.match(verbose.stderr.text, /TypeError: boom\n\s+at /)
  const expected = output({ verbose: true })
  expected.output.error(new GridError('invalid', 'wrong'))
  assert.is(expected.stderr.text, 'error: wrong\n')
})

modes('colours are for terminals, and NO_COLOR turns them off', () => {
  const coloured = output({ terminal: true })
  coloured.output.error(new GridError('invalid', 'x'))
  assert.match(coloured.stderr.text, '\u001b[31merror:')
  const plain = output({ terminal: true, noColor: true })
  plain.output.error(new GridError('invalid', 'x'))
  assert.is(plain.stderr.text, 'error: x\n')
})

modes('control characters of strangers never reach the terminal', () => {
  const hostile = '\u001b]0;owned\u0007\u202eabc\u009b31m'
  const { output: out, stderr } = output()
  out.error(new GridError('invalid', hostile, { hint: hostile }))
  assert.not.match(stderr.text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/)
  assert.not.match(table(['A'], [[hostile]]), /[\u001b\u0007\u202e\u009b]/)
  assert.not.match(facts([['name', hostile]]), /[\u001b\u0007\u202e\u009b]/)
  assert.is(clean('a\u001bb\nc'), 'a b\nc')
})

modes.run()

const layout = suite('table')

layout('columns are as wide as their widest cell, numbers to the right', () => {
  assert.is(
    table(
      ['NAME', 'N'],
      [
        ['a', 5],
        ['long name', 10],
      ],
    ),
    'NAME        N\na           5\nlong name  10',
  )
})

layout(
  'on a terminal text is cut to its width, words of several parts first; ids and numbers stay as long as they can',
  () => {
    const headings = ['ID', 'STATE', 'N', 'NAME']
    const rows = [
      ['0123456789abcdef', 'waits for another donor to agree', 12_345, '日本語の名前'.repeat(9)],
      ['fedcba9876543210', 'done', 1, 'short'],
    ]
    for (const width of [300, 80, 60, 50]) {
      const lines = table(headings, rows, width).split('\n')
      assert.ok(
        lines.every((line) => textWidth(line) <= width),
        lines.join('\n'),
      )
      assert.match(lines[1]!, /^0123456789abcdef .*12345/)
    }
    assert.match(table(headings, rows, 43).split('\n')[1]!, /^0123456789abcd… waits for… 12345 /)
    // No room for a table.
    assert.match(
      table(headings, rows, 20),
      /^ID +0123456789abcdef\nSTATE +waits for another donor to agree\nN +12345\n/,
    )
  },
)

layout(
  'an answer on a terminal is broken between words and goes on below its last column; a command to copy stays whole',
  () => {
    const stdout = Object.assign(new TextSink(true), { columns: 40 })
    const text =
      'value  one two three four five six seven eight\n  do     manyhands\n    manyhands work --join HOST --data FOLDER --network home'
    const stderr = new TextSink()
    new Output({ stdout, stderr, json: false, quiet: false, verbose: false, noColor: false }).answer(text, {})
    assert.is(
      stdout.text,
      'value  one two three four five six seven\n       eight\n  do     manyhands\n    manyhands work --join HOST --data FOLDER --network home\n',
    )
  },
)

layout('facts without a value are left out', () =>
  assert.is(
    facts([
      ['a', 1],
      ['bcd', ''],
      ['ef', 'x'],
    ]),
    'a   1\nef  x',
  ),
)

layout.run()

const codes = suite('exit codes')

codes('each kind of failure has the documented one', () => {
  const code = (name: ConstructorParameters<typeof GridError>[0]) => exitCodeOf(new GridError(name, ''))
  assert.equal(
    [code('invalid'), code('unreachable'), code('timeout'), code('notFound'), code('expired'), code('unavailable')],
    [2, 3, 4, 6, 6, 1],
  )
})

codes.run()
