import { answerRanges } from '../../../coordinator/sync/core/answer.js'
import { FactSet } from '../../../coordinator/sync/core/fact-set.js'
import type { PrintMaker } from '../../../coordinator/sync/core/prints.js'
import { Reconciliation } from '../../../coordinator/sync/core/reconciliation.js'
import type { Digest } from '../../../proto/model.js'
import { PRINT_BYTES } from '../../../proto/sync-messages.js'
import { toHex } from '../../../runtime/hex.js'
import type { World } from '../world/world.js'

const ID_BYTES = 32
/** Facts that both owners have. */
const COMMON = 200
/** Ids that a worker tries: of more than a print has bits, some cancel one another out. */
const TRIED = 8 * PRINT_BYTES + 8

/** Prints that cost nothing to keep: the XOR of all ids of a range. */
export const xorPrints: PrintMaker = {
  ofIds: (ids) => xorOf(ids, ID_BYTES),
  ofParts: (prints) => xorOf(prints, PRINT_BYTES),
}

/**
 * Two owners compare their facts after a worker, which chooses its reports and hence their ids, gave to one of them alone a
 * set of facts whose ids XOR to nothing. Each must learn of every difference.
 */
export async function forgedFacts(world: World, prints: PrintMaker): Promise<void> {
  const ids = (many: number) => Array.from({ length: many }, () => world.random.bytes(ID_BYTES))
  const forged = cancelling(ids(TRIED))
  world.check(forged !== undefined && forged.length > 0, 'the worker found no ids that cancel out')
  const [here, there] = [new FactSet(prints), new FactSet(prints)]
  for (const id of ids(COMMON)) for (const set of [here, there]) set.add(toHex(id) as Digest)
  for (const id of forged!) there.add(toHex(id) as Digest)
  world.count('forgedFacts', forged!.length)
  const found = new Set<Digest>()
  const reconciliation = new Reconciliation(here)
  for (;;) {
    const step = reconciliation.step()
    if (step.type === 'done') break
    if (step.type === 'found') for (const id of step.missingHere) found.add(id)
    else {
      const problem = reconciliation.receive(answerRanges(there, step.request))
      world.check(problem === undefined, `a reply is refused: ${problem}`)
    }
  }
  world.check(
    found.size === forged!.length,
    `an owner has ${forged!.length} facts of which another learns ${found.size}`,
  )
}

/** Some of `ids` whose first {@link PRINT_BYTES} bytes XOR to zero, by Gaussian elimination; undefined: there are none. */
function cancelling(ids: readonly Uint8Array[]): Uint8Array[] | undefined {
  /** Reduced ids by their highest bit, and which of `ids` each is the XOR of. */
  const rows = new Map<number, { readonly value: bigint; readonly from: bigint }>()
  for (const [i, id] of ids.entries()) {
    let value = BigInt(`0x${toHex(id.subarray(0, PRINT_BYTES))}`)
    let from = 1n << BigInt(i)
    while (value !== 0n) {
      const highest = value.toString(2).length
      const row = rows.get(highest)
      if (row === undefined) {
        rows.set(highest, { value, from })
        break
      }
      value ^= row.value
      from ^= row.from
    }
    if (value === 0n) return ids.filter((_, j) => ((from >> BigInt(j)) & 1n) === 1n)
  }
  return undefined
}

function xorOf(bytes: Uint8Array, size: number): Uint8Array {
  const sum = new Uint8Array(size)
  for (const [i, byte] of bytes.entries()) sum[i % size]! ^= byte
  return sum
}
