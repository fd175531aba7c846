import type { AcceptedOutput, Reduced } from '../task.js'

/** First line of the result: the names of the fields. */
const HEADER = 'query\ttarget\tscore\tquery_start\tquery_end\ttarget_start\ttarget_end\n'

/** The hits of all units in their order, below a line that names the fields. */
export async function reduce(outputs: AsyncIterable<AcceptedOutput>): Promise<Reduced> {
  const parts: Uint8Array[] = [new TextEncoder().encode(HEADER)]
  let length = parts[0]!.length
  for await (const { stdout } of outputs) {
    parts.push(stdout)
    length += stdout.length
  }
  const joined = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return { stdout: joined }
}
