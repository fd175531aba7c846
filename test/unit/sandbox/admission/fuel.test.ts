import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { i32 } from '../../../../cli/sandbox-check/assemble.js'
import { admit } from '../../../../sandbox/admission/index.js'
import { type AdmittedRun, runAdmitted } from '../../../support/compute/run-admitted.js'
import { type Bytes, buildModule, command, type ModuleParts } from '../../../support/compute/wasm-builder.js'

const MEMORY_BYTES = 2 ** 20

function run(parts: ModuleParts, options?: Parameters<typeof runAdmitted>[1]): AdmittedRun {
  return runAdmitted(admit(buildModule(parts), { memoryBytes: MEMORY_BYTES }).bytes, options)
}

function fuelOf(body: Bytes, more?: Parameters<typeof command>[1]): bigint {
  const { error, fuel } = run(command(body, more))
  assert.is(error, undefined)
  return fuel
}

const I32: Parameters<typeof command>[1] = { locals: [[1, 'i32']] }

/** local 0 := value. Two instructions. */
const set = (value: number) => [i32(value), 0x21, 0]
/** local 0 := local 0 - 1, and leaves it on the stack. Four instructions. */
const countDown = [0x20, 0, 0x41, 1, 0x6b, 0x22, 0]

const Fuel = suite('fuel')

Fuel('counts the end of an empty function', () => {
  assert.is(fuelOf([]), 1n)
})

Fuel('counts each instruction of a straight line', () => {
  assert.is(fuelOf([0x01, 0x41, 1, 0x1a]), 4n)
})

Fuel('counts a block and its end', () => {
  assert.is(fuelOf([0x02, 0x40, 0x01, 0x0b]), 4n)
})

Fuel('counts a loop once each time round', () => {
  // 2 to set; five rounds of loop, 4, br_if; then the ends of loop and function.
  assert.is(fuelOf([set(5), 0x03, 0x40, countDown, 0x0d, 0, 0x0b], I32), 2n + 5n * 6n + 2n)
})

Fuel('counts the branch of an if that is taken', () => {
  const body = (condition: number) => [0x41, condition, 0x04, 0x40, 0x01, 0x05, 0x01, 0x01, 0x0b]
  // const, if; then nop, else; or two nops and the end; the end of the function.
  assert.is(fuelOf(body(1)), 2n + 2n + 1n)
  assert.is(fuelOf(body(0)), 2n + 3n + 1n)
})

Fuel('counts an if without else as skipped', () => {
  const body = (condition: number) => [0x41, condition, 0x04, 0x40, 0x01, 0x0b]
  assert.is(fuelOf(body(1)), 2n + 2n + 1n)
  assert.is(fuelOf(body(0)), 2n + 1n)
})

Fuel('counts nothing that control does not reach', () => {
  const dead = [0x03, 0x40, 0x01, 0x0b, 0x41, 0, 0x04, 0x40, 0x01, 0x05, 0x0b, 0x10, 0, 0x0f]
  assert.is(fuelOf([0x0f, dead]), 1n)
  assert.is(fuelOf([0x02, 0x40, 0x0c, 0, dead, 0x0b]), 3n)
})

Fuel('counts what is called, however often', () => {
  const twice = { params: [], results: [], body: [0x01, 0x10, 2, 0x10, 2] } as const
  assert.is(fuelOf([0x10, 1], { functions: [twice, { body: [0x01] }] }), 2n + 4n + 2n * 2n)
})

Fuel('counts calls through a table', () => {
  const more = { tables: [[0x70, 0, 1]], elements: [[0, 0x41, 0, 0x0b, 1, 1]], functions: [{ body: [0x01, 0x01] }] }
  assert.is(fuelOf([0x41, 0, 0x11, 0, 0], more), 3n + 3n)
})

Fuel('charges a sixteenth of the bytes that bulk instructions move', () => {
  const fill = (length: number) => [0x41, 0, 0x41, 7, i32(length), 0xfc, 11, 0]
  assert.is(fuelOf(fill(0)), 5n)
  assert.is(fuelOf(fill(15)), 5n)
  assert.is(fuelOf(fill(65_536)), 5n + 4_096n)
})

Fuel('charges for pages that the memory gains, and nothing for those it does not', () => {
  const grow = (pages: number) => [i32(pages), 0x40, 0, 0x1a]
  const none = fuelOf(grow(0))
  assert.is(none, 4n)
  assert.is(fuelOf(grow(3)), none + 3n * 4_096n)
  assert.is(fuelOf(grow(16)), none)
  assert.is(fuelOf(grow(-1)), none)
})

Fuel('charges what a host call takes from the global while it runs', () => {
  const imports = [{ module: 'wasi_snapshot_preview1', name: 'sched_yield', results: ['i32' as const] }]
  const bytes = admit(buildModule(command([0x10, 0, 0x1a, 0x10, 0, 0x1a], { imports })), { memoryBytes: MEMORY_BYTES })
  const { fuel } = runAdmitted(bytes.bytes, {
    host: (fuel) => ({
      sched_yield: () => {
        fuel().value = BigInt(fuel().value) - 100n
        return 0
      },
    }),
  })
  assert.is(fuel, 205n)
})

Fuel('is right where a program ends by unreachable', () => {
  assert.is(run(command([set(3), 0x03, 0x40, countDown, 0x0d, 0, 0x0b, 0x00, 0x01], I32)).fuel, 2n + 3n * 6n + 2n)
})

Fuel('stops an endless loop', () => {
  const { error, asked } = run(command([0x03, 0x40, 0x0c, 0, 0x0b]), { limit: 1_000n, portion: 300n })
  assert.match(String(error), /out of fuel/)
  assert.is(asked, 4)
})

Fuel('stops recursion that branches without a loop', () => {
  // Calls itself twice, 30 deep: 2^31 calls, none of which loops.
  const tree = {
    params: ['i32' as const],
    body: [0x20, 0, 0x04, 0x40, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x20, 0, 0x41, 1, 0x6b, 0x10, 1, 0x0b],
  }
  const { error } = run(command([0x41, 30, 0x10, 1], { functions: [tree] }), { limit: 1_000_000n })
  assert.match(String(error), /out of fuel/)
})

Fuel('stops a program that only fills memory', () => {
  const body = [0x03, 0x40, 0x41, 0, 0x41, 0, i32(65_536), 0xfc, 11, 0, 0x0c, 0, 0x0b]
  assert.match(String(run(command(body), { limit: 100_000n }).error), /out of fuel/)
})

Fuel('stops long functions that neither loop nor call', () => {
  const long = { body: Array(300).fill(0x01) }
  const body = [Array(1_000).fill([0x10, 1])]
  assert.ok(run(command(body, { functions: [long] }), { limit: 10_000n }).fuel < 20_000n)
})

Fuel('is the same for every size of the portions, where the program ends and where it traps', () => {
  const programs = [
    command([set(200), 0x03, 0x40, countDown, 0x0d, 0, 0x0b], I32),
    // A division by zero behind a loop: the global is behind the local there.
    command([set(200), 0x03, 0x40, countDown, 0x0d, 0, 0x0b, 0x41, 1, 0x41, 0, 0x6d, 0x1a], I32),
    command([set(50), 0x03, 0x40, 0x10, 1, countDown, 0x0d, 0, 0x0b], { ...I32, functions: [{ body: [0x01] }] }),
    command([0x41, 3, 0x40, 0, 0x1a, 0x41, 0, 0x41, 0, i32(65_536), 0xfc, 11, 0]),
    // A loop with a parameter: it asks where it begins.
    command([i32(100), 0x03, 1, 0x41, 1, 0x6b, 0x22, 0, 0x20, 0, 0x0d, 0, 0x1a, 0x0b], {
      ...I32,
      types: [
        [0x60, 0, 0],
        [0x60, 1, 0x7f, 0],
      ],
    }),
  ]
  const whole = programs.map((parts) => run(parts))
  assert.equal(
    whole.map(({ asked }) => asked),
    [0, 0, 0, 0, 0],
  )
  fc.assert(
    fc.property(fc.nat(programs.length - 1), fc.bigInt(1n, 5_000n), (index, portion) => {
      const { fuel, error } = run(programs[index]!, { portion })
      assert.is(fuel, whole[index]!.fuel)
      assert.is(String(error), String(whole[index]!.error))
    }),
    { numRuns: 150 },
  )
})

Fuel('ends at the same place for every size of the portions when the limit is passed', () => {
  const body = [0x03, 0x40, 0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6a, 0x36, 2, 0, 0x0c, 0, 0x0b]
  const rounds = (options: { portion?: bigint; limit: bigint }) => run(command(body), options).memory.getUint32(0, true)
  fc.assert(
    fc.property(fc.bigInt(1n, 3_000n), fc.bigInt(1n, 500n), (limit, portion) => {
      assert.is(rounds({ limit, portion }), rounds({ limit }))
    }),
    { numRuns: 100 },
  )
})

Fuel.run()
