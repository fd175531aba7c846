import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { admit } from '../../../sandbox/admission/index.js'
import { PAGE_BYTES } from '../../../sandbox/contract.js'
import { engine } from '../../../sandbox/engine.js'
import { type ProgramInput, type ProgramLimits, runProgram } from '../../../sandbox/run.js'
import { shortOfMemory } from '../../support/short-of-memory.js'
import {
  assemble,
  call,
  compile,
  DROP,
  forever,
  GROW,
  I32_LOAD,
  i32,
  repeat,
  type TinyProgram,
  UNREACHABLE,
} from './tiny-program.js'

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

/** One piece at address 0 with what stands at 64; room for an answer at 8. */
function piece(text: string): Uint8Array {
  const bytes = new Uint8Array(64 + text.length)
  bytes.set([64, 0, 0, 0, text.length])
  bytes.set(new TextEncoder().encode(text), 64)
  return bytes
}

const WRITE = (fd: number) => [...i32(fd), ...i32(0), ...i32(1), ...i32(8), ...call(0), ...DROP]

function run(tiny: TinyProgram, limits: Partial<ProgramLimits> = {}, input: Partial<ProgramInput> = {}) {
  return runProgram(compile(tiny), { ...INPUT, ...input }, { ...LIMITS, ...limits })
}

program('gives what a program wrote and its exit code', () => {
  const end = run({
    imports: ['fd_write', 'proc_exit'],
    body: [WRITE(1), WRITE(2), WRITE(2), [...i32(7), ...call(1)]],
    data: piece('answer'),
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
  const end = run({ body: [] })
  assert.is(end.outcome, 'exit')
  assert.is(end.exitCode, 0)
})

program('says where a program trapped', () => {
  const end = run({ imports: ['fd_write'], body: [WRITE(1), UNREACHABLE], data: piece('so far') })
  assert.is(end.outcome, 'trap')
  assert.is(end.trap?.message, 'unreachable')
  assert.is(end.trap?.functionIndex, 2, 'behind fd_write and grid.refuel')
  assert.is(new TextDecoder().decode(end.stdout), 'so far')
})

program('stops an endless loop at its fuel limit, on the way reporting fuel', () => {
  const reports: bigint[] = []
  const module = compile({ body: [forever()] })
  const end = runProgram(module, INPUT, { ...LIMITS, fuel: 3n * 2n ** 28n }, (used) => reports.push(used))
  assert.is(end.outcome, 'fuel')
  assert.is(end.fuel, 3n * 2n ** 28n)
  assert.is(reports.length, 2, 'after each third but the last')
  assert.ok(reports.every((used, i) => used > BigInt(i + 1) * 2n ** 28n && used < BigInt(i + 1) * 2n ** 28n + 100n))
})

program('stops endless calls at the fuel limit', () => {
  const end = run({ imports: ['sched_yield'], body: [forever(call(0), DROP)] }, { fuel: 100_000n })
  assert.is(end.outcome, 'fuel')
})

program('counts the same fuel in each run, and ends in fuel with one step less', () => {
  const tiny = { imports: ['fd_write'], body: [repeat(0, 20, WRITE(1))], data: piece('0123456789abcdefghij') }
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
  const end = run({ imports: ['fd_write'], body: [forever(WRITE(1))], data: piece('0123456789') }, { outputBytes: 95 })
  assert.is(end.outcome, 'output')
  assert.is(end.stdout.length, 90)
})

program('survives endless standard error by its fuel limit', () => {
  const end = run({ imports: ['fd_write'], body: [forever(WRITE(2))], data: piece('0123456789') })
  assert.is(end.outcome, 'fuel')
  assert.is(end.stderr.length, 10)
  assert.ok(end.stderrLength > 10_000)
})

program('ends in depth when it runs out of stack', () => {
  const end = run({ body: [call(0)] })
  assert.is(end.outcome, 'depth')
})

program('ends by itself when its memory cannot grow', () => {
  const grow = [...i32(1), ...GROW, ...DROP]
  const end = run({
    body: [repeat(0, 40, grow), [...i32(0), ...GROW, ...i32(16), 0x47, 0x04, 0x40, ...UNREACHABLE, 0x0b]],
  })
  assert.is(end.outcome, 'exit', 'it found 16 pages, its limit')
})

program('blames the host for what leads out of a memory that is smaller than elsewhere', () => {
  const grow = [...i32(1), ...GROW, ...DROP]
  const limits = { ...LIMITS, memoryBytes: 100 * PAGE_BYTES }
  const outcomes = (body: number[][]) => {
    const tiny = { imports: ['random_get', 'proc_exit'], body: [grow, ...body], pages: 64 }
    const { bytes } = admit(assemble(tiny), limits)
    return [bytes, shortOfMemory(bytes, { min: 64, max: 100, given: 70 })].map((each) => {
      const { outcome, exitCode } = runProgram(new engine.Module(each), INPUT, limits)
      return `${outcome} ${exitCode}`
    })
  }
  // The program asked for 65 pages; 72 are there, or 65 on the host that is short of memory.
  const random = (page: number) => [...i32(page * PAGE_BYTES), ...i32(4), ...call(0), ...call(1)]
  const load = (page: number) => [...i32(page * PAGE_BYTES), ...I32_LOAD, ...call(1)]
  assert.equal(outcomes([random(64)]), ['exit 0', 'exit 0'])
  assert.equal(outcomes([random(71)]), ['exit 0', 'host 0'])
  assert.equal(outcomes([random(72)]), ['exit 21', 'host 0'])
  assert.equal(outcomes([load(64)]), ['exit 0', 'exit 0'])
  assert.equal(outcomes([load(71)]), ['exit 0', 'host 0'])
  assert.equal(outcomes([load(72)]), ['trap 0', 'host 0'])
})

program('ends in memory when it needs more than its limit to start', () => {
  const module = compile({ body: [], pages: 3 })
  assert.is(runProgram(module, INPUT, { ...LIMITS, memoryBytes: 2 * 65_536 }).outcome, 'memory')
  assert.is(runProgram(module, INPUT, { ...LIMITS, memoryBytes: 3 * 65_536 }).outcome, 'exit')
})

program('traps when its data does not fit its memory', () => {
  const end = run({ body: [], data: new Uint8Array(65_537) })
  assert.is(end.outcome, 'trap')
  assert.is(end.fuel, 0n)
})

program('blames the host for a module that was not admitted, and for input that cannot be laid out', () => {
  const raw = new engine.Module(assemble({ body: [forever()] }))
  assert.is(runProgram(raw, INPUT, LIMITS).outcome, 'host')
  const files = new Map([
    ['a', new Uint8Array(0)],
    ['a/b', new Uint8Array(0)],
  ])
  const end = run({ body: [] }, {}, { files })
  assert.is(end.outcome, 'host')
  assert.match(end.trap?.message ?? '', 'below another input')
})

program('blames the host when progress cannot be reported', () => {
  const end = runProgram(compile({ body: [forever()] }), INPUT, { ...LIMITS, fuel: 2n ** 29n }, () => {
    throw new RangeError('no memory')
  })
  assert.is(end.outcome, 'host')
})

program('gives a unit the same random bytes each time, and another unit others', () => {
  const tiny = {
    imports: ['fd_write', 'random_get'],
    body: [[...i32(64), ...i32(16), ...call(1), ...DROP], WRITE(1)],
    data: piece('sixteen bytes...'),
  }
  const bytes = (seed: bigint, unit: number) => Buffer.from(run(tiny, {}, { seed, unit }).stdout).toString('hex')
  assert.is(bytes(0n, 0), 'b3e183cf865c56e90ec1cc58a6d6cd30')
  assert.is(bytes(0n, 0), bytes(0n, 0))
  assert.is(new Set([bytes(0n, 0), bytes(0n, 1), bytes(1n, 0)]).size, 3)
})

program('reads input from shared memory', () => {
  const stdin = new Uint8Array(new SharedArrayBuffer(6))
  stdin.set(new TextEncoder().encode('shared'))
  const read = [...i32(0), ...i32(0), ...i32(1), ...i32(8), ...call(1), ...DROP]
  const end = run({ imports: ['fd_write', 'fd_read'], body: [read, WRITE(1)], data: piece('......') }, {}, { stdin })
  assert.is(new TextDecoder().decode(end.stdout), 'shared')
})

program.run()
