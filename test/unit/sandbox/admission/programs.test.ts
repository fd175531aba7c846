import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { i32, u32 } from '../../../../cli/sandbox-check/assemble.js'
import { admit } from '../../../../sandbox/admission/index.js'
import { runAdmitted } from '../../../support/compute/run-admitted.js'
import { type Bytes, buildModule, command } from '../../../support/compute/wasm-builder.js'

/*
 * Random programs of blocks, loops and branches, compared with an interpreter that walks the same tree: same result, and
 * fuel that is the number of instructions it executes. So inserted code changes nothing, and no label is off by one.
 */

/** Locals 0 to 3 are the program's; each loop counts in one of its own behind them. */
const LOCALS = 4

type Statement =
  | { readonly tag: 'add'; readonly local: number; readonly value: number }
  | { readonly tag: 'block'; readonly body: readonly Statement[] }
  | { readonly tag: 'loop'; readonly times: number; readonly body: readonly Statement[] }
  | {
      readonly tag: 'if'
      readonly local: number
      readonly yes: readonly Statement[]
      readonly no: readonly Statement[] | undefined
    }
  | { readonly tag: 'br' | 'brIf'; readonly local: number; readonly label: number }
  | { readonly tag: 'brTable'; readonly local: number; readonly labels: readonly number[] }
  | { readonly tag: 'return' | 'call' }

const local = fc.nat(LOCALS - 1)
const label = fc.nat(6)

const { statements } = fc.letrec<{ statement: Statement; statements: readonly Statement[] }>((tie) => ({
  statements: fc.array(tie('statement'), { maxLength: 4 }),
  statement: fc.oneof(
    { depthSize: 'medium', maxDepth: 5 },
    fc.record({ tag: fc.constant('add' as const), local, value: fc.integer({ min: -3, max: 9 }) }),
    fc.record({ tag: fc.constant('brIf' as const), local, label }),
    fc.record({ tag: fc.constant('br' as const), local, label }),
    fc.record({ tag: fc.constant('brTable' as const), local, labels: fc.array(label, { minLength: 1, maxLength: 4 }) }),
    fc.record({ tag: fc.constantFrom('return' as const, 'call' as const, 'call' as const) }),
    fc.record({ tag: fc.constant('block' as const), body: tie('statements') }),
    fc.record({ tag: fc.constant('loop' as const), times: fc.nat(3), body: tie('statements') }),
    fc.record({
      tag: fc.constant('if' as const),
      local,
      yes: tie('statements'),
      no: fc.option(tie('statements'), { nil: undefined }),
    }),
  ),
}))

/** Labels stay within the blocks that are open; the outermost is the function, left by `return` alone. */
const within = (wanted: number, open: number) => wanted % open

/** Bytes of `body`, `open` labels deep. Gives each loop a counter. */
function compile(body: readonly Statement[], open: number, counters: { count: number }): Bytes {
  return body.map((statement) => compileOne(statement, open, counters))
}

function compileOne(statement: Statement, open: number, counters: { count: number }): Bytes {
  switch (statement.tag) {
    case 'add':
      return [0x20, statement.local, i32(statement.value), 0x6a, 0x21, statement.local]
    case 'block':
      return [0x02, 0x40, compile(statement.body, open + 1, counters), 0x0b]
    case 'loop': {
      const counter = u32(LOCALS + counters.count++)
      const inside = compile(statement.body, open + 2, counters)
      const head = [0x20, counter, 0x41, 1, 0x6a, 0x22, counter, i32(statement.times), 0x4a, 0x0d, 1]
      return [0x41, 0, 0x21, counter, 0x02, 0x40, 0x03, 0x40, head, inside, 0x0c, 0, 0x0b, 0x0b]
    }
    case 'if': {
      const no = statement.no === undefined ? [] : [0x05, compile(statement.no, open + 1, counters)]
      const yes = compile(statement.yes, open + 1, counters)
      return [0x20, statement.local, 0x41, 1, 0x71, 0x04, 0x40, yes, no, 0x0b]
    }
    case 'br':
      return [0x0c, within(statement.label, open)]
    case 'brIf':
      return [0x20, statement.local, 0x41, 1, 0x71, 0x0d, within(statement.label, open)]
    case 'brTable': {
      const labels = statement.labels.map((wanted) => within(wanted, open))
      return [0x20, statement.local, 0x41, 3, 0x71, 0x0e, u32(labels.length - 1), labels]
    }
    case 'return':
      return [0x20, 0, 0x0f]
    case 'call':
      return [0x20, 0, 0x10, 2, 0x21, 0]
  }
}

/** Executes the tree, counting instructions. */
class Interpreter {
  readonly locals = new Int32Array(LOCALS)
  count = 0

  /** The label to which control goes, `return`, or undefined where it comes to the end. */
  run(body: readonly Statement[], open: number): number | 'return' | undefined {
    for (const statement of body) {
      const goes = this.#step(statement, open)
      if (goes !== undefined) return goes
    }
    return undefined
  }

  #step(statement: Statement, open: number): number | 'return' | undefined {
    const { locals } = this
    switch (statement.tag) {
      case 'add':
        this.count += 4
        locals[statement.local]! += statement.value
        return undefined
      case 'block':
        this.count++
        return this.#outOf(this.run(statement.body, open + 1))
      case 'loop':
        this.count += 3 // const, local.set, block
        for (let round = 1; ; round++) {
          this.count += 8 // loop and its head
          if (round > statement.times) return this.#outOf(0)
          const goes = this.run(statement.body, open + 2)
          if (goes === undefined) this.count++
          else if (goes !== 0) return this.#outOf(goes === 'return' ? goes : goes - 1)
        }
      case 'if': {
        this.count += 4
        const taken = (locals[statement.local]! & 1) === 1
        const goes = this.run(taken ? statement.yes : (statement.no ?? []), open + 1)
        if (taken && statement.no !== undefined && goes === undefined) {
          this.count++ // the else, which ends the first branch
          return undefined
        }
        return !taken && statement.no === undefined ? undefined : this.#outOf(goes)
      }
      case 'br':
        this.count++
        return within(statement.label, open)
      case 'brIf':
        this.count += 4
        return (locals[statement.local]! & 1) === 1 ? within(statement.label, open) : undefined
      case 'brTable': {
        this.count += 4
        const { labels } = statement
        const index = Math.min(locals[statement.local]! & 3, labels.length - 1)
        return within(labels[index]!, open)
      }
      case 'return':
        this.count += 2
        return 'return'
      case 'call':
        this.count += 3 + 4 // and what is called
        locals[0]! += 1
        return undefined
    }
  }

  /** A block is left: by its `end`, which counts, or by a branch. */
  #outOf(goes: number | 'return' | undefined): number | 'return' | undefined {
    if (goes === undefined) this.count++
    return goes === undefined || goes === 0 ? undefined : goes === 'return' ? goes : goes - 1
  }
}

function check(body: readonly Statement[], portion: bigint): void {
  const interpreter = new Interpreter()
  // One block around all, so that there is a label to go to.
  interpreter.count++
  const goes = interpreter.run(body, 1)
  if (goes === undefined) interpreter.count++
  if (goes !== 'return') interpreter.count += 2 // local.get, end
  interpreter.count += 4 // _start
  const counters = { count: 0 }
  const code = [0x02, 0x40, compile(body, 1, counters), 0x0b, 0x20, 0]
  const module = buildModule(
    command([0x41, 0, 0x10, 1, 0x36, 2, 0], {
      functions: [
        { results: ['i32'], locals: [[LOCALS + counters.count, 'i32']], body: code },
        { params: ['i32'], results: ['i32'], body: [0x20, 0, 0x41, 1, 0x6a] },
      ],
    }),
  )
  const { bytes } = admit(module, { memoryBytes: 2 ** 20 })
  const { error, fuel, memory, depth } = runAdmitted(bytes, { portion })
  assert.is(error, undefined)
  assert.is(memory.getInt32(0, true), interpreter.locals[0])
  assert.is(fuel, BigInt(interpreter.count))
  assert.is(depth, 60_000)
}

const Programs = suite('instrumented programs')

Programs('compute what they computed, and their fuel is the number of instructions executed', () => {
  fc.assert(
    fc.property(statements, fc.bigInt(1n, 200n), (body, portion) => check(body, portion)),
    { numRuns: 1_000 },
  )
})

Programs.run()
