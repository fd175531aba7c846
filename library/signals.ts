import { aborted } from '../client/session/session.js'
import { stopOfMany } from '../runtime/stop.js'

/** One signal out of several, let go of when the thing it is for is over. */
export interface LinkedSignal {
  readonly signal: AbortSignal
  /** Rejects with GridError `closed` once one of them aborts; never resolves. */
  readonly aborted: Promise<never>
  /** Stops listening. Safe to call twice. */
  release(): void
}

/** A signal that aborts when any of `signals` does. Unlike `AbortSignal.any` it is there in every Node 20, and leaves no listener behind. */
export function linkedSignal(...signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = stopOfMany()
  const given = signals.filter((signal) => signal !== undefined)
  const abort = () => controller.abort()
  const stopped = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(aborted()), { once: true })
  })
  // Not everybody waits for it.
  stopped.catch(() => {})
  for (const signal of given) {
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  }
  return {
    signal: controller.signal,
    aborted: stopped,
    release: () => {
      for (const signal of given) signal.removeEventListener('abort', abort)
    },
  }
}
