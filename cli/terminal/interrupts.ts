import { stopOfMany } from '../../runtime/stop.js'

/** Ctrl-C and friends, as a command sees them: the first time, and the second. */
export class Interrupts {
  readonly #first = stopOfMany()
  readonly #second = stopOfMany()
  readonly #tidying = new Set<() => Promise<void>>()
  #left: Promise<void> | undefined

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

  /** Has `tidyUp` called before the process ends because nobody reads its output any more, until the result is called. */
  beforeLeaving(tidyUp: () => Promise<void>): () => void {
    this.#tidying.add(tidyUp)
    return () => void this.#tidying.delete(tidyUp)
  }

  /** Nobody reads what the command says any more. Resolves, never rejects, when it has tidied up. */
  readerLeft(): Promise<void> {
    this.#left ??= Promise.allSettled([...this.#tidying].map((tidyUp) => tidyUp())).then(() => {})
    return this.#left
  }
}

/** Resolves when `signal` aborts. */
export function aborting(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** The person at the keyboard ended the command. */
export class InterruptedError extends Error {
  constructor() {
    super('interrupted')
    this.name = 'InterruptedError'
  }
}
