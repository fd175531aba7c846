/** How a host call ends the whole program. */
export type StopReason =
  | { readonly type: 'exit'; readonly exitCode: number }
  /** Standard output and `/out` together passed their limit. */
  | { readonly type: 'output' }
  /** The fuel limit was passed. */
  | { readonly type: 'fuel' }

/**
 * Thrown through the program, which cannot catch it: admission refuses exception handling. Not an `Error`, as nobody
 * reads its stack.
 */
export class Stop {
  readonly reason: StopReason

  constructor(reason: StopReason) {
    this.reason = reason
  }
}
