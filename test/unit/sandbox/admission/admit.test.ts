import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { i32, text, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { admit, functionNames, submittedFunction, WASI_MODULE } from '../../../../sandbox/admission/index.js'
import { instrument } from '../../../../sandbox/admission/instrument.js'
import { DEPTH_SLOTS } from '../../../../sandbox/contract.js'
import { engine } from '../../../../sandbox/engine.js'
import { type AdmittedRun, runAdmitted } from '../../../support/compute/run-admitted.js'
import { type Bytes, buildModule, command, f64, type ModuleParts } from '../../../support/compute/wasm-builder.js'

const MEMORY_BYTES = 16 * 65_536

function run(parts: ModuleParts): AdmittedRun {
  return runAdmitted(admit(buildModule(parts), { memoryBytes: MEMORY_BYTES }).bytes, {
    host: () => ({ sched_yield: () => 0 }),
  })
}

/** What `body`, which leaves an i32, gives. */
function value(body: Bytes, more?: Parameters<typeof command>[1]): number {
  const { error, memory } = run(command([0x41, 0, body, 0x36, 2, 0], more))
  assert.is(error, undefined)
  return memory.getInt32(0, true)
}

const Admit = suite('admit')

Admit('reports what it saw', () => {
  const module = buildModule(
    command([], {
      imports: [
        { module: WASI_MODULE, name: 'fd_close', params: ['i32'], results: ['i32'] },
        { module: WASI_MODULE, name: 'proc_exit', params: ['i32'] },
      ],
      memories: [[1, 2, 8]],
      functions: [{ body: [] }],
    }),
  )
  const { bytes, report } = admit(module, { memoryBytes: MEMORY_BYTES })
  assert.equal(report, {
    profile: 1,
    moduleBytes: module.length,
    admittedBytes: bytes.length,
    functions: 2,
    imports: [`${WASI_MODULE}.fd_close`, `${WASI_MODULE}.proc_exit`],
    memoryPages: { min: 2, max: 8 },
    hasNames: false,
  })
})

Admit('gives the same bytes for the same module, and leaves that as it is', () => {
  const module = buildModule(command([0x03, 0x40, 0x0b]))
  const before = module.slice()
  const first = admit(module, { memoryBytes: MEMORY_BYTES }).bytes
  assert.equal(admit(module, { memoryBytes: MEMORY_BYTES }).bytes, first)
  assert.equal(module, before)
})

Admit('does not admit twice', () => {
  const { bytes } = admit(buildModule(command([])), { memoryBytes: MEMORY_BYTES })
  assert.throws(() => admit(bytes, { memoryBytes: MEMORY_BYTES }), /grid\.refuel is not on the list/)
})

Admit('keeps the exports that a host needs, and no other', () => {
  const exports = [
    ['memory', 2, 0],
    ['_start', 0, 0],
    ['other', 0, 0],
  ] as const
  const { bytes } = admit(buildModule(command([], { exports })), { memoryBytes: MEMORY_BYTES })
  const instance = new engine.Instance(new engine.Module(bytes), { grid: { refuel: () => 0n } })
  assert.equal(Object.keys(instance.exports), ['memory', '_start', 'grid_fuel', 'grid_depth', 'grid_starved'])
})

Admit('caps the memory at whole pages', () => {
  const cap = (memories: Bytes[], memoryBytes: number) =>
    admit(buildModule(command([], { memories })), { memoryBytes }).report.memoryPages
  assert.equal(cap([[0, 1]], 5 * 65_536 + 65_535), { min: 1, max: 5 })
  assert.equal(cap([[1, 1, 3]], 5 * 65_536), { min: 1, max: 3 })
  assert.equal(cap([[0, 1]], 2 ** 40), { min: 1, max: 65_536 })
})

Admit('lets the memory grow to the cap and says -1 beyond it', () => {
  assert.is(value([0x41, 15, 0x40, 0]), 1)
  assert.is(value([0x41, 16, 0x40, 0]), -1)
  assert.is(value([0x41, 15, 0x40, 0, 0x1a, 0x3f, 0]), 16)
  assert.is(value([i32(-1), 0x40, 0]), -1)
})

Admit('ends deep recursion at the same depth everywhere, and says so', () => {
  // Counts its calls in memory.
  const count = [0x41, 0, 0x41, 0, 0x28, 2, 0, 0x41, 1, 0x6a, 0x36, 2, 0]
  const { error, depth, memory } = run(command([0x10, 1], { functions: [{ body: [count, 0x10, 1] }] }))
  assert.instance(error, engine.RuntimeError)
  assert.ok(depth < 0)
  // Frames of 8 slots and 3 operands; that of _start has no operands.
  assert.is(memory.getInt32(0, true), Math.floor((DEPTH_SLOTS - 8) / 11))
  const wide = { locals: [[1_000, 'i64']] as const, body: [count, 0x10, 1] }
  assert.is(
    run(command([0x10, 1], { functions: [wide] })).memory.getInt32(0, true),
    Math.floor((DEPTH_SLOTS - 8) / 1_011),
  )
})

Admit('counts the operands that lie on the stack during calls as depth', () => {
  const body = [Array(400).fill([0x41, 1]), 0x10, 1, Array(400).fill(0x1a)]
  const { error, depth, fuel } = run(command([0x10, 1], { functions: [{ body }] }))
  assert.instance(error, engine.RuntimeError)
  assert.ok(depth < 0)
  assert.is(fuel, 2n + 802n * BigInt(Math.floor((DEPTH_SLOTS - 8) / 408) + 1))
})

Admit('gives the depth back on every way out of a function', () => {
  const returns = { params: ['i32'], body: [0x20, 0, 0x04, 0x40, 0x0f, 0x0b, 0x20, 0, 0x45, 0x0d, 0, 0x10, 2] } as const
  const body = [0x41, 0, 0x10, 1, 0x41, 1, 0x10, 1]
  const { error, depth } = run(command(body, { functions: [returns, { body: [] }] }))
  assert.is(error, undefined)
  assert.is(depth, DEPTH_SLOTS)
})

Admit('counts a large frame as depth also where nothing is called', () => {
  const { depth, error } = run(command([], { locals: [[9_000, 'i64']] }))
  assert.is(error, undefined)
  assert.is(depth, DEPTH_SLOTS)
  const many = { locals: [[9_000, 'i64']] as const, body: [] }
  const nested = Array.from({ length: 7 }, (_, index) => ({ ...many, body: [0x10, index + 2] }))
  assert.ok(run(command([0x10, 1], { functions: [...nested, many] })).depth < 0)
})

const NAN = [0x44, f64(0x7ff8_0000_0000_1234n)]
const ZERO = [0x44, f64(0n)]
/** 0 / 0, whose bits are the processor's. */
const INVALID = [ZERO, ZERO, 0xa3]
const HIGH = [0x42, 32, 0x88, 0xa7]

Admit('gives a NaN the same bits wherever they show', () => {
  assert.is(value([INVALID, 0xbd, HIGH]), 0x7ff8_0000)
  assert.is(value([INVALID, 0x9a, 0xbd, HIGH]), 0x7ff8_0000, 'negated')
  assert.is(value([0x41, 8, INVALID, 0x39, 3, 0, 0x41, 12, 0x28, 2, 0]), 0x7ff8_0000, 'stored')
  assert.is(value([INVALID, 0xb6, 0xbc]), 0x7fc0_0000, 'made single')
  assert.is(value([0x41, 8, INVALID, 0xb6, 0x38, 2, 0, 0x41, 8, 0x28, 2, 0]), 0x7fc0_0000, 'single, stored')
  // The sign of a NaN decides over a number.
  const one = [0x44, f64(0x3ff0_0000_0000_0000n)]
  assert.is(value([one, INVALID, 0x9a, 0xa6, 0xbd, HIGH]), 0x3ff0_0000, 'copysign')
})

Admit('leaves bits alone that are the same everywhere', () => {
  assert.is(value([NAN, 0xbd, 0xa7]), 0x1234, 'a constant')
  assert.is(value([0x41, 8, 0x42, 7, 0x37, 3, 0, 0x41, 8, 0x2b, 3, 0, 0xbd, 0xa7]), 7, 'a load')
  assert.is(value([0x44, f64(0x8000_0000_0000_0000n), 0xbd, HIGH]), -0x8000_0000, 'minus zero')
  assert.is(value([ZERO, 0x9a, 0xbd, HIGH]), -0x8000_0000, 'a number that was computed')
})

Admit('shows what it does for NaNs when that is switched off', () => {
  const body = [0x41, 0, INVALID, 0x9a, 0xbd, HIGH, 0x36, 2, 0]
  const shown = (nan: 'escape' | 'none') =>
    runAdmitted(instrument(buildModule(command(body)), { memoryBytes: MEMORY_BYTES, nan }).bytes).memory.getUint32(
      0,
      true,
    )
  const negated = [0x41, 0, NAN, 0x9a, 0xbd, HIGH, 0x36, 2, 0]
  const sign = (nan: 'escape' | 'none') =>
    runAdmitted(instrument(buildModule(command(negated)), { memoryBytes: MEMORY_BYTES, nan }).bytes).memory.getUint32(
      0,
      true,
    )
  assert.is(shown('escape'), 0x7ff8_0000)
  assert.is(sign('escape'), 0x7ff8_0000)
  assert.is(sign('none'), 0xfff8_0000)
})

Admit('keeps functions apart that move behind the added import', () => {
  const one = { results: ['i32'], body: [0x41, 1] } as const
  const two = { results: ['i32'], body: [0x41, 2] } as const
  const imports = [{ module: WASI_MODULE, name: 'sched_yield', results: ['i32' as const] }]
  const types = [[0x60, 0, 1, 0x7f]]
  const indirect = (entry: number) => [0x41, entry, 0x11, 0, 0]
  const shape = { types, imports, functions: [one, two], tables: [[0x70, 0, 4]] }
  assert.is(value([0x10, 3], shape), 2)
  assert.is(value([0x10, 2], shape), 1)
  const at0 = [0x41, 0, 0x0b]
  const elements: readonly (readonly [name: string, segments: readonly Bytes[], before: Bytes])[] = [
    ['indices', [[0, at0, 2, 2, 3]], []],
    ['indices of a table', [[2, 0, at0, 0, 2, 2, 3]], []],
    ['expressions', [[4, at0, 2, [0xd2, 2, 0x0b], [0xd2, 3, 0x0b]]], []],
    ['expressions of a table', [[6, 0, at0, 0x70, 3, [0xd2, 2, 0x0b], [0xd2, 3, 0x0b], [0xd0, 0x70, 0x0b]]], []],
    ['passive indices', [[1, 0, 2, 2, 3]], [0x41, 0, 0x41, 0, 0x41, 2, 0xfc, 12, 0, 0]],
    [
      'passive expressions',
      [[5, 0x70, 2, [0xd2, 2, 0x0b], [0xd2, 3, 0x0b]]],
      [0x41, 0, 0x41, 0, 0x41, 2, 0xfc, 12, 0, 0],
    ],
    [
      'declared',
      [
        [3, 0, 1, 3],
        [0, at0, 1, 2],
      ],
      [0x41, 1, 0xd2, 3, 0x26, 0],
    ],
    [
      'declared expressions',
      [
        [7, 0x70, 1, [0xd2, 3, 0x0b]],
        [0, at0, 1, 2],
      ],
      [0x41, 1, 0xd2, 3, 0x26, 0],
    ],
  ]
  for (const [name, segments, before] of elements) {
    assert.is(value([before, indirect(0)], { ...shape, elements: segments }), 1, name)
    assert.is(value([before, indirect(1)], { ...shape, elements: segments }), 2, name)
  }
  const globals = [[0x70, 0, 0xd2, 3, 0x0b]]
  assert.is(value([0x41, 0, 0x23, 0, 0x26, 0, indirect(0)], { ...shape, globals }), 2, 'a global')
})

Admit('keeps functions with several results, whichever way they end', () => {
  const pair = (body: Bytes) => ({ params: ['i32' as const], results: ['i32' as const, 'i32' as const], body })
  const ways = [
    [0x41, 5, 0x41, 3, 0x10, 2],
    [0x41, 5, 0x41, 3, 0x10, 2, 0x0f],
    [0x41, 5, 0x41, 3, 0x10, 2, 0x20, 0, 0x0d, 0],
    [0x41, 5, 0x41, 3, 0x10, 2, 0x20, 0, 0x0e, 1, 0, 0],
  ]
  const nothing = { body: [] }
  for (const way of ways) assert.is(value([0x41, 1, 0x10, 1, 0x6b], { functions: [pair(way), nothing] }), 2)
})

Admit('keeps passive data and what copies it', () => {
  const more = { dataCount: 1, data: [[1, 4, 9, 8, 7, 6]] }
  const init = [0x41, 16, 0x41, 1, 0x41, 2, 0xfc, 8, 0, 0]
  assert.is(value([init, 0x41, 16, 0x2f, 1, 0], more), 0x0708)
  assert.is(value([init, 0x41, 32, 0x41, 16, 0x41, 2, 0xfc, 10, 0, 0, 0x41, 32, 0x2f, 1, 0], more), 0x0708)
})

Admit('takes loops that have parameters and results', () => {
  const types = [
    [0x60, 1, 0x7f, 1, 0x7f],
    [0x60, 0, 1, 0x7f],
  ]
  const counting = [0x41, 5, 0x03, 0, 0x41, 1, 0x6b, 0x22, 0, 0x20, 0, 0x0d, 0, 0x0b]
  assert.is(value(counting, { types, locals: [[1, 'i32']] }), 0)
  assert.is(value([0x03, 0x7f, 0x41, 42, 0x0b]), 42)
  assert.is(value([0x02, 0x7f, 0x03, 1, 0x41, 43, 0x41, 1, 0x0d, 1, 0x1a, 0x0c, 0, 0x0b, 0x0b], { types }), 43)
})

const Names = suite('functionNames')

const named = (content: Bytes) =>
  buildModule(command([], { functions: [{ body: [] }], extra: { 99: [[0, [text('name'), content]]] } }))
const entries = [2, [0, text('main')], [1, text('compute')]]

Names('gives the names of functions by their index in the submitted module', () => {
  const subsection = [1, u32(15), entries]
  const module = named([0, 2, text('m'), subsection])
  assert.equal(
    [...functionNames(module)],
    [
      [0, 'main'],
      [1, 'compute'],
    ],
  )
  assert.is(admit(module, { memoryBytes: MEMORY_BYTES }).report.hasNames, true)
})

Names('is empty where there are none, or they are malformed', () => {
  assert.is(functionNames(buildModule(command([]))).size, 0)
  assert.is(functionNames(named([1, 15, 200, entries])).size, 0)
  assert.is(functionNames(named([1, 99])).size, 0)
  assert.is(functionNames(Uint8Array.of(1, 2, 3)).size, 0)
})

Names('cuts long names', () => {
  const name = 'x'.repeat(1_000)
  assert.is(functionNames(named([1, u32(1_004), 1, 0, text(name)])).get(0)?.length, 256)
})

Names('finds the function that an index of the admitted module means', () => {
  const imports = [{ module: WASI_MODULE, name: 'proc_exit', params: ['i32' as const] }]
  const { report } = admit(buildModule(command([], { imports, functions: [{ body: [] }] })), {
    memoryBytes: MEMORY_BYTES,
  })
  assert.equal(
    [0, 1, 2, 3, 4, 5].map((index) => submittedFunction(report, index)),
    [0, undefined, 1, 2, undefined, undefined],
  )
})

Admit.run()
Names.run()
