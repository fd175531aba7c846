import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { text, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { GridError } from '../../../../runtime/errors.js'
import { admit, Refused, WASI_MODULE } from '../../../../sandbox/admission/index.js'
import { LIMITS } from '../../../../sandbox/admission/limits.js'
import { type Bytes, buildModule, command, type ModuleParts } from '../../../support/compute/wasm-builder.js'

const MEMORY_BYTES = 256 * 2 ** 20

function refusal(bytes: Uint8Array, memoryBytes = MEMORY_BYTES): Refused {
  try {
    admit(bytes, { memoryBytes })
  } catch (error) {
    assert.instance(error, Refused)
    return error as Refused
  }
  return assert.unreachable('it was admitted') as never
}

/** Each: what is wrong, the module, words of the message, the section named. */
type Case = readonly [name: string, module: ModuleParts | Uint8Array, message: RegExp, section: number | undefined]

const ofBody = (body: Bytes, more?: Parameters<typeof command>[1]) => command(body, more)
const imported = (module: string, name: string, params: ('i32' | 'f64' | 'i64')[] = [], results: 'i32'[] = []) =>
  command([], { imports: [{ module, name, params, results }] })
/** An import that is no function: its kind and description in raw bytes. */
const importedThing = (kind: number, description: Bytes) =>
  command([], { extra: { 3: [[2, [1, text('env'), text('thing'), kind, description]]] } })
const nested = (count: number) => [Array(count).fill([0x02, 0x40]), Array(count).fill(0x0b)]

/** A module of one section. */
const bare = (id: number, content: number[]) =>
  Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, id, ...u32(content.length), ...content)

const SIMD = [0xfd, 0x0c, Array(16).fill(0), 0x1a]

const CASES: readonly Case[] = [
  ['no module', Uint8Array.of(1, 2, 3), /not a WebAssembly module/, undefined],
  ['a component', Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), /not to a component/, undefined],
  ['nothing but the header', Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), /no functions/, undefined],
  ['shared memory', command([], { memories: [[3, 1, 2]] }), /shared memory \(section 5, memory, .*without -pthread/, 5],
  ['a memory of 64 bits', command([], { memories: [[4, 1]] }), /64 bits/, 5],
  [
    'two memories',
    command([], {
      memories: [
        [0, 1],
        [0, 1],
      ],
    }),
    /exactly one memory/,
    5,
  ],
  ['no memory', buildModule({ functions: [{ body: [] }], exports: [['_start', 0, 0]] }), /no memory/, undefined],
  ['too much memory', command([], { memories: [[0, u32(5_000)]] }), /needs 5000 pages .*allows 4096.*--memory/, 5],
  ['an imported memory', importedThing(2, [0, 1]), /import env\.thing is a memory/, 2],
  ['an imported table', importedThing(1, [0x70, 0, 1]), /import env\.thing is a table/, 2],
  ['an imported global', importedThing(3, [0x7f, 0]), /import env\.thing is a global/, 2],
  ['an import that WASI has not', imported(WASI_MODULE, 'fd_fork', ['i32'], ['i32']), /fd_fork is not on the list/, 2],
  ['an import of another module', imported('env', 'fd_close', ['i32'], ['i32']), /env\.fd_close is not on/, 2],
  ['an import of the grid', imported('grid', 'refuel'), /grid\.refuel is not on the list/, 2],
  ['a WASI import with a float', imported(WASI_MODULE, 'fd_close', ['f64'], ['i32']), /another type/, 2],
  ['a WASI import without its result', imported(WASI_MODULE, 'fd_close', ['i32']), /another type/, 2],
  ['an import named in escapes', imported('\u001b[31m', 'x\u0000'), /import \?\[31m\.x\? is not/, 2],
  ['atomics', ofBody([0x41, 0, 0xfe, 0x10, 2, 0, 0x1a]), /atomic .*section 10, code.*-pthread/, 10],
  ['SIMD', ofBody(SIMD), /SIMD is not admitted .*-mno-simd128/, 10],
  ['a local for SIMD', ofBody([], { locals: [[1, 'v128']] }), /SIMD is not admitted .*-mno-simd128/, 10],
  ['a parameter for SIMD', command([], { functions: [{ params: ['v128'], body: [] }] }), /SIMD/, 1],
  ['host references', ofBody([], { locals: [[1, 'externref']] }), /things of the host/, 10],
  ['exceptions', ofBody([0x06, 0x40, 0x19, 0x0b]), /exceptions .*-fno-exceptions/, 10],
  ['an exception tag', command([], { extra: { 6: [[13, [1, 0, 0]]] } }), /exceptions/, 13],
  ['tail calls', ofBody([0x12, 0]), /tail calls/, 10],
  ['garbage collection', ofBody([0xfb, 0x01, 0]), /garbage collection/, 10],
  ['a struct type', command([], { types: [[0x5f, 0]] }), /garbage collected/, 1],
  [
    'an offset in six bytes',
    ofBody([0x41, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a]),
    /more than 32 bits/,
    10,
  ],
  ['another memory', ofBody([0x41, 0, 0x28, 0x42, 1, 0, 0x1a]), /more than one memory/, 10],
  [
    'a growing table',
    ofBody([0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a], { tables: [[0x70, 0, 1]] }),
    /tables that grow/,
    10,
  ],
  ['a table of host references', command([], { tables: [[0x6f, 0, 1]] }), /something else than functions/, 4],
  ['an unknown instruction', ofBody([0x27]), /unknown instruction 0x27/, 10],
  ['an unknown numeric instruction', ofBody([0xfc, 18]), /unknown instruction 0xfc 18/, 10],
  ['a start function', command([], { extra: { 9: [[8, [0]]] } }), /start function/, 8],
  ['an unknown section', command([], { extra: { 99: [[14, [0]]] } }), /unknown section 14/, undefined],
  [
    'a section twice',
    command([], {
      extra: {
        7: [
          [6, [0]],
          [6, [0]],
        ],
      },
    }),
    /twice or out of order/,
    undefined,
  ],
  ['an export of a reserved name', command([], { exports: [['grid_fuel', 0, 0]] }), /names with grid_ are reserved/, 7],
  ['no _start', command([], { exports: [['memory', 2, 0]] }), /no export "_start" .*a program/, 7],
  ['no exported memory', command([], { exports: [['_start', 0, 0]] }), /does not export its memory/, 7],
  ['a _start with a result', command([0x41, 0], { results: ['i32'] }), /without parameters and results/, 7],
  [
    'a _start that is an import',
    command([], {
      imports: [{ module: WASI_MODULE, name: 'sched_yield', results: ['i32'] }],
      exports: [
        ['memory', 2, 0],
        ['_start', 0, 0],
      ],
    }),
    /without parameters and results/,
    7,
  ],
  [
    'an export twice',
    command([], {
      exports: [
        ['memory', 2, 0],
        ['_start', 0, 0],
        ['_start', 0, 0],
      ],
    }),
    /twice/,
    7,
  ],
  ['a global that computes', command([], { globals: [[0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b]] }), /more than one/, 6],
  ['a global from a global', command([], { globals: [[0x7f, 0, 0x23, 0, 0x0b]] }), /instruction 0x23/, 6],
  ['a shared global', command([], { globals: [[0x7f, 3, 0x41, 0, 0x0b]] }), /shared global/, 6],
  // Indices behind the program's own: those of what the pass adds.
  ["the pass's local", ofBody([0x42, 0, 0x21, 0]), /local 0, where 0 are known/, 10],
  ["the pass's global", ofBody([0x42, 0, 0x24, 0]), /global 0, where 0 are known/, 10],
  ["the pass's function", ofBody([0x10, 1]), /function 1, where 1 are known/, 10],
  ["the pass's label", ofBody([0x0c, 1]), /branch out of 1 blocks, where 1 are open/, 10],
  ["the pass's type", ofBody([0x02, 1, 0x0b]), /type 1, where 1 are known/, 10],
  ['a reference to the pass', ofBody([0xd2, 1, 0x1a]), /function 1, where 1 are known/, 10],
  ['a negative block type', ofBody([0x02, 0xc0, 0x7f, 0x0b]), /type/, 10],
  [
    'elements that name the pass',
    command([], { tables: [[0x70, 0, 1]], elements: [[0, 0x41, 0, 0x0b, 1, 1]] }),
    /function 1/,
    9,
  ],
  ['an else without an if', ofBody([0x02, 0x40, 0x05, 0x0b]), /else without an if/, 10],
  ['code behind the end', ofBody([0x0b]), /bytes left over/, 10],
  ['a number that is too long', command([], { types: [[0x60, 0x80, 0x80, 0x80, 0x80, 0x10]] }), /more than 32 bits/, 1],
  // Bounds.
  [
    'too many locals',
    ofBody([], {
      locals: [
        [9_000, 'i32'],
        [1_001, 'i64'],
      ],
    }),
    /10001 locals, where at most 10000/,
    10,
  ],
  [
    'locals without end',
    ofBody([], {
      locals: [
        [0xffff_ffff, 'i32'],
        [0xffff_ffff, 'i32'],
      ],
    }),
    /8589934590 locals/,
    10,
  ],
  [
    'too many parameters',
    command([], { types: [[0x60, u32(1_001), Array(1_001).fill(0x7f), 0]] }),
    /1001 parameters/,
    1,
  ],
  ['too many results', command([], { types: [[0x60, 0, u32(101), Array(101).fill(0x7f)]] }), /101 results/, 1],
  ['too many types', bare(1, u32(100_001)), /100001 types/, 1],
  ['more types than bytes', bare(1, u32(90_000)), /do not fit/, 1],
  ['a br_table that is too wide', ofBody([0x41, 0, 0x0e, u32(65_521), Array(65_522).fill(0)]), /65521 targets/, 10],
  ['blocks too deep', ofBody(nested(LIMITS.nesting)), /more than 16384 blocks/, 10],
  ['a table that is too large', command([], { tables: [[0x70, 0, u32(131_073)]] }), /131073 elements/, 4],
  [
    'tables too large together',
    command([], {
      tables: [
        [0x70, 0, u32(131_000)],
        [0x70, 0, u32(73)],
      ],
    }),
    /131073 el/,
    4,
  ],
  ['too many tables', command([], { tables: Array(17).fill([0x70, 0, 0]) }), /17 tables/, 4],
  ['too many globals', command([], { extra: { 6: [[6, u32(10_001)]] } }), /10001 globals/, 6],
  [
    'too many operands',
    ofBody([Array(10_001).fill([0x41, 0]), Array(10_001).fill(0x1a)]),
    /10001 operands at once/,
    10,
  ],
  [
    'branches times locals',
    ofBody([Array(7_000).fill([0x02, 0x40, 0x0b])], { locals: [[10_000, 'i32']] }),
    /14001 branches times 10000 locals and operands/,
    10,
  ],
  ['a name that is too long', imported('x'.repeat(10_001), 'y'), /name of 10001 bytes, where at most 10000/, 2],
  ['a name that is no text', command([], { extra: { 3: [[2, [1, 1, 0xff, 1, 0x61, 0, 0]]] } }), /not UTF-8/, 2],
]

const Refusals = suite('Refused')

for (const [name, module, message, section] of CASES)
  Refusals(`refuses ${name}`, () => {
    const error = refusal(module instanceof Uint8Array ? module : buildModule(module))
    assert.match(error.message, message)
    assert.is(error.section, section)
    assert.match(error.message, /offset 0x[0-9a-f]+\)/)
    assert.match(error.message, /^[\x20-\x7e]+$/)
  })

Refusals('is an invalid request that says where the module is wrong', () => {
  const bytes = buildModule(command([0x01, SIMD]))
  const error = refusal(bytes)
  assert.instance(error, GridError)
  assert.is(error.code, 'invalid')
  assert.is(error.retryable, false)
  assert.is(bytes[error.offset], 0xfd)
  assert.is(error.reason, 'SIMD is not admitted')
})

Refusals('refuses a module that is too large before it looks inside', () => {
  assert.match(refusal(new Uint8Array(LIMITS.moduleBytes + 1)).message, /67108865 bytes, where at most 67108864/)
})

Refusals('refuses a function that is too large', () => {
  const nops = new Uint8Array(LIMITS.bodyBytes).fill(0x01)
  const head = buildModule({ ...command([]), functions: [], exports: [['memory', 2, 0]] })
  assert.match(refusal(head).message, /no export "_start"/)
  const parts = command([])
  const small = buildModule(parts)
  // The code section is the last one: written anew with one large body.
  const before = small.subarray(0, small.length - 6)
  const body = [...u32(nops.length + 2), 0]
  const size = u32(1 + body.length + nops.length + 1)
  const large = new Uint8Array(before.length + 1 + size.length + 1 + body.length + nops.length + 1)
  large.set(before)
  large.set([10, ...size, 1, ...body], before.length)
  large.set(nops, before.length + 1 + size.length + 1 + body.length)
  large[large.length - 1] = 0x0b
  assert.match(refusal(large).message, /function of 4194306 bytes, where at most 4194304/)
})

Refusals('refuses a module that grows too much', () => {
  // A call of two bytes gives a hundred operands for branches of two bytes, each of which is charged by itself.
  const many = { results: Array(100).fill('i32'), body: Array(100).fill([0x41, 0]) }
  const branches = { body: Array(200).fill([0x10, 1, Array(100).fill([0x0d, 0])]) }
  const error = refusal(buildModule(command([], { functions: [many, ...Array(30).fill(branches)] })))
  assert.match(error.message, /grows to more than \d+ bytes/)
})

Refusals('refuses each module that is cut short', () => {
  const bytes = buildModule(
    command([0x02, 0x40, 0x41, 1, 0x0d, 0, 0x0b], {
      imports: [{ module: WASI_MODULE, name: 'proc_exit', params: ['i32'] }],
      tables: [[0x70, 0, 1]],
      globals: [[0x7f, 1, 0x41, 0, 0x0b]],
      elements: [[0, 0x41, 0, 0x0b, 1, 1]],
      data: [[0, 0x41, 0, 0x0b, 2, 1, 2]],
    }),
  )
  admit(bytes, { memoryBytes: MEMORY_BYTES })
  let refused = 0
  for (let length = 0; length < bytes.length; length++)
    try {
      admit(bytes.slice(0, length), { memoryBytes: MEMORY_BYTES })
    } catch (error) {
      assert.instance(error, Refused)
      refused++
    }
  // Only without its data section, the last one, is it a module still.
  assert.is(refused, bytes.length - 1)
})

Refusals.run()
