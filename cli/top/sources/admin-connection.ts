import type { AdminClient } from '../../../process/admin/admin-client.js'
import type { GridError } from '../../../runtime/errors.js'
import type { AdminSource } from './admin-source.js'

/** The admin socket of a process as the dashboard uses it. Closing it closes the client. */
export function adminConnection(client: AdminClient): AdminSource {
  return {
    watch: (everyMs, onState, signal) => until(signal, (onEnd) => client.watch(everyMs, onState, onEnd)),
    log: (past, onEntry, signal) => until(signal, (onEnd) => client.log(past, onEntry, onEnd)),
    pause: () => client.pause(0),
    resume: () => client.resume(),
    close: () => client.close(),
  }
}

/** Resolves when `signal` aborts, rejects when what was opened ends before. */
function until(signal: AbortSignal, open: (onEnd: (reason: GridError) => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = open(reject)
    const onAbort = () => {
      stop()
      resolve()
    }
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
  })
}
