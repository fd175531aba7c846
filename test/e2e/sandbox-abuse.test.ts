import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, i32, i64, op, u32 } from '../../cli/sandbox-check/assemble.js'
import {
  crash,
  endlessLoop,
  endlessRecursion,
  escapePaths,
  outputFlood,
  printArithmetic,
  readEnvironment,
  takeMemory,
  unlistedImport,
  useSockets,
} from '../../cli/sandbox-check/programs.js'
import type { Outcome } from '../../proto/model.js'
import { type ModuleBench, moduleBench } from '../support/compute/module-job.js'
import { buildModule, command } from '../support/compute/wasm-builder.js'
import { deadline, eventually } from '../support/deadline.js'

/** Longest wait for what takes milliseconds on a machine with nothing else to do. */
const PATIENCE_MS = 30_000

const isLinux = process.platform === 'linux'

/** Takes all the memory it can get, 1 MiB at a time, writes to each page, and goes on asking. */
function endlessGrowth(): Uint8Array {
  const touch = [
    // local 0: the first new page, then the address to write to; local 1: pages left
    ...[...op.get(0), ...i32(16), 0x74, ...op.set(0), ...i32(16), ...op.set(1)],
    ...op.loop,
    ...[...op.get(0), ...i32(1), ...op.i32Store, ...op.get(0), ...i32(65_536), ...op.i32Add, ...op.set(0)],
    ...[...op.get(1), ...i32(1), ...op.i32Sub, ...op.set(1), ...op.get(1), ...op.brIf(0)],
    ...op.end,
  ]
  const start = [
    ...op.loop,
    ...[...i32(16), ...op.memoryGrow, ...op.set(0), ...op.get(0), ...i32(-1), ...op.i32Ne],
    ...[...op.if, ...touch, ...op.end, ...op.br(0)],
    ...op.end,
  ]
  return assemble({ imports: [], start })
}

/** Writes 64 KiB to `descriptor` again and again. */
function flood(descriptor: number): Uint8Array {
  const start = [
    ...[...i32(0), ...i32(0), ...op.i32Store, ...i32(4), ...i32(65_536), ...op.i32Store],
    ...[
      ...op.loop,
      ...i32(descriptor),
      ...i32(0),
      ...i32(1),
      ...i32(8),
      ...call(0),
      ...op.drop,
      ...op.br(0),
      ...op.end,
    ],
  ]
  return assemble({ imports: ['fd_write'], start })
}

/** Opens new files in `/out` (descriptor 5), with names of four bytes that count upwards, and writes to each. */
function endlessFiles(): Uint8Array {
  const open = [
    ...[...i32(5), ...i32(0), ...i32(1024), ...i32(4), ...i32(1), ...i64(0x40n), ...i64(0n), ...i32(0), ...i32(16)],
    ...[...call(0), ...op.drop],
  ]
  const write = [...i32(16), ...op.i32Load, ...i32(0), ...i32(1), ...i32(8), ...call(1), ...op.drop]
  const next = [...i32(1024), ...i32(1024), ...op.i32Load, ...i32(0x0101), ...op.i32Add, ...op.i32Store]
  const start = [...i32(4), ...i32(100), ...op.i32Store, ...op.loop, ...open, ...write, ...next, ...op.br(0), ...op.end]
  return assemble({ imports: ['path_open', 'fd_write'], start, texts: [[1024, 'aaaa']] })
}

/** Fills a table of functions again and again: the dearest steps that there are. */
function tableFlood(): Uint8Array {
  const fill = [i32(0), [0xd2, 0], i32(131_072), [0xfc, 17, 0]]
  const parts = command([op.loop, fill, op.br(0), op.end], {
    tables: [[0x70, 0, u32(131_072)]],
    // Declares function 0, for `ref.func`.
    elements: [[3, 0, 1, 0]],
  })
  return buildModule(parts)
}

function unlisted(module: string, name: string): Uint8Array {
  return assemble({ imports: [], forbiddenImport: [module, name], start: call(0) })
}

/** Descriptors of a process by what they are; what is a file and can be written to says so. */
function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => {
      try {
        const target = readlinkSync(`/proc/${pid}/fd/${fd}`)
        const flags = Number.parseInt(
          /flags:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))![1]!,
          8,
        )
        return target.includes('/content-') && (flags & 3) !== 0 ? `${target}, writable` : target
      } catch {
        return 'gone'
      }
    })
    .sort()
}

/** Inodes of sockets of the internet families in the network namespace of a process. */
function internetSockets(pid: number): Set<string> {
  const inodes = new Set<string>()
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6', 'icmp', 'icmp6']) {
    const path = `/proc/${pid}/net/${table}`
    if (!existsSync(path)) continue
    for (const line of readFileSync(path, 'latin1').split('\n').slice(1)) {
      const inode = line.trim().split(/\s+/)[9]
      if (inode !== undefined) inodes.add(inode)
    }
  }
  return inodes
}

const abuse = suite<{ bench: ModuleBench }>('abuse by a module')
abuse.before(async (context) => {
  context.bench = moduleBench(2)
  const first = await context.bench.one(printArithmetic())
  assert.is(first.outcome, 'done')
})
abuse.after(({ bench }) => bench.close())

/** The next unit of another job runs as if nothing had been. */
async function nextRuns(bench: ModuleBench): Promise<void> {
  const next = await deadline(bench.one(printArithmetic()), PATIENCE_MS, 'the next unit')
  assert.is(next.outcome, 'done')
  assert.is(next.fuel, 21_000_084n)
}

const endings: readonly (readonly [what: string, module: () => Uint8Array, limits: object, outcome: Outcome])[] = [
  ['an endless loop ends at its fuel limit', endlessLoop, { fuel: 50_000_000n }, 'fuel'],
  ['an endless loop ends at its time limit', endlessLoop, { wallMs: 200 }, 'wall'],
  ['memory beyond the limit is not given, at any size', () => takeMemory(256), { memoryBytes: 2 ** 24 }, 'done'],
  ['asking for memory without end costs fuel', endlessGrowth, { fuel: 50_000_000n, memoryBytes: 2 ** 26 }, 'fuel'],
  ['endless recursion ends at the depth limit', endlessRecursion, {}, 'depth'],
  ['endless standard output ends at the output limit', outputFlood, { outputBytes: 2 ** 20 }, 'output'],
  ['endless standard error costs fuel', () => flood(2), { fuel: 10_000_000n }, 'fuel'],
  [
    'endless files end at the output limit or cost fuel',
    endlessFiles,
    { fuel: 50_000_000n, outputBytes: 50_000 },
    'output',
  ],
  ['a crash is a trap', crash, {}, 'trap'],
  ['no path leads out', escapePaths, {}, 'done'],
  ['there is no environment of the host', readEnvironment, {}, 'done'],
  ['there are no sockets', useSockets, {}, 'done'],
]

for (const [what, module, limits, outcome] of endings) {
  abuse(`${what}, and the next unit runs`, async ({ bench }) => {
    const result = await bench.one(module(), { limits })
    assert.is(result.outcome, outcome)
    await nextRuns(bench)
  })
}

abuse('standard error is counted whole and kept in part', async ({ bench }) => {
  const { says } = await bench.one(flood(2), { limits: { fuel: 10_000_000n, stderrBytes: 100 } })
  assert.is(says!.stderr.length, 100)
  assert.ok(says!.stderrLength >= 65_536, `${says!.stderrLength}`)
})

const refused: readonly (readonly [what: string, module: () => Uint8Array])[] = [
  ['an import that is not on the list', unlistedImport],
  ['an import of another WASI', () => unlisted('wasi_unstable', 'fd_write')],
  ['an import with a wrong type', () => unlisted('wasi_snapshot_preview1', 'fd_write')],
  ['an import of the sandbox itself', () => unlisted('grid', 'refuel')],
  ['no bytes at all', () => new Uint8Array(0)],
  ['a module without a start', () => buildModule({ functions: [] })],
  ['half a module', () => printArithmetic().subarray(0, 120)],
  ['bytes that are none', () => Uint8Array.from({ length: 10_000 }, (_, i) => (i * 131) & 255)],
  ['four billion locals', () => buildModule(command([], { locals: [[0xffff_ffff, 'i32']] }))],
  ['shared memory', () => buildModule(command([], { memories: [[3, 1, 1]] }))],
  ['more memory at the start than the limit', () => assemble({ imports: [], start: [], pages: 32_768 })],
]

for (const [what, module] of refused) {
  abuse(`${what}: refused in the same words everywhere`, async ({ bench }) => {
    const result = await bench.one(module())
    assert.is(result.outcome, 'trap')
    assert.is(result.fuel, 0n)
    assert.is(Buffer.from(result.says!.stderr).toString(), 'the module is not one of sandbox profile 1\n')
  })
}

abuse('what is refused for its size or shape leaves the process as it was', ({ bench }) => nextRuns(bench))

abuse('a module that a thread must be stopped for costs the units on other threads nothing', async ({ bench }) => {
  const loop = bench.start(endlessLoop(), 1, { limits: { wallMs: 300 } })
  const good = bench.start(printArithmetic(), 20)
  assert.ok((await bench.collect(good, 20, PATIENCE_MS)).every(({ outcome }) => outcome === 'done'))
  assert.is((await bench.collect(loop, 1, PATIENCE_MS))[0]?.outcome, 'wall')
})

abuse('a table that is filled without end is stopped at its time limit', async ({ bench }) => {
  const job = bench.start(tableFlood(), 1, { limits: { wallMs: 200 } })
  assert.is((await bench.collect(job, 1, PATIENCE_MS))[0]?.outcome, 'wall')
  await nextRuns(bench)
})

if (isLinux) {
  abuse('memory of guests goes back', async ({ bench }) => {
    await nextRuns(bench)
    const beforeMib = bench.residentMib()
    for (let i = 0; i < 4; i++) {
      const { outcome } = await bench.one(endlessGrowth(), { limits: { fuel: 50_000_000n, memoryBytes: 2 ** 27 } })
      assert.is(outcome, 'fuel')
    }
    await eventually(() => bench.residentMib() < beforeMib + 100, PATIENCE_MS, 'memory is back')
  })

  abuse('nothing was opened and nothing connected by all of this', async ({ bench }) => {
    const pid = bench.compute.pid!
    const files = openFiles(pid)
    const odd = files.filter((target) => !/^(?:pipe:|socket:|anon_inode:|\/dev\/(?:null|urandom)$)/.test(target))
    // The file with modules and inputs, which has no name and is open for reading.
    assert.is(odd.length, 1)
    assert.match(odd[0]!, /\/content-[0-9a-f-]{36} \(deleted\)$/)
    const internet = internetSockets(pid)
    const sockets = files.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [])
    assert.equal(
      sockets.filter((inode) => internet.has(inode)),
      [],
    )
    // The pipe to the worker, and nothing else that leads out.
    assert.ok(sockets.length <= 2, files.join(' '))
  })
}

abuse.run()
