import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type CommandResult, clusterTests, expectCode, GridCluster } from '../support/processes/grid-cluster.js'

const cluster = new GridCluster()
const PRIMES = ['submit', 'primes', '--range', '0..10^7:10^6'] as const

async function submitted(args: readonly string[]): Promise<string> {
  const result = await cluster.asked(args)
  expectCode(result, 0)
  assert.match(result.stdout, /^[0-9a-f]{64}\n$/)
  return result.stdout.trim()
}

const cli = suite('the command over a real grid')
const test = clusterTests(cluster, cli)
/** Looks for a peer for as long as any client does, beside the other tests. */
let lonely: Promise<CommandResult>
/** Names a peer that has another secret, or none. */
let stranger: Promise<CommandResult>
/** A command that was given a wrong id of a peer. */
let mistaken: Promise<CommandResult>

cli.before(async () => {
  await cluster.node('peer-1')
  await Promise.all([cluster.node('peer-2'), cluster.worker('worker-1'), cluster.worker('worker-2')])
  lonely = cluster.run(['jobs', '--join', '127.0.0.1:9'], { data: 'lonely' })
  lonely.catch(() => {})
  const secret = join(cluster.folder, 'a.secret')
  writeFileSync(secret, 't4i5nmeae73jpw559q8phhvkzpcv87ut\n')
  const [address = ''] = cluster.address.split('#')
  stranger = cluster.run(['jobs', '--secret-file', secret, '--join', address], { data: 'stranger' })
  stranger.catch(() => {})
  mistaken = cluster.run(['jobs', '--join', `${address}#${'0'.repeat(40)}`], { data: 'mistaken' })
  mistaken.catch(() => {})
})
cli.after(() => cluster.close())

test('submit --wait prints the result alone on stdout', async () => {
  const result = await cluster.command([...PRIMES, '--wait'])
  expectCode(result, 0)
  assert.is(result.stdout, '664579\n')
  assert.match(result.stderr, /10 of 10 units: 2 agreeing donors each, checked here/)
})

test('submit prints the job id alone, and what to run next', async () => {
  const result = await cluster.command([...PRIMES, '--name', 'a name'])
  expectCode(result, 0)
  assert.match(result.stdout, /^[0-9a-f]{64}\n$/)
  assert.match(result.stderr, /manyhands results [0-9a-f]{12} --data .* --network .* --join/)
  const id = result.stdout.trim()
  expectCode(await cluster.asked(['wait', 'last', '--timeout', '30s']), 0)
  const byPrefix = await cluster.asked(['results', id.slice(0, 8)])
  assert.is(byPrefix.stdout, '664579\n')
  const shown = await cluster.asked(['show', 'last', '--json'])
  const { jobId, name, state, summary, ageMs, firstGrantAgeMs, spec } = JSON.parse(shown.stdout) as Record<
    string,
    unknown
  >
  assert.equal([jobId, name, state], [id, 'a name', 'finished'])
  assert.ok((firstGrantAgeMs as number) >= 0 && (firstGrantAgeMs as number) <= (ageMs as number), shown.stdout)
  const { policy, limits, retryOf } = spec as Record<string, unknown>
  assert.equal([policy, retryOf], [{ type: 'quorum', quorum: 2 }, null])
  assert.is((limits as { memoryBytes: number }).memoryBytes, 256 * 2 ** 20)
  assert.is((summary as { settled: number }).settled, 10)
  const units = await cluster.asked(['units', 'last', '--json', '--units', '3-4'])
  const listed = units.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { unit: number; state: string })
  assert.equal(
    listed.map(({ unit, state }) => [unit, state]),
    [
      [3, 'settled'],
      [4, 'settled'],
    ],
  )
})

test('with --json submit --wait is one value with the result and its evidence', async () => {
  const result = await cluster.asked([...PRIMES, '--wait', '--json'])
  expectCode(result, 0)
  assert.is(result.stderr, '')
  const { v, result: text, proved, donorsMin } = JSON.parse(result.stdout) as Record<string, unknown>
  assert.equal([v, text, proved, donorsMin], [1, '664579\n', 10, 2])
})

test('jobs, status and peers answer', async () => {
  const jobs = JSON.parse((await cluster.asked(['jobs', '--json'])).stdout) as { jobs: { state: string }[] }
  assert.ok(jobs.jobs.length >= 3)
  assert.ok(jobs.jobs.every(({ state }) => state === 'finished'))
  const status = JSON.parse((await cluster.asked(['status', '--json'])).stdout) as Record<string, unknown>
  assert.is(status.peers, 2)
  const peers = JSON.parse((await cluster.asked(['peers', '--json'])).stdout) as { peers: unknown[] }
  assert.is(peers.peers.length, 2)
})

test('results -o writes what the task makes, its units, and a manifest', async () => {
  const out = join(cluster.folder, 'picture')
  const argv = ['submit', 'mandelbrot', '--count', '4', '--wait', '-o', out, '--', '--width', '64', '--height', '32']
  const first = await cluster.asked(argv)
  expectCode(first, 0)
  assert.ok(existsSync(join(out, 'mandelbrot.png')))
  const { entries } = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as { entries: { unit?: number }[] }
  assert.is(entries.filter(({ unit }) => unit !== undefined).length, 4)
  const again = join(cluster.folder, 'again')
  expectCode(await cluster.asked(['results', 'last', '-o', again, '--layout', 'tile_{i:03}.ppm']), 0)
  assert.equal(readdirSync(again).sort(), [
    'mandelbrot.png',
    'manifest.json',
    'tile_000.ppm',
    'tile_001.ppm',
    'tile_002.ppm',
    'tile_003.ppm',
  ])
})

test('failed units say why, and retry makes them good', async () => {
  const failing = await cluster.command([...PRIMES, '--fuel', '100', '--no-trial', '--wait'])
  expectCode(failing, 1)
  assert.match(failing.stderr, /unit 0 failed: out of fuel: the limit is 100 steps \(raise --fuel\)/)
  const parent = (JSON.parse((await cluster.asked(['show', 'last', '--json'])).stdout) as { jobId: string }).jobId
  const failed = await cluster.asked(['results', 'last', '--failed', '--json'])
  expectCode(failed, 1)
  assert.is(failed.stdout.trim().split('\n').length, 10)
  await submitted(['retry', parent, '--failed', '--fuel', '0'])
  expectCode(await cluster.asked(['wait', 'last']), 0)
  const results = await cluster.asked(['results', parent])
  expectCode(results, 0)
  assert.is(results.stdout, '664579\n')
})

test('too few workers for the quorum is said within three seconds, Ctrl-C detaches, cancel ends the job', async () => {
  const waiting = cluster.spawn(
    'waiting',
    [...PRIMES, '--quorum', '3', '--wait', '--no-trial', '--join', cluster.address],
    {
      data: 'submitter',
    },
  )
  await cluster.until(() => waiting.stderr.includes('quorum needs 3'), 'it is said', 10_000, waiting)
  assert.match(
    waiting.stderr,
    /2 workers here, quorum needs 3; start another: manyhands work.*; or submit with --quorum 2/,
  )
  cluster.kill(waiting, 'SIGINT')
  assert.is(await waiting.exited, 130)
  assert.match(waiting.stderr, /detached; job [0-9a-f]{12} goes on/)
  assert.match(waiting.stderr, /manyhands watch [0-9a-f]{12}/)
  const shown = await cluster.asked(['show', 'last'])
  assert.match(shown.stdout, /waits +2 workers here, quorum needs 3/)
  expectCode(await cluster.asked(['wait', 'last', '--timeout', '200ms']), 4)
  expectCode(await cluster.asked(['cancel', 'last']), 0)
  const after = JSON.parse((await cluster.asked(['show', 'last', '--json'])).stdout) as { state: string }
  assert.is(after.state, 'cancelled')
})

test('map whose reader has seen enough ends well, and its jobs are cancelled', async () => {
  const data = 'mapper'
  const started = cluster.spawn('map', ['map', 'mersenne', '--join', cluster.address, '--', '{line}'], {
    data,
    stdin: '4423\n'.repeat(3_000),
  })
  await cluster.until(() => started.stdout.includes('\n'), 'a first line', 60_000, started)
  started.child.stdout!.destroy()
  await cluster.until(() => started.hasExited, 'map ends', 60_000, started)
  assert.is(await started.exited, 0, started.stderr)
  assert.is(started.stderr, '')
  const { stdout } = await cluster.asked(['jobs', '--json'], { data })
  const states = (JSON.parse(stdout) as { jobs: { state: string }[] }).jobs.map(({ state }) => state)
  assert.ok(states.length > 0)
  assert.equal([...new Set(states)], ['cancelled'])
})

test('map gives outputs in the order of its lines', async () => {
  const { code, stdout, stderr } = await cluster.command(['map', 'mersenne', '--', '{line}'], {
    stdin: '7\n11\n13\n17\nnonsense\n19\n',
  })
  assert.is(code, 1, stderr)
  assert.equal(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['7 PRIME', '11 COMPOSITE', '13 PRIME', '17 PRIME', '19 PRIME'],
  )
  assert.match(stderr, /line 5: unit 4 failed: exit code 2/)
})

test('a job that nobody knows is exit code 6', async () => {
  expectCode(await cluster.asked(['show', 'f'.repeat(64)]), 6)
  expectCode(await cluster.asked(['show', 'abcd'], { data: 'newcomer' }), 6)
})

test('a data directory or a port in use has one clear message', async () => {
  const taken = await cluster.run(['node', '--listen', '127.0.0.1:0'], { data: 'peer-1' })
  expectCode(taken, 1)
  assert.match(
    taken.stderr,
    /error: data directory .*peer-1 is in use by process [0-9]+\n {2}stop that process, or give this one/,
  )
  const address = cluster.address.split('#')[0]!
  const port = await cluster.run(['node', '--listen', address], { data: 'other' })
  expectCode(port, 1)
  assert.match(port.stderr, /error: .*in use/)
  assert.not.match(port.stderr, /\n\s+at /)
})

test('commands find the node of their data directory by themselves', async () => {
  const result = await cluster.run(['peers', '--json'], { data: 'peer-2' })
  expectCode(result, 0)
  assert.is((JSON.parse(result.stdout) as { peers: unknown[] }).peers.length, 2)
})

test('a second command needs no --join', async () => {
  expectCode(await cluster.asked(['jobs'], { data: 'forgetful' }), 0)
  expectCode(await cluster.run(['jobs'], { data: 'forgetful' }), 0)
})

test('nobody at the address that was named is exit code 3, with the command to run', async () => {
  const result = await lonely
  expectCode(result, 3)
  assert.match(
    result.stderr,
    /no peer of the network .* answered: cannot reach 127\.0\.0\.1:9 \(nothing listens there\)/,
  )
  assert.match(result.stderr, /manyhands jobs (?!--join 127).*--join HOST/)
})

test('a peer of another network is named as such, without trying on', async () => {
  const result = await stranger
  expectCode(result, 3)
  assert.match(result.stderr, /^error: no peer .* answered: the node at [0-9.:]+ is not in network .*\n/)
})

test('an id that is not the one of the peer is told at once, with the right one', async () => {
  const result = await mistaken
  expectCode(result, 3)
  assert.match(
    result.stderr,
    /^error: no peer .* answered: the node at ([0-9.:]+) is ([0-9a-f]{40}), not 0{40}\n.*--join \1#\2\n/,
  )
})

test('a worker told to stop finishes, says what counted, and ends well', async () => {
  const worker = await cluster.worker('leaving')
  cluster.kill(worker, 'SIGINT')
  assert.is(await worker.exited, 0)
  assert.match(worker.stderr, /computed 0 units: 0 agreed with others/)
})

cli.run()
