import { parseArgs } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { i64, text, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { admit, functionNames, Refused, WASI_MODULE } from '../../../../sandbox/admission/index.js'
import { engine } from '../../../../sandbox/engine.js'
import { type Bytes, buildModule, command, f64 } from '../../../support/compute/wasm-builder.js'
import { seededRandom } from '../../../support/seeded-random.js'

/*
 * Mutated modules: whatever the bytes, the pass refuses or admits, and what it admits of a valid module is valid.
 * For more than the few thousand of each test run: node dist/test/unit/sandbox/admission/fuzz.test.js --mutants 1000000 --seed 7
 */
const { values } = parseArgs({
  options: { mutants: { type: 'string', default: '6000' }, seed: { type: 'string', default: '1' } },
  strict: false,
})
const MUTANTS = Number(values.mutants)
const SEED = Number(values.seed)
const MEMORY_BYTES = 64 * 65_536

const condition = [0x20, 0, 0x41, 1, 0x71]

/** Something of each kind that is admitted. */
function original(): Uint8Array {
  const body: Bytes = [
    [0x02, 0x40, 0x03, 0x40, 0x20, 0, 0x41, 1, 0x6a, 0x22, 0, 0x41, 9, 0x4a, 0x0d, 1, 0x0c, 0, 0x0b, 0x0b],
    [condition, 0x04, 0x7f, 0x41, 1, 0x05, 0x10, 3, 0x0b, 0x21, 0],
    [0x02, 0x40, 0x02, 0x40, condition, 0x0e, 2, 0, 1, 0, 0x0b, 0x0b],
    [0x41, 8, 0x20, 1, 0x44, f64(0n), 0xa3, 0x9a, 0x39, 3, 0, 0x20, 1, 0xbd, 0x1a],
    [0x41, 0, 0x41, 1, 0x41, 4, 0xfc, 11, 0, 0x41, 1, 0x40, 0, 0x1a, 0x3f, 0, 0x1a],
    [0x41, 0, 0x11, 1, 0, 0x1a, i64(77n), 0xa7, 0x21, 0, 0x23, 0, 0x41, 1, 0x6a, 0x24, 0],
    [0x41, 3, 0x03, 2, 0x41, 1, 0x6b, 0x22, 0, 0x20, 0, 0x0d, 0, 0x0b, 0x1a],
    [0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 8, 0, 0, 0x41, 0, 0xd2, 3, 0x26, 0, 0xd0, 0x70, 0xd1, 0x1a],
    [condition, 0x04, 0x40, 0x0f, 0x0b, 0x41, 1, 0x41, 2, 0x20, 0, 0x1b, 0x1a, 0x10, 4, 0x6a, 0x1a, 0x00],
  ]
  return buildModule(
    command(body, {
      types: [
        [0x60, 0, 0],
        [0x60, 0, 1, 0x7f],
        [0x60, 1, 0x7f, 1, 0x7f],
      ],
      imports: [
        { module: WASI_MODULE, name: 'fd_close', params: ['i32'], results: ['i32'] },
        { module: WASI_MODULE, name: 'proc_exit', params: ['i32'] },
      ],
      locals: [
        [1, 'i32'],
        [1, 'f64'],
      ],
      functions: [
        { results: ['i32'], locals: [[2, 'i64']], body: [0x41, 5, 0x10, 0] },
        { results: ['i32', 'i32'], body: [0x41, 1, 0x41, 2, 0x0f] },
      ],
      tables: [[0x70, 1, 3, 9]],
      globals: [
        [0x7f, 1, 0x41, 5, 0x0b],
        [0x70, 0, 0xd2, 3, 0x0b],
      ],
      elements: [
        [0, 0x41, 0, 0x0b, 1, 3],
        [5, 0x70, 1, 0xd2, 4, 0x0b],
        [3, 0, 1, 3],
      ],
      dataCount: 2,
      data: [
        [1, 2, 1, 2],
        [0, 0x41, 4, 0x0b, 3, 1, 2, 3],
      ],
      extra: { 99: [[0, [text('name'), 1, u32(7), 1, 2, text('main')]]] },
    }),
  )
}

const Fuzz = suite('admit, of mutated modules')

Fuzz('admits the original, and its result is valid', () => {
  const module = original()
  assert.ok(engine.validate(module))
  assert.ok(engine.validate(admit(module, { memoryBytes: MEMORY_BYTES }).bytes))
})

Fuzz(`refuses or admits, and keeps valid what is valid (${MUTANTS} mutants, --seed ${SEED})`, () => {
  const random = seededRandom(SEED)
  const module = original()
  const counts = { refused: 0, valid: 0, invalid: 0 }
  for (let mutant = 0; mutant < MUTANTS; mutant++) {
    const bytes = mutate(module, random)
    const at = `mutant ${mutant} of seed ${SEED}: ${bytes.join()}`
    functionNames(bytes)
    let admitted: Uint8Array
    try {
      admitted = admit(bytes, { memoryBytes: MEMORY_BYTES }).bytes
    } catch (error) {
      assert.instance(error, Refused, `${String(error)}, ${at}`)
      counts.refused++
      continue
    }
    if (engine.validate(bytes)) {
      assert.ok(engine.validate(admitted), at)
      counts.valid++
    } else counts.invalid++
  }
  // The mutants are near enough to a module that all of this is seen.
  for (const [what, count] of Object.entries(counts)) assert.ok(count > MUTANTS / 50, `${what}: ${count}`)
})

/** One to three bytes changed, put in, taken out or copied from elsewhere. */
function mutate(module: Uint8Array, random: ReturnType<typeof seededRandom>): Uint8Array {
  const bytes = [...module]
  for (let left = 1 + random.int(3); left > 0; left--) {
    const at = 8 + random.int(bytes.length - 8)
    const kind = random.int(10)
    if (kind < 5) bytes[at] = random.int(256)
    else if (kind < 7) bytes[at] = (bytes[at]! + (random.int(2) === 0 ? 1 : 255)) & 255
    else if (kind === 7) bytes[at] = bytes[random.int(bytes.length)]!
    else if (kind === 8) bytes.splice(at, 1)
    else bytes.splice(at, 0, random.int(256))
  }
  return Uint8Array.from(bytes)
}

Fuzz.run()
