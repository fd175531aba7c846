import type { AcceptedOutput, Reduced } from '../task.js'

/** The sum of all counts, in decimal. Throws for an output that is no count. */
export async function reduce(outputs: AsyncIterable<AcceptedOutput>): Promise<Reduced> {
  const decoder = new TextDecoder()
  let total = 0n
  for await (const { unit, stdout } of outputs) {
    const text = decoder.decode(stdout.subarray(0, 64))
    if (!/^\d{1,20}\n$/.test(text)) throw new Error(`unit ${unit} did not print a count`)
    total += BigInt(text.trimEnd())
  }
  return { stdout: `${total}\n` }
}
