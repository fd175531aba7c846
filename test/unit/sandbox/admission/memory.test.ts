import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { i32, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { admit } from '../../../../sandbox/admission/index.js'
import { FUEL_EXPORT, PAGE_BYTES, STARVED_EXPORT } from '../../../../sandbox/contract.js'
import { engine, type Global, type Memory, type ModuleInstance } from '../../../../sandbox/engine.js'
import { shortOfMemory } from '../../../support/compute/short-of-memory.js'
import { type Bytes, buildModule, command, type ModuleParts } from '../../../support/compute/wasm-builder.js'

const FUEL = 1n << 40n
const FUEL_A_PAGE = 4_096n

const SIZE = [0x3f, 0]
const grow = (pages: number) => [i32(pages), 0x40, 0]
/** Puts the i32 that `body` leaves into word `index`. */
const keep = (index: number, body: Bytes) => [i32(4 * index), body, 0x36, 2, 0]
/** Shows the memory to the test. */
const LOOK = [0x10, 0, 0x1a]
const pages = (min: number, max?: number) => ({
  memories: [max === undefined ? [0, u32(min)] : [1, u32(min), u32(max)]],
})

interface Ended {
  readonly error: unknown
  readonly fuel: bigint
  readonly starved: number
  /** The memory at the end. */
  readonly words: Int32Array
  /** Pages that the memory really had, at each look. */
  readonly looks: readonly number[]
}

/** Runs a module, admitted or as it is, that imports `sched_yield` as its function 0. */
function start(bytes: Uint8Array): Ended {
  const looks: number[] = []
  const memory = () => (instance.exports.memory as Memory).buffer
  const instance: ModuleInstance = new engine.Instance(new engine.Module(bytes), {
    grid: { refuel: () => FUEL },
    wasi_snapshot_preview1: { sched_yield: () => looks.push(memory().byteLength / PAGE_BYTES) * 0 },
  })
  const fuel = (instance.exports[FUEL_EXPORT] ?? { value: 0n }) as Global
  fuel.value = FUEL
  const starved = (instance.exports[STARVED_EXPORT] ?? { value: 0 }) as Global
  let error: unknown
  try {
    ;(instance.exports._start as () => void)()
  } catch (thrown) {
    error = thrown
  }
  return {
    error,
    fuel: FUEL - BigInt(fuel.value),
    starved: Number(starved.value),
    words: new Int32Array(memory()),
    looks,
  }
}

function moduleOf(body: Bytes, more: Partial<ModuleParts> & Parameters<typeof command>[1] = {}): Uint8Array {
  const imports = [{ module: 'wasi_snapshot_preview1', name: 'sched_yield', results: ['i32' as const] }]
  return buildModule(command(body, { imports, ...more }))
}

const admitted = (module: Uint8Array, capPages: number) => admit(module, { memoryBytes: capPages * PAGE_BYTES }).bytes

/** What the memory really has once the program has asked for `asked`, one after another: none beyond the cap. */
function realPages(min: number, cap: number, asked: readonly number[]): number {
  let known = min
  let real = min
  for (const more of asked) {
    if (known + (more >>> 0) > cap) continue
    known += more
    if (known > real) real += Math.min(Math.max(known - real, Math.floor(real / 8)), cap - real)
  }
  return real
}

const Growing = suite('memory that grows')

Growing('shows the pages that the program asked for, though there are more', () => {
  const body = [keep(0, SIZE), keep(1, grow(1)), keep(2, SIZE), LOOK, keep(3, grow(0)), keep(4, SIZE), LOOK]
  const { words, looks, error } = start(admitted(moduleOf(body, pages(80)), 200))
  assert.is(error, undefined)
  assert.equal([...words.subarray(0, 5)], [80, 80, 81, 81, 81])
  assert.equal(looks, [90, 90])
})

Growing('really grows a few times only', () => {
  const rounds = 4_000
  const count = [0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0]
  const loop = [i32(rounds), 0x21, 0, 0x03, 0x40, grow(1), 0x1a, LOOK, count, 0x0b]
  const { looks, words, fuel } = start(
    admitted(moduleOf([loop, keep(0, SIZE)], { ...pages(1), locals: [[1, 'i32']] }), 4_096),
  )
  assert.is(words[0], rounds + 1)
  assert.is(looks.length, rounds)
  assert.is(looks.at(-1), realPages(1, 4_096, Array<number>(rounds).fill(1)))
  const sizes = new Set(looks)
  assert.ok(sizes.size < 70, `${sizes.size} real sizes`)
  assert.ok(looks.every((real, round) => real >= round + 2 && real <= Math.max(8, ((round + 2) * 9) / 8)))
  assert.ok(fuel > FUEL_A_PAGE * BigInt(rounds) && fuel < (FUEL_A_PAGE + 20n) * BigInt(rounds))
})

Growing('takes what is missing at once when that is more', () => {
  assert.equal(start(admitted(moduleOf([grow(50), 0x1a, LOOK], pages(80)), 200)).looks, [130])
})

Growing('never passes the cap, nor the bound that the program has itself', () => {
  const body = [keep(0, grow(1)), LOOK, keep(1, grow(4)), keep(2, grow(3)), keep(3, grow(1)), keep(4, SIZE), LOOK]
  for (const bytes of [admitted(moduleOf(body, pages(80)), 84), admitted(moduleOf(body, pages(80, 84)), 200)]) {
    const { words, looks } = start(bytes)
    assert.equal([...words.subarray(0, 5)], [80, -1, 81, -1, 84])
    assert.equal(looks, [84, 84])
  }
})

Growing('gives zeros behind what was asked for, keeps what is written there, and traps behind that', () => {
  const at = (page: number) => i32(page * PAGE_BYTES)
  const load = [0x28, 2, 0]
  const body = [grow(1), 0x1a, keep(0, [at(85), load]), at(85), 0x41, 7, 0x36, 2, 0]
  const { words, error } = start(admitted(moduleOf([body, grow(5), 0x1a, keep(1, [at(85), load])], pages(80)), 200))
  assert.is(error, undefined)
  assert.equal([...words.subarray(0, 2)], [0, 7])
  assert.instance(start(admitted(moduleOf([body, keep(0, [at(90), load])], pages(80)), 200)).error, engine.RuntimeError)
})

Growing('answers any sequence as the engine does without the pass, at the price of its pages', () => {
  const asked = fc.oneof({ weight: 6, arbitrary: fc.nat(9) }, { weight: 2, arbitrary: fc.nat(300) }, fc.integer())
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 120 }),
      fc.nat(200),
      fc.array(asked, { maxLength: 40 }),
      (min, room, steps) => {
        const cap = min + room
        const body = steps.flatMap((step, i) => [keep(2 * i, grow(step)), keep(2 * i + 1, SIZE)])
        const module = moduleOf([body, LOOK], pages(min, cap))
        const plain = start(module)
        const pass = start(admitted(module, 65_536))
        assert.is(pass.error, undefined)
        assert.is(pass.starved, 0)
        assert.equal(pass.words.subarray(0, 2 * steps.length), plain.words.subarray(0, 2 * steps.length))
        assert.equal(pass.looks, [realPages(min, cap, steps)])
        const gained = BigInt(plain.looks[0]! - min)
        assert.is(pass.fuel, BigInt(steps.length * 7 + 3) + FUEL_A_PAGE * gained)
      },
    ),
    { numRuns: 150 },
  )
})

Growing('traps where the host cannot give a step, though what is missing would fit, and says so', () => {
  const bytes = admitted(moduleOf([grow(1), 0x1a, LOOK, 0x00], pages(64)), 100)
  const short = start(shortOfMemory(bytes, { min: 64, max: 100, given: 71 }))
  assert.instance(short.error, engine.RuntimeError)
  assert.is(short.starved, 1)
  assert.equal(short.looks, [])
  assert.is(short.words.byteLength, 64 * PAGE_BYTES)
  const enough = start(shortOfMemory(bytes, { min: 64, max: 100, given: 72 }))
  assert.instance(enough.error, engine.RuntimeError)
  assert.is(enough.starved, 0, 'a trap of its own')
  assert.equal(enough.looks, [72])
})

Growing.run()
