import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type GivenOption, type JobOptionName, SOURCE_OPTIONS } from '../../../cli/job-options/job-option-table.js'
import { readJobOptions } from '../../../cli/job-options/job-options.js'
import { GridError } from '../../../runtime/errors.js'

type Flags = Partial<Record<JobOptionName, string | readonly string[]>>

function read(flags: Flags) {
  const given = new Map<JobOptionName, GivenOption>()
  for (const [name, value] of Object.entries(flags)) {
    given.set(name as JobOptionName, { texts: [value].flat() as string[], where: `--${name}` })
  }
  return readJobOptions(given)
}

function refusal(flags: Flags): GridError {
  try {
    read(flags)
  } catch (error) {
    if (error instanceof GridError) return error
    throw error
  }
  throw new Error(`expected ${JSON.stringify(flags)} to be refused`)
}

const sources = suite('sources of a job')

sources('each kind is understood', () => {
  assert.equal(read({ count: '10^6' }).source, { type: 'count', count: '10^6' })
  assert.equal(read({ array: '1-9:2' }).source, { type: 'array', array: '1-9:2' })
  assert.equal(read({ range: '0..10^9:10^7' }).source, { type: 'range', range: '0..10^9:10^7' })
  assert.equal(read({ lines: '-' }).source, { type: 'lines', path: '-' })
  assert.equal(read({ csv: 'a.csv' }).source, { type: 'csv', path: 'a.csv' })
  assert.equal(read({ files: ['a', 'b'] }).source, { type: 'files', paths: ['a', 'b'] })
  assert.equal(read({ records: 'q.fa', sep: 'fasta' }).source, { type: 'records', path: 'q.fa', sep: 'fasta' })
})

sources('no source is not an error here', () => assert.is(read({}).source, undefined))

sources('any two are refused, and both are named', () => {
  for (const one of SOURCE_OPTIONS) {
    for (const other of SOURCE_OPTIONS) {
      if (one >= other) continue
      const error = refusal({ [one]: '1', [other]: '1' })
      assert.match(error.message, `--${one}`)
      assert.match(error.message, `--${other}`)
      assert.is(error.code, 'invalid')
    }
  }
})

sources('records need a separator, and nothing else takes one', () => {
  assert.match(refusal({ records: 'x' }).message, /--records needs --sep/)
  assert.match(refusal({ records: 'x', sep: '' }).message, /--records needs --sep/)
  assert.match(refusal({ lines: 'x', sep: 'fasta' }).message, /--sep goes with --records alone/)
  assert.match(refusal({ sep: 'fasta' }).message, /--sep goes with --records alone/)
})

sources('a separator may name line breaks and tabs', () => {
  assert.equal(read({ records: 'x', sep: '\\n//\\t\\\\' }).source, { type: 'records', path: 'x', sep: '\n//\t\\' })
})

sources('an empty value is refused', () => {
  for (const name of SOURCE_OPTIONS.filter((source) => source !== 'records')) {
    assert.match(refusal({ [name]: '' }).message, `--${name} is empty`)
  }
})

sources('lists of jobs show the source as it was typed', () => {
  assert.is(read({ range: '0..10^9:10^7' }).sourceText, '--range 0..10^9:10^7')
  assert.is(read({ files: ['a', 'b', 'c'] }).sourceText, '--files a ... (3)')
})

sources.run()

const options = suite('options of a job')

options('what is not given is left to the defaults', () => assert.equal(read({}).request, {}))

options('every option is understood', () => {
  const { request, inputs } = read({
    'per-unit': '8',
    repeat: '3',
    units: '0-9,17',
    in: ['data/db.fasta=db', 'notes.txt'],
    env: ['A=1', 'B=x=y'],
    seed: '2^64-1',
    quorum: '3',
    'max-fails': '5%',
    'max-errors': '4',
    'max-instances': '20',
    owners: ['12'.repeat(32)],
    workers: [`${'ab'.repeat(32)},${'cd'.repeat(32)}`, 'ef'.repeat(32)],
    memory: '1GiB',
    wall: '2h',
    fuel: '10^12',
    'output-limit': '1MiB',
    'ok-exit': ['1,2', '7'],
    name: 'a name',
    label: ['project=x'],
    priority: '-5',
    expires: '2d',
    public: 'true',
  })
  assert.equal(request, {
    perUnit: 8,
    repeat: 3,
    units: [
      { first: 0, count: 10 },
      { first: 17, count: 1 },
    ],
    environment: [
      ['A', '1'],
      ['B', 'x=y'],
    ],
    seed: 2n ** 64n - 1n,
    policy: { type: 'quorum', quorum: 3 },
    limits: { memoryBytes: 2 ** 30, wallMs: 7_200_000, fuel: 10n ** 12n, outputBytes: 2 ** 20 },
    okExit: [1, 2, 7],
    maxFails: { type: 'percent', value: 5 },
    maxErrors: 4,
    maxInstances: 20,
    name: 'a name',
    labels: [['project', 'x']],
    priority: -5,
    expiresInMs: 2 * 86_400_000,
    isPublic: true,
    owners: ['12'.repeat(32)],
    workers: ['ab', 'cd', 'ef'].map((byte) => byte.repeat(32)),
  })
  assert.equal(inputs, [
    { path: 'data/db.fasta', name: 'db' },
    { path: 'notes.txt', name: 'notes.txt' },
  ])
})

options('a quorum may be written in two ways, not both', () => {
  assert.equal(read({ verify: 'quorum:4' }).request.policy, { type: 'quorum', quorum: 4 })
  assert.equal(read({ verify: 'none' }).request.policy, { type: 'none' })
  assert.equal(read({ verify: 'confidence:.9999' }).request.policy, { type: 'confidence', errorPpm: 100 })
  assert.equal(read({ verify: 'confidence:0.999999' }).request.policy, { type: 'confidence', errorPpm: 1 })
  for (const wrong of ['0.95', '1', '0.9999999', '99%', ''])
    assert.match(refusal({ verify: `confidence:${wrong}` }).message, /is no confidence from 0.950001 to 0.999999/)
  assert.match(refusal({ verify: 'none', quorum: '2' }).message, /--quorum and --verify say the same thing/)
})

options('what is out of bounds is refused with the flag and the bounds', () => {
  const cases: readonly (readonly [Flags, RegExp])[] = [
    [{ quorum: '0' }, /--quorum: 0 is outside 1 to 15/],
    [{ quorum: '16' }, /--quorum: 16 is outside/],
    [{ quorum: 'two' }, /--quorum: number 'two' is not an integer/],
    [{ verify: 'maybe' }, /--verify: 'maybe' is no way to verify/],
    [{ verify: 'quorum:x' }, /--verify: number 'x'/],
    [{ 'per-unit': '0' }, /--per-unit: 0 is outside/],
    [{ repeat: '-1' }, /--repeat: -1 is outside/],
    [{ units: '9-1' }, /--units: selection '9-1' is empty/],
    [{ seed: '-1' }, /--seed: -1 is outside 0 to 2\^64-1/],
    [{ memory: '5GiB' }, /--memory: 5 GiB is outside 64 KiB to 4 GiB/],
    [{ memory: '5' }, /--memory: 5 B is less than any program starts with/],
    [{ memory: 'lots' }, /--memory: size 'lots' is not a number of bytes/],
    [{ wall: '0' }, /--wall: .* is outside 1ms to/],
    [{ wall: 'soon' }, /--wall: duration 'soon' is not a duration/],
    [{ fuel: '2^64' }, /--fuel: .* is outside/],
    [{ 'output-limit': '65MiB' }, /--output-limit: .* is outside/],
    [{ 'ok-exit': 'x' }, /--ok-exit: number 'x'/],
    [{ 'max-fails': '0%' }, /--max-fails: 0 is outside 1 to 100/],
    [{ 'max-fails': '0' }, /--max-fails: 0 is outside/],
    [{ 'max-errors': '101' }, /--max-errors: 101 is outside 1 to 100/],
    [{ 'max-instances': '1001' }, /--max-instances/],
    [{ workers: 'alice' }, /--workers: 'alice' is no key/],
    [{ priority: '101' }, /--priority: 101 is outside -100 to 100/],
    [{ expires: '31d' }, /--expires/],
    [{ env: 'novalue' }, /--env: 'novalue' is not of the form NAME=VALUE/],
    [{ label: '=x' }, /--label: '=x'/],
    [{ in: 'a=../b' }, /--in: the name '\.\.\/b'/],
    [{ in: '=b' }, /--in: '=b' names no file/],
  ]
  for (const [flags, message] of cases) {
    const error = refusal(flags)
    assert.match(error.message, message)
    assert.is(error.code, 'invalid')
  }
})

options.run()
