import { LocalServer } from '../../overlay/channel/grpc-local.js'
import type { ProcessState } from '../../proto/admin-messages.js'
import { methods } from '../../proto/methods.js'
import type { Clock, Timer } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { MessageStream } from '../../runtime/transport.js'
import type { Worker } from '../../worker/driver.js'
import type { LogRing } from './log-ring.js'

/** Streams of states and of log entries at a time. */
const STREAMS_MAX = 32

interface AdminParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly state: () => ProcessState
  readonly log: LogRing
  /** Undefined: the process computes nothing. */
  readonly worker: Worker | undefined
  /** The process is to finish what is in hand and end. */
  readonly drain: () => void
}

/** Serves the admin calls (`admin.proto`) of a process at `path`. */
export async function serveAdmin(path: string, parts: AdminParts): Promise<LocalServer> {
  const { clock, logger, log, drain } = parts
  const server = new LocalServer(clock, logger)
  const open = new Set<object>()
  const admit = (stream: Pick<MessageStream<never, never>, 'cancel' | 'onClose'>, onClosed: () => void): boolean => {
    if (open.size >= STREAMS_MAX) {
      stream.cancel(new GridError('quota', `at most ${STREAMS_MAX} programs can watch a process`))
      return false
    }
    open.add(stream)
    stream.onClose(() => {
      open.delete(stream)
      onClosed()
    })
    return true
  }
  server.handleStream(methods.adminWatch, (stream) => {
    let timer: Timer | undefined
    if (!admit(stream, () => timer?.cancel())) return
    stream.onMessage(({ everyMs }) => {
      timer?.cancel()
      const tell = () => {
        timer = clock.setTimer(everyMs, tell)
        // Whoever does not read gets the next one that it can take.
        if (stream.send(parts.state())) return
        timer.cancel()
        void stream.drained().then(() => {
          timer = clock.setTimer(everyMs, tell)
        })
      }
      tell()
    })
  })
  server.handleStream(methods.adminLog, (stream) => {
    let stop: () => void = () => {}
    if (!admit(stream, () => stop())) return
    stream.onMessage(({ past }) => {
      stop()
      for (const entry of log.past(past)) stream.send(entry)
      stop = log.follow((entry) => void stream.send(entry))
    })
  })
  server.handleUnary(methods.adminPrefer, async ({ values }) => ({
    preferences: await governorOf(parts).set(values),
  }))
  server.handleUnary(methods.adminPause, ({ forMs }) => {
    governorOf(parts).pause(forMs)
    return {}
  })
  server.handleUnary(methods.adminResume, () => {
    governorOf(parts).resume()
    return {}
  })
  server.handleUnary(methods.adminDrain, () => {
    drain()
    return {}
  })
  await server.listen(path)
  return server
}

function governorOf({ worker }: AdminParts): Worker['governor'] {
  if (worker === undefined)
    throw new GridError('unavailable', 'this process computes nothing: it was started with no threads')
  return worker.governor
}
