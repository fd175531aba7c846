import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { assemble, call, i32, op, type SmallProgram } from '../../../cli/sandbox-check/assemble.js'
import { admit } from '../../../sandbox/admission/index.js'
import { PAGE_BYTES } from '../../../sandbox/contract.js'
import { engine, type Module } from '../../../sandbox/engine.js'
import { submittedFunction } from '../../../sandbox/index.js'
import { type ProgramInput, type ProgramLimits, runProgram } from '../../../sandbox/run.js'
import { FixedBytes } from '../../../sandbox/wasi/byte-store.js'
import { shortOfMemory } from '../../support/compute/short-of-memory.js'
import { buildModule, command } from '../../support/compute/wasm-builder.js'

const program = suite('runProgram')

const INPUT: ProgramInput = {
  name: 'prog',
  args: [],
  environment: new Map(),
  stdin: new Uint8Array(0),
  files: new Map(),
  seed: 0n,
  unit: 0,
}
const LIMITS: ProgramLimits = { fuel: 10_000_000n, outputBytes: 1_000, stderrBytes: 10, memoryBytes: 2 ** 20 }

/** The module as an author would submit it: no imports, no instructions, where nothing else is said. */
const written = (parts: Partial<SmallProgram>) => assemble({ imports: [], start: [], ...parts })

/** The module as a worker runs it. */
function compile(parts: Partial<SmallProgram>): Module {
  return new engine.Module(admit(written(parts), LIMITS).bytes)
}

function run(parts: Partial<SmallProgram>, limits: Partial<ProgramLimits> = {}, input: Partial<ProgramInput> = {}) {
  return runProgram(compile(parts), { ...INPUT, ...input }, { ...LIMITS, ...limits })
}

/** One piece at address 0 with what stands at 64; room for an answer at 8. */
const piece = (content: string): NonNullable<SmallProgram['texts']> => [
  [0, `\x40\0\0\0${String.fromCharCode(content.length)}\0\0\0`],
  [64, content],
]

/** `fd_write`, function 0, of that piece. */
const write = (fd: number) => [...i32(fd), ...i32(0), ...i32(1), ...i32(8), ...call(0), ...op.drop]
/** For ever. */
const forever = (...body: number[]) => [...op.loop, ...body, ...op.br(0), ...op.end]
/** Runs `body` `count` times, with local 0 as the counter. */
const repeat = (count: number, body: readonly number[]) => [
  ...[...i32(count), ...op.set(0), ...op.loop, ...body],
  ...[...op.get(0), ...i32(-1), ...op.i32Add, ...op.set(0), ...op.get(0), ...op.brIf(0), ...op.end],
]
const GROW = [...i32(1), ...op.memoryGrow, ...op.drop]

program('gives what a program wrote and its exit code', () => {
  const end = run({
    imports: ['fd_write', 'proc_exit'],
    start: [...write(1), ...write(2), ...write(2), ...i32(7), ...call(1)],
    texts: piece('answer'),
  })
  assert.is(end.outcome, 'exit')
  assert.is(end.exitCode, 7)
  assert.is(new TextDecoder().decode(end.stdout), 'answer')
  assert.is(new TextDecoder().decode(end.stderr), 'answeransw')
  assert.is(end.stderrLength, 12)
  assert.is(end.files.size, 0)
  assert.is(end.trap, undefined)
  assert.ok(end.fuel > 3n * 64n)
})

program('takes a return as exit code 0', () => {
  const end = run({})
  assert.is(end.outcome, 'exit')
  assert.is(end.exitCode, 0)
})

program('says where a program trapped', () => {
  const end = run({ imports: ['fd_write'], start: [...write(1), ...op.unreachable], texts: piece('so far') })
  assert.is(end.outcome, 'trap')
  assert.is(end.trap?.message, 'unreachable')
  assert.is(end.trap?.functionIndex, 2, 'behind fd_write and grid.refuel')
  assert.is(new TextDecoder().decode(end.stdout), 'so far')
})

program('says who had called the function that trapped', () => {
  const functions = [{ body: [0x10, 2] }, { body: op.unreachable }]
  const module = admit(buildModule(command([0x10, 1], { functions })), LIMITS)
  const { trap } = runProgram(new engine.Module(module.bytes), INPUT, LIMITS)
  const submitted = (index: number) => submittedFunction(module.report, index)
  assert.equal([trap!.functionIndex!, ...trap!.callers.slice(0, 2)].map(submitted), [2, 1, 0])
})

program('stops an endless loop at its fuel limit, on the way reporting fuel', () => {
  const reports: bigint[] = []
  const module = compile({ start: forever() })
  const portion = 2n ** 22n
  const end = runProgram(module, INPUT, { ...LIMITS, fuel: 3n * portion }, (used) => reports.push(used))
  assert.is(end.outcome, 'fuel')
  assert.is(end.fuel, 3n * portion)
  assert.is(reports.length, 2, 'after each third but the last')
  assert.ok(reports.every((used, i) => used > BigInt(i + 1) * portion && used < BigInt(i + 1) * portion + 100n))
})

program('stops endless calls at the fuel limit', () => {
  const end = run({ imports: ['sched_yield'], start: forever(...call(0), ...op.drop) }, { fuel: 100_000n })
  assert.is(end.outcome, 'fuel')
})

program('counts the same fuel in each run, and ends in fuel with one step less', () => {
  const tiny = { imports: ['fd_write'], start: repeat(20, write(1)), texts: piece('0123456789abcdefghij') }
  const whole = run(tiny)
  assert.is(whole.outcome, 'exit')
  assert.is(run(tiny).fuel, whole.fuel)
  assert.is(run(tiny, { fuel: whole.fuel }).outcome, 'exit')
  const short = run(tiny, { fuel: whole.fuel - 1n })
  assert.is(short.outcome, 'fuel')
  assert.is(short.fuel, whole.fuel - 1n)
  assert.is(run(tiny, { fuel: 0n }).fuel, whole.fuel, 'no limit')
})

program('ends in output when it writes more than it may', () => {
  const end = run(
    { imports: ['fd_write'], start: forever(...write(1)), texts: piece('0123456789') },
    { outputBytes: 95 },
  )
  assert.is(end.outcome, 'output')
  assert.is(end.stdout.length, 90)
})

program('survives endless standard error by its fuel limit', () => {
  const end = run({ imports: ['fd_write'], start: forever(...write(2)), texts: piece('0123456789') })
  assert.is(end.outcome, 'fuel')
  assert.is(end.stderr.length, 10)
  assert.ok(end.stderrLength > 10_000)
})

program('ends in depth when it runs out of stack', () => {
  const end = run({ start: call(0) })
  assert.is(end.outcome, 'depth')
})

program('ends by itself when its memory cannot grow', () => {
  const isFull = [...op.memorySize, ...i32(16), ...op.i32Eq]
  const end = run({ start: [...repeat(40, GROW), ...isFull, ...op.i32Eqz, ...op.if, ...op.unreachable, ...op.end] })
  assert.is(end.outcome, 'exit', 'it found 16 pages, its limit')
})

program('lets a pointer lead to where the memory really ends, behind what was asked for', () => {
  const limits = { ...LIMITS, memoryBytes: 100 * PAGE_BYTES }
  const ending = (start: number[]) => {
    const bytes = written({ imports: ['random_get', 'proc_exit'], start: [...GROW, ...start], pages: 64 })
    const { outcome, exitCode } = runProgram(new engine.Module(admit(bytes, limits).bytes), INPUT, limits)
    return `${outcome} ${exitCode}`
  }
  // The program asked for 65 pages; 72 are there.
  const random = (page: number) => [...i32(page * PAGE_BYTES), ...i32(4), ...call(0), ...call(1)]
  const load = (page: number) => [...i32(page * PAGE_BYTES), ...op.i32Load, ...call(1)]
  assert.is(ending(random(71)), 'exit 0')
  assert.is(ending(random(72)), 'exit 21', 'EFAULT')
  assert.is(ending(load(71)), 'exit 0')
  assert.is(ending(load(72)), 'trap 0')
})

program('blames the host that cannot give memory which the limit allows', () => {
  const limits = { ...LIMITS, memoryBytes: 100 * PAGE_BYTES }
  const { bytes } = admit(written({ start: [...GROW, ...op.unreachable], pages: 64 }), limits)
  const outcome = (given: number) =>
    runProgram(new engine.Module(shortOfMemory(bytes, { min: 64, max: 100, given })), INPUT, limits).outcome
  assert.is(outcome(71), 'host')
  assert.is(outcome(72), 'trap')
})

program('ends in memory when it needs more than its limit to start', () => {
  const module = compile({ pages: 3 })
  assert.is(runProgram(module, INPUT, { ...LIMITS, memoryBytes: 2 * 65_536 }).outcome, 'memory')
  assert.is(runProgram(module, INPUT, { ...LIMITS, memoryBytes: 3 * 65_536 }).outcome, 'exit')
})

program('traps when its data does not fit its memory', () => {
  const end = run({ texts: [[0, 'a'.repeat(65_537)]] })
  assert.is(end.outcome, 'trap')
  assert.is(end.fuel, 0n)
})

program('blames the host for a module that was not admitted, and for input that cannot be laid out', () => {
  const raw = new engine.Module(written({ start: forever() }))
  assert.is(runProgram(raw, INPUT, LIMITS).outcome, 'host')
  const files = new Map([
    ['a', new FixedBytes(new Uint8Array(0))],
    ['a/b', new FixedBytes(new Uint8Array(0))],
  ])
  const end = run({}, {}, { files })
  assert.is(end.outcome, 'host')
  assert.match(end.trap?.message ?? '', 'below another input')
})

program('blames the host when progress cannot be reported', () => {
  const end = runProgram(compile({ start: forever() }), INPUT, { ...LIMITS, fuel: 2n ** 29n }, () => {
    throw new RangeError('no memory')
  })
  assert.is(end.outcome, 'host')
})

program('gives a unit the same random bytes each time, and another unit others', () => {
  const tiny = {
    imports: ['fd_write', 'random_get'],
    start: [...i32(64), ...i32(16), ...call(1), ...op.drop, ...write(1)],
    texts: piece('sixteen bytes...'),
  }
  const bytes = (seed: bigint, unit: number) => Buffer.from(run(tiny, {}, { seed, unit }).stdout).toString('hex')
  assert.is(bytes(0n, 0), 'b3e183cf865c56e90ec1cc58a6d6cd30')
  assert.is(bytes(0n, 0), bytes(0n, 0))
  assert.is(new Set([bytes(0n, 0), bytes(0n, 1), bytes(1n, 0)]).size, 3)
})

program('reads input from shared memory', () => {
  const stdin = new Uint8Array(new SharedArrayBuffer(6))
  stdin.set(new TextEncoder().encode('shared'))
  const read = [...i32(0), ...i32(0), ...i32(1), ...i32(8), ...call(1), ...op.drop]
  const end = run(
    { imports: ['fd_write', 'fd_read'], start: [...read, ...write(1)], texts: piece('......') },
    {},
    { stdin },
  )
  assert.is(new TextDecoder().decode(end.stdout), 'shared')
})

program.run()
