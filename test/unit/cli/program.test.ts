import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { COMMAND_FILES } from '../../../cli/command-list.js'
import { buildProgram, splitPassed } from '../../../cli/program.js'
import { run, temporaryFolder } from './run.js'

const folder = temporaryFolder()
const home = folder.path
const here = (name: string) => join(folder.path, name)

const usage = suite('command line')

usage('nothing at all shows the help and is a usage error', async () => {
  const { code, stdout } = await run([])
  assert.is(code, 2)
  assert.match(stdout, /Usage: manyhands/)
})

usage('--help of every command has an example, fits 80 columns and ends well', async () => {
  const names = (await buildProgram(async () => {})).commands.map((command) => command.name())
  assert.equal(names.filter((name) => name !== 'help').sort(), [
    'cancel',
    'check',
    'completion',
    'config',
    'demo',
    'doctor',
    'drain',
    'explain',
    'extend',
    'id',
    'jobs',
    'map',
    'network',
    'node',
    'pause',
    'peers',
    'prefs',
    'priority',
    'receipt',
    'replay',
    'results',
    'resume',
    'retry',
    'rm',
    'run-local',
    'show',
    'stats',
    'status',
    'submit',
    'tasks',
    'top',
    'units',
    'verify',
    'wait',
    'watch',
    'work',
  ])
  for (const name of names) {
    const { code, stdout, stderr } = await run([name, '--help'])
    assert.is(code, 0, name)
    assert.is(stderr, '', name)
    assert.match(stdout, new RegExp(`Usage: manyhands ${name}`))
    // Examples are to be copied: no line is cut in two.
    const wide = stdout.split('\n').filter((line) => line.length > 80 && !/^ {2}manyhands /.test(line))
    assert.equal(wide, [], name)
    if (!['help', 'config'].includes(name)) assert.match(stdout, /manyhands [a-z-]+/, name)
  }
})

usage('each file defines the commands under whose names it is loaded, and no other', async () => {
  for (const { names, load } of COMMAND_FILES) {
    const program = new Command()
    const define = await load()
    define({ add: (words) => program.command(words) })
    assert.equal(
      program.commands.map((command) => command.name()),
      names,
    )
  }
})

usage('--version prints the version alone', async () => {
  const { code, stdout } = await run(['--version'])
  assert.is(code, 0)
  assert.match(stdout, /^[0-9]+\.[0-9]+\.[0-9]+\n$/)
})

usage('--json makes JSON of the version, too', async () => {
  for (const words of [
    ['--json', '--version'],
    ['--version', '--json'],
  ]) {
    const { code, stdout } = await run(words)
    assert.is(code, 0)
    assert.match(JSON.parse(stdout).version, /^[0-9]+\.[0-9]+\.[0-9]+$/)
  }
})

usage('a data directory that cannot be one is told once, with what to do, whatever is asked', async () => {
  const file = here('a-file')
  writeFileSync(file, '')
  const places = [[file, 'EEXIST'] as const, [join(file, 'below'), 'ENOTDIR'] as const]
  for (const [data, code] of places)
    for (const words of [['jobs'], ['id'], ['peers', 'add', '127.0.0.1:9'], ['status', '--join', '127.0.0.1:9']]) {
      const ran = await run(['--data', data, ...words])
      assert.is(ran.code, 1, words.join(' '))
      assert.match(
        ran.stderr,
        new RegExp(`^error: data directory ${data} cannot be used \\(${code}\\)\n.*--data DIR\n$`),
      )
    }
})

usage('a preference that is wrong in the environment is told with where it was said', async () => {
  const ran = await run(['work', '--join', '127.0.0.1:9'], { home, environment: { MANYHANDS_HOURS: 'x' } })
  assert.is(ran.code, 2)
  assert.match(ran.stderr, /^error: hours 'x' is not understood\n.*\n.*said in the environment: manyhands config\n$/)
})

usage('stats before anything was done says how to begin; a misspelt directory is told', async () => {
  const ran = await run(['stats'], { home: here('nobody-was-here') })
  assert.is(ran.code, 0, ran.stderr)
  assert.match(ran.stderr, /nothing is settled yet/)
  assert.is((await run(['stats', '--data', here('misspelt')])).code, 2)
})

usage('an unknown command, option, or word too many is one message and exit code 2', async () => {
  for (const [argv, message] of [
    [['sumbit'], /unknown command 'sumbit'\n\s+Did you mean submit/],
    [['help', 'sumbit'], /unknown command 'sumbit'\n\s+Did you mean submit/],
    [['--data', 'help', '--quiet', 'help', 'sumbit'], /unknown command 'sumbit'/],
    [['sumbit', '--help'], /unknown command 'sumbit'/],
    [
      ['submit', 'primes', '0..10^9:10^7'],
      /too many arguments.*\n\s+units come from a source: +--range 0\.\.10\^9:10\^7\n/,
    ],
    [['explain', 'last', '--me'], /--me is about this machine/],
    [['run-local', 'primes', '--range', '0..9:1', '--cpus', '0'], /--cpus 0 computes nothing/],
    [['submit', 'primes', '--count', '1', '--judge', 'me'], /^error: --judge: 'me' is no key/],
    [['network', 'show', 'x'], /'network show' takes no file/],
    [['peers', 'rm', '192.0.2.1:4747'], /no peer '192.0.2.1:4747' was added/],
    [['submit', 'primes', '--rnage', '0..1'], /unknown option '--rnage'/],
    [['submit', 'primes', '1', '2'], /arguments of the program go after --/],
    [['show'], /missing required argument 'job'/],
    [['submit', 'primes', '--range'], /argument missing/],
    [['show', 'last', '--', 'x'], /'show' takes no words after --/],
  ] as const) {
    const { code, stdout, stderr } = await run(argv)
    assert.is(code, 2, argv.join(' '))
    assert.is(stdout, '', argv.join(' '))
    assert.match(stderr, message)
    assert.match(stderr, /^error: /)
  }
})

usage('with --json a usage error is a value on stdout', async () => {
  const { code, stdout, stderr } = await run(['--json', 'submit', 'nonsense', '--count', '5'])
  assert.is(code, 2)
  assert.is(stderr, '')
  const { v, error } = JSON.parse(stdout) as { v: number; error: { code: string; message: string; hint: string } }
  assert.is(v, 1)
  assert.is(error.code, 'invalid')
  assert.match(error.message, /no task 'nonsense'/)
  assert.match(error.hint, /primes/)
})

usage('flags that contradict one another are refused before any peer is looked for', async () => {
  for (const argv of [
    ['results', 'last', '--sum', '--raw'],
    ['results', 'last', '--sum', '-o', 'x'],
    ['extend', 'last', '0'],
    ['extend', 'last', 'soon'],
    ['stats', '--since', '2026-02-31'],
    ['stats', here('nothing-there.json')],
    ['stats', '--export', here('x.json'), '--since', '1d'],
  ]) {
    const { code, stderr } = await run(argv, { home })
    assert.ok(code === 2 || code === 6, `${argv.join(' ')}: ${code} ${stderr}`)
    assert.not.match(stderr, /no peer/)
  }
})

const toFolder = (pattern: string) => submitTo(here('results'), '--layout', pattern)

function submitTo(folder: string, ...more: readonly string[]): readonly string[] {
  return ['submit', 'primes', '--range', '0..10', '--wait', '-o', folder, ...more]
}

usage('a folder that cannot take the results is refused before the job is submitted', async () => {
  const folder = here('of-another')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ job: 'another' }))
  const file = here('no-folder')
  writeFileSync(file, '')
  for (const [argv, message] of [
    [submitTo(folder), /the folder holds the results of another job/],
    [submitTo(file), /no-folder cannot be made: a file is there/],
  ] as const) {
    const { stderr } = await run(argv, { home })
    assert.match(stderr, message)
    assert.not.match(stderr, /no peer/)
  }
  assert.equal(readdirSync(folder), ['manifest.json'])
})

usage('what a job is made of is checked before any peer is looked for', async () => {
  for (const [argv, message] of [
    [['submit'], /no task is named/],
    [['submit', 'primes'], /no source is given/],
    [['submit', 'primes', '--count', '5'], /primes makes no sense of --count/],
    [['submit', 'primes', '--range', '5..5'], /range '5..5' is empty/],
    [['submit', 'mandelbrot', '--count', '0'], /count of 0 is not possible/],
    [['submit', 'primes', '--range', '0..10', '--', '{nope}'], /unknown placeholder '\{nope\}'/],
    [['submit', 'primes', '--range', '0..10', '--', '{start'], /single '\{'/],
    [['submit', 'primes', '--range', '0..10', '--', 'x', 'y'], /primes: START must be an integer/],
    [['submit', 'primes', '--range', '0..10^9'], /has 1000000000 units, at most 10000000/],
    [['submit', 'primes', '--range', '0..10', '--units', '10'], /unit 10 is selected, but the last unit is 9/],
    [['submit', 'primes', '--range', '0..10', '--quorum', '9', '--max-instances', '5'], /quorum 9 cannot be reached/],
    [['submit', 'mersenne', '--lines', '/nonexistent'], /the file \/nonexistent does not exist/],
    [['submit', 'mersenne', '--lines', '/'], /the file \/ is a folder/],
    [['submit', './geng.wasm', '--count', '5'], /the program \.\/geng\.wasm does not exist/],
    [['submit', '/', '--count', '5'], /the program \/ is a folder/],
    [['replay', 'last', 'x'], /number 'x'/],
    [['id', 'export'], /'id export' needs a file/],
    [['id', 'show', 'x'], /'id show' takes no file/],
    [['id', 'import', '/nonexistent'], /the key file \/nonexistent does not exist/],
    [['submit', 'primes', '--range', '0..10', '-o', 'x'], /-o, --layout and --stderr go with --wait/],
    [[...toFolder('const')], /layout 'const' gives several units the same name/],
    [[...toFolder('../{i}')], /layout '..\/\{i\}' has a part '\.\.'/],
    [['submit', 'primes', '--range', '0..10', '--wait', '--layout', '{i}'], /--layout goes with -o DIR/],
    [['map', 'primes'], /primes does not work line by line/],
    [['retry', 'last'], /say what to retry/],
    [['units', 'last', '--state', 'broken'], /'broken' is no state of a unit/],
    [['work', '--cpus', '0', '--join', 'localhost'], /a worker needs at least one thread/],
    [['work', '--cpus', '200%'], /more than 100%/],
    [['work', '--for', 'ever', '--join', 'localhost'], /duration 'ever'/],
    [['node', '--listen', 'a:b:c'], /address "a:b:c"/],
    [['jobs', '--join', 'no host'], /address "no host"/],
    [['jobs', '--network', 'BAD NAME'], /network name "BAD NAME"/],
    [['jobs', '--secret-file', '/nonexistent'], /the secret file \/nonexistent does not exist/],
    [['wait', 'last', '--timeout', 'x'], /^error: --timeout: duration 'x'/],
    [['id', 'steal'], /'id steal' is not known/],
  ] as const) {
    const { code, stdout, stderr } = await run(argv, { home })
    assert.is(code, 2, `${argv.join(' ')}\n${stderr}`)
    assert.is(stdout, '', argv.join(' '))
    assert.match(stderr, message, argv.join(' '))
    assert.not.match(stderr, /\n\s+at /, argv.join(' '))
  }
})

usage('a pipe that nobody writes to is refused at once in place of a file, wherever one is named', async () => {
  if (process.platform === 'win32') return
  const pipe = join(folder.path, 'pipe.wasm')
  execFileSync('mkfifo', [pipe])
  for (const argv of [
    ['check', pipe],
    ['submit', pipe, '--count', '5'],
    ['run-local', pipe, '--count', '5'],
    ['run-local', 'mersenne', '--lines', pipe],
    ['run-local', 'mersenne', '--csv', pipe, '--', '{a}'],
    ['run-local', 'align', '--records', pipe, '--sep', 'fasta'],
    ['run-local', '--from', pipe],
    ['id', 'import', pipe],
    ['jobs', '--secret-file', pipe],
    ['jobs', '--config', pipe],
    ['stats', pipe],
  ]) {
    const { code, stderr } = await run(argv, { home })
    assert.is(code, 2, `${argv.join(' ')}\n${stderr}`)
    assert.match(stderr, /no regular file, but a pipe or a device|is no exported ledger/, argv.join(' '))
  }
})

usage('without any peer it is exit code 3 and the exact command to run', async () => {
  const argv = ['submit', 'primes', '--range', '0..10', '--no-trial', '--name', "it's"]
  const { code, stderr } = await run([...argv, '--', '{start}', '{end}'], { home })
  assert.is(code, 3)
  assert.match(
    stderr,
    "manyhands submit primes --range 0..10 --no-trial --name 'it'\\''s' --join HOST -- '{start}' '{end}'",
  )
  for (const name of ['jobs', 'status', 'peers', 'work']) {
    const { code } = await run([name], { home })
    assert.is(code, 3, name)
  }
})

usage('words after the first -- belong to the program', () => {
  assert.equal(splitPassed(['submit', 'x', '--', 'a', '--', '--json']), {
    typed: ['submit', 'x'],
    passed: ['a', '--', '--json'],
  })
  assert.equal(splitPassed(['jobs']), { typed: ['jobs'], passed: undefined })
})

usage.run()

const local = suite('commands that need nobody')

local('tasks lists the built-in tasks, and explains one', async () => {
  const { stdout } = await run(['tasks'])
  for (const name of ['align', 'mandelbrot', 'mersenne', 'primes']) assert.match(stdout, name)
  assert.match((await run(['tasks', 'primes'])).stdout, /manyhands submit primes --range/)
  const { tasks } = JSON.parse((await run(['tasks', '--json'])).stdout) as { tasks: { name: string }[] }
  assert.is(tasks.length, 4)
  assert.is((await run(['tasks', 'nonsense'])).code, 2)
})

local('config shows values with their origin', async () => {
  writeFileSync(here('config.toml'), 'cpus = "50%"\n')
  const environment = { MANYHANDS_JOIN: 'host.example' }
  const { stdout } = await run(['config', '--config', here('config.toml'), '--network', 'lab', '--json'], {
    environment,
  })
  const { settings } = JSON.parse(stdout) as { settings: Record<string, { value: unknown; origin: string }> }
  assert.equal(settings.network, { value: 'lab', origin: 'flag' })
  assert.equal(settings.join, { value: ['host.example'], origin: 'environment' })
  assert.equal(settings.cpus, { value: '50%', origin: 'file' })
  assert.is(settings.data?.origin, 'default')
  assert.equal(settings['on-battery'], { value: 'no', origin: 'default' })
  assert.equal(settings.memory?.value, '256 MiB')
})

local('config shows a preference that a worker would refuse, and says so', async () => {
  writeFileSync(here('wrong.toml'), 'hours = "22:00-25:00"\n')
  const { code, stdout, stderr } = await run(['config', '--config', here('wrong.toml')])
  assert.is(code, 2)
  assert.match(stdout, /hours +file +MANYHANDS_HOURS +22:00-25:00/)
  assert.match(stderr, /hours '22:00-25:00' is not understood/)
})

local('a flag with a list takes it with commas, repeated, or both', async () => {
  const { stdout } = await run(['config', '--join', 'a.example', '--json', '--join', 'b.example,c.example'])
  const { settings } = JSON.parse(stdout) as { settings: Record<string, { value: unknown }> }
  assert.equal(settings.join?.value, ['a.example', 'b.example', 'c.example'])
})

local('id makes a key once and keeps it; new replaces it', async () => {
  const argv = ['id', '--data', here('id'), '--network', 'test', '--json']
  const first = JSON.parse((await run(argv)).stdout) as { nodeId: string }
  assert.match(first.nodeId, /^[0-9a-f]{40}$/)
  assert.equal(JSON.parse((await run(argv)).stdout), first)
  const second = JSON.parse((await run(['id', 'new', ...argv.slice(1)])).stdout) as { nodeId: string }
  assert.is.not(second.nodeId, first.nodeId)
})

local('a key can be carried to another directory, and nothing is replaced without --force', async () => {
  const key = here('exported.key')
  const [from, to] = [
    ['--data', here('id-from'), '--network', 'test', '--json'],
    ['--data', here('id-to'), '--network', 'test', '--json'],
  ]
  const exported = await run(['id', 'export', key, ...from])
  assert.is(exported.code, 0, exported.stdout)
  assert.is(statSync(key).mode & 0o777, 0o600)
  assert.is((await run(['id', 'export', key, ...from])).code, 2)
  assert.is((await run(['id', 'export', key, '--force', ...from])).code, 0)
  const imported = await run(['id', 'import', key, ...to])
  assert.is(imported.code, 0, imported.stdout)
  const { nodeId, publicKey } = JSON.parse(exported.stdout) as { nodeId: string; publicKey: string }
  const shown = JSON.parse((await run(['id', ...to])).stdout) as { nodeId: string; publicKey: string }
  assert.equal([shown.nodeId, shown.publicKey], [nodeId, publicKey])
  assert.is((await run(['id', 'import', key, ...to])).code, 0)
  await run(['id', 'new', ...to])
  const refused = await run(['id', 'import', key, ...to])
  assert.is(refused.code, 2)
  assert.match(refused.stdout, /has a key already/)
  const forced = await run(['id', 'import', key, '--force', ...to.slice(0, -1)])
  assert.is(forced.code, 0, forced.stderr)
  assert.match(forced.stderr, /the old key is now in .*identity\.[0-9]+\.json/)
  assert.match(forced.stderr, /one place at a time/)
  writeFileSync(here('no.key'), '{}')
  assert.match((await run(['id', 'import', here('no.key'), ...to])).stdout, /holds no key/)
})

local('network new writes a secret that only its owner can read', async () => {
  const file = here('lab.secret')
  assert.is((await run(['network', 'new', file])).code, 0)
  assert.match(readFileSync(file, 'utf8'), /^[a-z2-9]{32}\n$/)
  assert.is((await run(['network', 'new', file])).code, 2)
  const shown = await run(['network', '--network', 'lab', '--secret-file', file, '--json'])
  assert.is((JSON.parse(shown.stdout) as { private: boolean }).private, true)
})

local('a dry run shows first, second and last unit, shards and limits, and asks nobody', async () => {
  const argv = ['submit', 'primes', '--range', '0..10^6:10^5', '--dry-run', '--no-trial', '--memory', '64MiB', '--json']
  const { code, stdout } = await run(argv, { home })
  assert.is(code, 0)
  const shown = JSON.parse(stdout) as Record<string, unknown> & { samples: { unit: number; args: string[] }[] }
  assert.equal(
    shown.samples.map(({ unit, args }) => [unit, ...args]),
    [
      [0, '0', '100000'],
      [1, '100000', '200000'],
      [9, '900000', '1000000'],
    ],
  )
  assert.is(shown.units, 10)
  assert.is(shown.shards, 1)
  assert.is((shown.limits as { memoryBytes: number }).memoryBytes, 64 * 2 ** 20)
})

local('a job file is enough, and flags win', async () => {
  writeFileSync(here('job.toml'), 'task = "primes"\nrange = "0..100:10"\nargs = ["{start}", "{end}"]\n')
  const argv = ['submit', '--from', here('job.toml'), '--dry-run', '--no-trial', '--json']
  assert.is((JSON.parse((await run(argv, { home })).stdout) as { units: number }).units, 10)
  const flagged = await run([...argv, '--range', '0..100:50'], { home })
  assert.is((JSON.parse(flagged.stdout) as { units: number }).units, 2)
})

local('lines come from standard input, and placeholders show them', async () => {
  const argv = ['submit', 'mersenne', '--lines', '-', '--dry-run', '--no-trial', '--json', '--', '{line}']
  const { stdout } = await run(argv, { home, stdin: '3\n5\n7' })
  const { samples } = JSON.parse(stdout) as { samples: { args: string[] }[] }
  assert.equal(
    samples.map(({ args }) => args),
    [['3'], ['5'], ['7']],
  )
})

local('run-local gives the known count, alone on stdout', async () => {
  const { code, stdout, stderr } = await run(
    ['run-local', 'primes', '--range', '0..10^6:10^5', '--quiet', '--cpus', '1'],
    { home },
  )
  assert.equal({ code, stdout, stderr }, { code: 0, stdout: '78498\n', stderr: '' })
})

local('a unit that fails shows before anything is submitted', async () => {
  const { code, stderr } = await run(['submit', 'primes', '--range', '0..10^6:10^5', '--fuel', '10', '--dry-run'], {
    home,
  })
  assert.is(code, 2)
  assert.match(stderr, /unit 0 fails when tried here: out of fuel: the limit is 10 steps \(raise --fuel\)/)
})

local('run-local writes files and a manifest with -o', async () => {
  const out = here('picture')
  const argv = [
    'run-local',
    'mandelbrot',
    '--count',
    '2',
    '-o',
    out,
    '--cpus',
    '1',
    '--',
    '--width',
    '32',
    '--height',
    '16',
  ]
  const { code, stderr } = await run(argv, { home })
  assert.is(code, 0, stderr)
  assert.equal([...readFileSync(join(out, 'mandelbrot.png')).subarray(1, 4)], [0x50, 0x4e, 0x47])
  assert.is((JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as { v: number }).v, 1)
})

local.after(() => folder.close())
local.run()
