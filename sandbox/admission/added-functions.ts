import { addedGlobals, type ModuleShape, refuelIndex } from './module-shape.js'
import { OP } from './opcodes.js'
import { VALUE_TYPE } from './types.js'
import { Writer } from './writer.js'

/** Fuel for a page of memory: to give it out, the host fills 64 KiB with zeros. As a power of two. */
const FUEL_A_PAGE_LOG2 = 12

/**
 * The memory really grows by an eighth at least, as a power of two: engines collect garbage when it does, so the steps are
 * to be few, and an eighth costs a host little that the program never touches (`docs/decisions/0016`).
 */
const GROWTH_LOG2 = 3

const NO_VALUES = 0x40

/**
 * The functions that the pass adds behind the program's own, as entries of a code section:
 * - more fuel: (fuel at hand) -> (fuel at hand). Calls `grid.refuel` and adds what that gives to the global too. The global
 *   may be behind the local when fuel runs out; with both moved by the same amount, the fuel used is the same for every
 *   size of the portions, also where a trap ends the unit before the global is brought up to date.
 * - grow: (pages) -> (pages before, or -1). The program knows of the pages that it asked for, counted in a global; the memory
 *   may have more, so that it really grows a few times only. `memory.grow` may fail whenever the host is short of memory, so
 *   the cap is looked at here: beyond it the answer is -1 and costs nothing, below it the pages are charged. Should the engine
 *   fail nevertheless, `grid_starved` is set and this is the trap: a smaller step would make the memory's size the host's choice.
 */
export function addedFunctions(shape: ModuleShape): Uint8Array[] {
  return [moreFuel(shape), grow(shape)]
}

/** Types of the added functions, by the order of {@link addedFunctions}, as distances from `shape.addedTypes`. */
export const ADDED_FUNCTION_TYPES = [0, 1] as const

function moreFuel(shape: ModuleShape): Uint8Array {
  const { fuel } = addedGlobals(shape)
  const body = new Writer()
  locals(body, [VALUE_TYPE.i64])
  at(body, OP.localGet, 0)
  at(body, OP.call, refuelIndex(shape))
  at(body, OP.localTee, 1)
  at(body, OP.localGet, 0)
  body.byte(OP.i64Sub)
  at(body, OP.globalGet, fuel)
  body.byte(OP.i64Add)
  at(body, OP.globalSet, fuel)
  at(body, OP.localGet, 1)
  body.byte(OP.end)
  return body.view()
}

/** Local variables of the grow function: its parameter, and i32 of its own. */
const PAGES = 0
const AFTER = 1
const MISSING = 2
const STEP = 3
const ROOM = 4

function grow(shape: ModuleShape): Uint8Array {
  const { fuel, starved, pages } = addedGlobals(shape)
  const body = new Writer()
  locals(body, [VALUE_TYPE.i32, VALUE_TYPE.i32, VALUE_TYPE.i32, VALUE_TYPE.i32])
  // pages asked for + pages known > cap: -1
  wide(body, PAGES)
  at(body, OP.globalGet, pages)
  body.byte(OP.i64ExtendI32U)
  body.byte(OP.i64Add)
  body.byte(OP.i64Const)
  body.s32(shape.memoryPages.max)
  body.byte(OP.i64GtU)
  open(body)
  number(body, -1)
  body.byte(OP.return)
  body.byte(OP.end)
  // charge the pages, and check
  at(body, OP.globalGet, fuel)
  wide(body, PAGES)
  body.byte(OP.i64Const)
  body.byte(FUEL_A_PAGE_LOG2)
  body.byte(OP.i64Shl)
  body.byte(OP.i64Sub)
  at(body, OP.globalSet, fuel)
  at(body, OP.globalGet, fuel)
  body.byte(OP.i64Const)
  body.byte(0)
  body.byte(OP.i64LtS)
  open(body)
  at(body, OP.globalGet, fuel)
  at(body, OP.call, refuelIndex(shape))
  at(body, OP.globalSet, fuel)
  body.byte(OP.end)
  // more than is there: really grow
  at(body, OP.globalGet, pages)
  at(body, OP.localGet, PAGES)
  body.byte(OP.i32Add)
  at(body, OP.localTee, AFTER)
  at(body, OP.memorySize, 0)
  body.byte(OP.i32Sub)
  at(body, OP.localTee, MISSING)
  number(body, 0)
  body.byte(OP.i32GtS)
  open(body)
  growMemory(body, shape.memoryPages.max, starved)
  body.byte(OP.end)
  at(body, OP.globalGet, pages)
  at(body, OP.localGet, AFTER)
  at(body, OP.globalSet, pages)
  body.byte(OP.end)
  return body.view()
}

/** Gives the memory the pages in MISSING at least; a failure is the host's. */
function growMemory(body: Writer, max: number, starved: number): void {
  // What is missing, or an eighth of what is there, if that is more
  at(body, OP.localGet, MISSING)
  at(body, OP.memorySize, 0)
  number(body, GROWTH_LOG2)
  body.byte(OP.i32ShrU)
  at(body, OP.localTee, STEP)
  at(body, OP.localGet, MISSING)
  at(body, OP.localGet, STEP)
  body.byte(OP.i32GtS)
  body.byte(OP.select)
  at(body, OP.localSet, STEP)
  // ... but not beyond the cap
  number(body, max)
  at(body, OP.memorySize, 0)
  body.byte(OP.i32Sub)
  at(body, OP.localTee, ROOM)
  at(body, OP.localGet, STEP)
  at(body, OP.localGet, ROOM)
  at(body, OP.localGet, STEP)
  body.byte(OP.i32LtS)
  body.byte(OP.select)
  at(body, OP.memoryGrow, 0)
  number(body, -1)
  body.byte(OP.i32Eq)
  open(body)
  number(body, 1)
  at(body, OP.globalSet, starved)
  body.byte(OP.unreachable)
  body.byte(OP.end)
}

function locals(body: Writer, types: readonly number[]): void {
  body.u32(types.length)
  for (const type of types) {
    body.byte(1)
    body.byte(type)
  }
}

/** An instruction with one index. */
function at(body: Writer, op: number, index: number): void {
  body.byte(op)
  body.u32(index)
}

/** Local `index`, an i32, as an unsigned i64. */
function wide(body: Writer, index: number): void {
  at(body, OP.localGet, index)
  body.byte(OP.i64ExtendI32U)
}

function open(body: Writer): void {
  body.byte(OP.if)
  body.byte(NO_VALUES)
}

function number(body: Writer, value: number): void {
  body.byte(OP.i32Const)
  body.s32(value)
}
