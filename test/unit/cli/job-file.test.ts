import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mergeOptions, parseJobFile, readJobFile } from '../../../cli/job-options/job-file.js'
import type { GivenOptions } from '../../../cli/job-options/job-option-table.js'
import { readJobOptions } from '../../../cli/job-options/job-options.js'
import { GridError } from '../../../runtime/errors.js'

const read = (text: string) => parseJobFile(text, 'job.toml', '/jobs')

function refusal(text: string): GridError {
  try {
    readJobOptions(read(text).options)
  } catch (error) {
    if (error instanceof GridError) return error
    throw error
  }
  throw new Error(`expected a refusal of:\n${text}`)
}

function flags(given: Readonly<Record<string, readonly string[]>>): GivenOptions {
  return new Map(Object.entries(given).map(([name, texts]) => [name, { texts, where: `--${name}` }])) as GivenOptions
}

const file = suite('job files')

file('everything that submit takes can stand in one', () => {
  const { task, args, options } = read(`
    task = "align"
    args = ["--top", 3]
    records = "queries.fasta"
    sep = "fasta"
    quorum = 3
    memory = "1GiB"
    fuel = 1_000_000
    public = true
    ok-exit = [1, 2]

    [in]
    db = "database.fasta"

    [env]
    LANG = "C"

    [label]
    project = "x"
  `)
  assert.is(task, 'align')
  assert.equal(args, ['--top', '3'])
  const { source, inputs, request } = readJobOptions(options)
  assert.equal(source, { type: 'records', path: '/jobs/queries.fasta', sep: 'fasta' })
  assert.equal(inputs, [{ path: '/jobs/database.fasta', name: 'db' }])
  assert.equal(request, {
    policy: { type: 'quorum', quorum: 3 },
    limits: { memoryBytes: 2 ** 30, fuel: 1_000_000n },
    okExit: [1, 2],
    environment: [['LANG', 'C']],
    labels: [['project', 'x']],
    isPublic: true,
  })
})

file('numbers beyond 2^53 stay exact', () => {
  const { options } = read('seed = 9223372036854775807\nrange = "10^16..10^16+10^8:10^7"')
  assert.is(readJobOptions(options).request.seed, 9223372036854775807n)
})

file('every kind of mistake gives one message with line and key', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['task = "primes"\nrange = 0..10', /^job\.toml, line 2: /],
    ['task = "primes', /^job\.toml, line 1: /],
    ['quorum = 2\nquorum = 3', /^job\.toml, line 2: /],
    ['task = 7', /^job\.toml, line 1: 'task' must be a text/],
    ['args = "one"', /^job\.toml, line 1: 'args' must be a list/],
    ['\n\nquorm = 2', /^job\.toml, line 3: unknown key 'quorm'/],
    ['quorum = "two"', /^job\.toml, line 1: 'quorum': number 'two' is not an integer/],
    ['quorum = true', /^job\.toml, line 1: 'quorum' must be a text or a number/],
    ['quorum = 16', /^job\.toml, line 1: 'quorum': 16 is outside 1 to 15/],
    ['quorum = 1.5', /^job\.toml, line 1: 'quorum': number '1.5' is not a whole number/],
    ['public = "yes"', /^job\.toml, line 1: 'public' must be true or false/],
    ['files = { a = 1 }', /^job\.toml, line 1: 'files' must be/],
    ['[env]\nA = "1"\nB = [1]', /^job\.toml, line 3: 'env\.B' |^job\.toml, line 1: 'env' must be a table/],
    ['memory = "much"', /^job\.toml, line 1: 'memory': size 'much'/],
    ['name = "x"\nwall = "1 year"', /^job\.toml, line 2: 'wall': duration/],
    ['count = 5\nrange = "0..1"', /--count and --range are both a source/],
    ['count = -1\nsep = "fasta"', /^job\.toml, line 2: 'sep' goes with --records alone/],
    ['records = "x"', /--records needs --sep/],
    ['quorum = 2\nverify = "none"', /line 1: 'quorum' and .*line 2: 'verify' say the same thing/],
    ['priority = 1000', /line 1: 'priority': 1000 is outside/],
    ['in = { "../x" = "a" }', /line 1: 'in': the name '\.\.\/x'/],
  ]
  for (const [text, message] of cases) {
    const error = refusal(text)
    assert.match(error.message, message, `${text}\n${error.message}`)
    assert.is(error.code, 'invalid', text)
    assert.not.match(error.message, /\n/, text)
  }
})

file('a key spelt the TOML way of others is recognised', () => {
  assert.match(refusal('perUnit = 2').hint ?? '', /did you mean 'per-unit'/)
  assert.match(refusal('max_fails = 2').hint ?? '', /did you mean 'max-fails'/)
})

file('a source that cannot be one is told with its place, and what there can be', () => {
  const cases: readonly (readonly [line: string, pattern: RegExp, hint: RegExp])[] = [
    ['count = 0', /a count of 0 is not possible/, /from 1 to 9007199254740991/],
    ['count = "2^53"', /a count of 9007199254740992 is not possible/, /--array and --range take larger/],
    ['count = 3.5', /'3\.5' is not a whole number/, /Write an integer/],
    ['array = "5-3"', /array '5-3' is empty/, /A at most B/],
    ['range = "0..x"', /'x' is not an integer/, /Write an integer/],
  ]
  for (const [line, pattern, hint] of cases) {
    const error = refusal(`task = "primes"\n\n${line}`)
    assert.match(error.message, pattern)
    assert.match(error.message, new RegExp(`^job\\.toml, line 3: '${line.split(' ')[0]}': `))
    assert.match(error.hint ?? '', hint)
  }
})

file('a file that is not there is refused', () => {
  assert.throws(() => readJobFile('/nonexistent/job.toml'), /the job file \/nonexistent\/job\.toml does not exist/)
})

file.run()

const merge = suite('mergeOptions')

merge('flags win over the file, one by one', () => {
  const merged = mergeOptions(read('quorum = 2\nname = "file"').options, flags({ name: ['flag'] }))
  assert.equal(merged.get('name')?.texts, ['flag'])
  assert.equal(merged.get('quorum')?.texts, ['2'])
})

merge('a source given as a flag replaces whatever source the file has', () => {
  const merged = mergeOptions(read('records = "x"\nsep = "fasta"').options, flags({ count: ['5'] }))
  assert.equal(readJobOptions(merged).source, { type: 'count', count: '5' })
})

merge('a separator alone keeps the records of the file', () => {
  const merged = mergeOptions(read('records = "x"\nsep = "fasta"').options, flags({ sep: ['sdf'] }))
  assert.equal(readJobOptions(merged).source, { type: 'records', path: '/jobs/x', sep: 'sdf' })
})

merge('one way to verify replaces the other', () => {
  const merged = mergeOptions(read('quorum = 3').options, flags({ verify: ['none'] }))
  assert.equal(readJobOptions(merged).request.policy, { type: 'none' })
})

merge.run()
