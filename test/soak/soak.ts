/** A long run with real processes, for `npm run soak -- NAME`. */
export interface Soak {
  readonly name: string
  /** What it shows and how long it takes, in a line. */
  readonly summary: string
  /**
   * Runs it to its end with what stands behind its name on the command line. Prints what it measures. Rejects when
   * something is not as it must be; resolves with why when it cannot run on this machine.
   */
  readonly run: (args: readonly string[]) => Promise<{ readonly skipped: string } | undefined>
}

/** Prints a line with the time since the start of the process. */
export function say(text: string): void {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(7)} s  ${text}`)
}

/** A whole number of the command line, or `fallback`. @throws Error naming the option */
export function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} must be a whole number, not ${text}`)
  return value
}
