/** Ctrl-C and friends, as a command sees them: the first time, and the second. */
export class Interrupts {
  readonly #first = new AbortController()
  readonly #second = new AbortController()

  /** Aborts at the first interrupt. */
  get first(): AbortSignal {
    return this.#first.signal
  }

  /** Aborts at the second interrupt. */
  get second(): AbortSignal {
    return this.#second.signal
  }

  /** An interrupt came. */
  raise(): void {
    if (this.#first.signal.aborted) this.#second.abort()
    else this.#first.abort()
  }
}

/** Resolves when `signal` aborts. */
export function aborting(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
