import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Grid } from 'manyhands'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Lie, LyingOwner } from '../support/hostile/lying-owner.js'
import { type ClusterProcess, clusterTests, GridCluster } from '../support/processes/grid-cluster.js'
import { type PythonClient, pythonClient } from '../support/processes/python-client.js'
import { rejects } from '../support/rejects.js'
import { GrpcNodes, testNetwork } from '../support/transport/grpc-nodes.js'

const EXAMPLE = fileURLToPath(new URL('../../examples/library/primes.js', import.meta.url))
const END_MS = 120_000

const cluster = new GridCluster()
const clients = suite('programs as clients of a real grid')
const test = clusterTests(cluster, clients)
let grid: Grid
let peer: ClusterProcess

clients.before(async () => {
  peer = await cluster.node('peer-1', ['--metrics', '0', '--log-format', 'json'])
  await Promise.all([cluster.worker('worker-1'), cluster.worker('worker-2')])
  grid = await connect({ join: cluster.address, network: cluster.network, data: join(cluster.folder, 'program') })
})
clients.after(async () => {
  await grid?.close()
  await cluster.close()
})

/** Runs a program to its end. */
function runProgram(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    const limit = setTimeout(() => child.kill('SIGKILL'), END_MS)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(limit)
      resolve({ code, stdout, stderr })
    })
  })
}

test('the example of the library submits, follows and adds up, and ends by itself', async () => {
  const data = join(cluster.folder, 'example')
  const { code, stdout, stderr } = await runProgram(process.execPath, [EXAMPLE, cluster.address, cluster.network, data])
  assert.is(code, 0, stderr)
  assert.is(stdout, '78498\n')
  assert.match(stderr, /unit 9: 7224 \(2 donors agree\)/)
})

test('results come in order, with their proof, and the job tells of its progress', async () => {
  const job = await grid.submit({
    task: 'primes',
    source: { range: '0..10^6:10^5' },
    name: 'in order',
    labels: { from: 'a program' },
  })
  assert.is(job.units, 10)
  assert.is(job.spec.name, 'in order')
  assert.is(job.spec.submitter, grid.key)
  const results = job.results({ order: 'unit' })
  const units: number[] = []
  let total = 0
  for await (const { unit, state, donors, proof, text } of results) {
    units.push(unit)
    total += Number(text())
    assert.is(state, 'done')
    assert.is(donors.length, 2)
    assert.ok(proof().length >= 1)
  }
  assert.equal(units, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.is(total, 78498)
  assert.equal([results.summary.proved, results.summary.missingCount], [10, 0])
  await rejects(results[Symbol.asyncIterator]().next(), 'invalid')
  const looks: number[] = []
  for await (const { summary } of job.progress()) looks.push(summary.settled)
  assert.ok(looks.length >= 1 && looks.length < 100)
  const { end, summary } = await job.wait({ timeoutMs: END_MS })
  assert.equal([end, summary.settled], ['finished', 10])
  const found = await grid.job(job.id.slice(0, 8))
  assert.is((await found.result()).text(), '78498\n')
  const [listed] = await grid.jobs()
  assert.equal([listed?.jobId, listed?.task], [job.id, 'primes --range'])
})

test('lines, inputs and programs are taken from memory', async () => {
  const job = await grid.submit({
    task: 'align',
    source: { records: new TextEncoder().encode('>a\nMKV\n>b\nGGGG\n'), sep: 'fasta' },
    inputs: { db: new TextEncoder().encode('>x\nMKVL\n') },
  })
  const { bytes, done } = await job.result()
  assert.is(done, 2)
  assert.ok(bytes.length > 0)
})

test('leaving the loop leaves the job; a job that is cancelled ends', async () => {
  // Nobody may compute it.
  const job = await grid.submit({ task: 'primes', source: { range: '0..100:10' }, workers: [grid.key] })
  const stop = new AbortController()
  const waiting = job.wait({ signal: stop.signal })
  stop.abort()
  await rejects(waiting, 'closed')
  await rejects(job.wait({ timeoutMs: 50 }), 'timeout')
  await job.cancel()
  const { end } = await job.wait({ timeoutMs: END_MS })
  assert.is(end, 'cancelled')
  await rejects(job.result(), 'unavailable')
})

test('what makes no sense is refused before anybody is asked', async () => {
  const source = { range: '0..10:1' }
  for (const [request, said] of [
    [{ task: 'nonsense', source }, /no task 'nonsense'/],
    [{ task: 'primes', source: { lines: ['a'] } }, /makes no sense of the source 'lines'/],
    [{ task: 'primes', source, args: ['1'] }, /two arguments/],
    [{ task: new Uint8Array(8), source }, /no WebAssembly module/],
    [{ task: './not-there.wasm', source }, /does not exist/],
    [{ task: 'primes', source, name: 'x'.repeat(300) }, /name/],
  ] as const) {
    await rejects(grid.submit(request), said)
  }
})

test('closing ends what waits, and nothing can be asked any more', async () => {
  const other = await connect({
    join: cluster.address,
    network: cluster.network,
    data: join(cluster.folder, 'another'),
  })
  const job = await other.submit({ task: 'primes', source: { range: '0..100:10' }, workers: [other.key] })
  const waiting = job.wait()
  const reading = job.results()[Symbol.asyncIterator]().next()
  await other.close()
  await rejects(waiting, 'closed')
  await rejects(reading, 'closed')
  await rejects(other.submit({ task: 'primes', source: { count: 1 } }), 'closed')
  await other.close()
  await rejects(connect({ network: cluster.network, data: join(cluster.folder, 'nobody') }), 'unreachable')
})

test('the peer they talked to has counted it, and its log is JSON lines with ids', async () => {
  const url = /metrics at (http:[^"]*)/.exec(peer.stderr)?.[1] ?? ''
  const response = await fetch(url)
  assert.is(response.status, 200)
  const text = await response.text()
  const sample = (name: string) => {
    const line = text.split('\n').find((other) => other.startsWith(`${name} `))
    return Number(line?.slice(name.length))
  }
  assert.ok(sample('manyhands_rpc_total{method="Jobs/Submit",side="server",code="ok"}') >= 4)
  assert.ok(sample('manyhands_work_messages_total{side="server",direction="sent",type="grant"}') >= 4)
  assert.ok(sample('manyhands_verdicts_total{side="server",verdict="agreed"}') >= 40)
  assert.ok(sample('manyhands_units_settled_last_minute') >= 20)
  assert.ok(sample('manyhands_jobs') >= 4)
  assert.is(sample('manyhands_workers'), 2)
  assert.ok(sample('nodejs_eventloop_lag_p99_seconds') > 0)
  for (const job of await grid.jobs()) assert.not.ok(text.includes(job.jobId.slice(0, 8)))
  const lines = peer.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; time: number; msg: string })
  assert.ok(lines.length >= 3)
  for (const { level, time, msg } of lines) assert.ok(level !== '' && time > 0 && msg !== '')
})

test('doctor finds a sound machine sound, and says what to do about one that is not', async () => {
  const sound = await cluster.asked(['doctor', '--json', '--listen', '127.0.0.1:0'])
  const { findings } = JSON.parse(sound.stdout) as {
    findings: { name: string; health: string; says: string; hint?: string }[]
  }
  assert.is(sound.code, 0, sound.stdout)
  assert.equal(
    findings.map(({ name, health }) => `${name} ${health}`),
    ['program', 'data', 'disk', 'peers', 'port', 'clock', 'sandbox', 'tasks'].map((name) => `${name} ok`),
  )
  assert.match(findings[4]!.says, /1 peer dialled back 127\.0\.0\.1:/)
  // That is no address, and the port belongs to somebody else.
  const [taken = ''] = cluster.address.split('#')
  const broken = await cluster.run(['doctor', '--json', '--listen', taken, '--join', 'no address'], { data: 'broken' })
  assert.is(broken.code, 1)
  const found = (JSON.parse(broken.stdout) as { findings: typeof findings }).findings.filter(
    ({ health }) => health !== 'ok',
  )
  assert.equal(
    found.map(({ name, health }) => `${name} ${health}`),
    ['peers bad', 'port warn'],
  )
  for (const { hint } of found) assert.ok((hint ?? '').length > 10)
})

test('a peer that was added is joined without --join, until it is taken away', async () => {
  const [address = ''] = cluster.address.split('#')
  const run = (...words: string[]) => cluster.asked(words, { data: 'boot', alone: true })
  assert.is((await run('peers')).code, 3)
  const added = await run('peers', 'add', address)
  assert.is(added.stdout, `added ${cluster.address}\n`)
  assert.match((await run('peers')).stdout, address)
  assert.is((await run('peers', 'rm', address)).code, 0)
  assert.is((await run('peers')).code, 3)
})

const python = pythonClient()
if (typeof python === 'string') {
  console.log(`the client in Python is not tested: ${python}`)
  clients.skip('the client in Python', () => {})
} else testPython(python)

function testPython({ command, script, environment, close }: PythonClient): void {
  const nodes = new GrpcNodes()
  clients.after(async () => {
    await nodes.closeAll()
    close()
  })
  const run = (network: string, join: string, words: readonly string[]) =>
    runProgram(
      command,
      [script, '--network', network, '--join', join, '--key', `${cluster.folder}/py.key`, ...words],
      environment,
    )

  test('the client in Python submits, follows, fetches and checks', async () => {
    const { code, stdout, stderr } = await run(cluster.network, cluster.address, ['primes', '0', '1000000', '100000'])
    assert.is(code, 0, stderr)
    assert.is(stdout, '78498\n')
    assert.match(stderr, /10 of 10 settled/)
    assert.match(stderr, /"proved": 10, "done": 10, "donorsMin": 2, "refused": \[\]/)
  })

  test('the client in Python finds out by itself who answers at an address, and who is of another network', async () => {
    const [address = ''] = cluster.address.split('#')
    const unknown = await run(cluster.network, address, ['results', '00'.repeat(32)])
    assert.is(unknown.code, 1)
    assert.match(unknown.stderr, /notFound/)
    const other = await run('other', address, ['results', '00'.repeat(32)])
    assert.is(other.code, 1)
    assert.match(other.stderr, /CERTIFICATE_VERIFY_FAILED/)
  })

  test('the client in Python believes true evidence, and refuses every lie of an owner', async () => {
    const owner = await LyingOwner.start(nodes)
    const expected: readonly (readonly [Lie, RegExp | undefined])[] = [
      ['nothing', undefined],
      ['tamperedOutput', /output does not have the digest/],
      ['noGrant', /report without grant/],
      ['grantOutsideRadius', /outside of the owner radius/],
      ['twoReportsOfOneKey', /1 donors where 2 must agree/],
      ['twoAnswersOfOneKey', /0 donors where 2 must agree/],
      ['forgedGrant', /grant is not signed by its grantor/],
      ['forgedReport', /report is not signed by its worker/],
    ]
    const jobs = expected.map(([lie]) => owner.add(lie))
    const at = `${owner.endpoint.address}#${owner.endpoint.nodeId}`
    const { code, stdout, stderr } = await run(testNetwork.name, at, ['results', ...jobs])
    assert.is(code, 1, stderr)
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { proved: number; refused: string[] })
    assert.is(lines.length, jobs.length, stderr)
    expected.forEach(([lie, reason], i) => {
      const { proved, refused } = lines[i]!
      assert.is(proved, reason === undefined ? 1 : 0, `${lie}: ${refused}`)
      if (reason === undefined) assert.equal(refused, [])
      else assert.match(refused.join('\n'), reason)
    })
  })
}

clients.run()
