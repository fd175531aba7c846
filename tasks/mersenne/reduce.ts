import type { AcceptedOutput, Reduced } from '../task.js'

/** The lines of all units, and a last line with the exponents of the Mersenne primes among them, as they came. */
export async function reduce(outputs: AsyncIterable<AcceptedOutput>): Promise<Reduced> {
  const decoder = new TextDecoder()
  const lines: string[] = []
  const primes: string[] = []
  for await (const { unit, stdout } of outputs) {
    for (const line of decoder.decode(stdout).split('\n')) {
      if (line === '') continue
      const found = /^(\d+) (?:PRIME|COMPOSITE|SKIPPED) ./.exec(line)
      if (found === null) throw new Error(`unit ${unit} did not print a table of exponents`)
      lines.push(line)
      if (line.includes(' PRIME ')) primes.push(found[1]!)
    }
  }
  lines.push(
    primes.length === 0 ? 'Mersenne primes: none' : `Mersenne primes: ${primes.length}, exponents ${primes.join(' ')}`,
  )
  return { stdout: `${lines.join('\n')}\n` }
}
