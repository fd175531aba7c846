import { LocalClient } from '../../overlay/channel/grpc-local.js'
import type { LogEntry, PreferenceValue, PreferRequest, ProcessState } from '../../proto/admin-messages.js'
import { methods } from '../../proto/methods.js'
import type { Millis } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import { type Logger, silentLogger } from '../../runtime/logger.js'
import type { MessageStream } from '../../runtime/transport.js'

/** Time for a process to answer on its socket. Unit: ms. */
const CALL_MS: Millis = 10_000

/** The way to a process of this machine through its admin socket. */
export class AdminClient {
  readonly #client: LocalClient

  constructor(path: string, logger: Logger = silentLogger) {
    this.#client = new LocalClient(path, logger)
  }

  /**
   * Calls `onState` with the state now and then at least `everyMs` apart, until the result is called. `onEnd`: why no more
   * will come; not called after the result was.
   */
  watch(everyMs: Millis, onState: (state: ProcessState) => void, onEnd: (reason: GridError) => void): () => void {
    return this.#follow(this.#client.open(methods.adminWatch), { everyMs }, onState, onEnd)
  }

  /** The same with the log, beginning with `past` entries of it. */
  log(past: number, onEntry: (entry: LogEntry) => void, onEnd: (reason: GridError) => void): () => void {
    return this.#follow(this.#client.open(methods.adminLog), { past }, onEntry, onEnd)
  }

  /** One state. Rejects with GridError `unreachable`, `timeout`. */
  state(): Promise<ProcessState> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => {
        stop()
        reject(new GridError('timeout', 'the process did not answer on its admin socket'))
      }, CALL_MS)
      const stop = this.watch(
        60_000,
        (state) => {
          clearTimeout(deadline)
          stop()
          resolve(state)
        },
        (reason) => {
          clearTimeout(deadline)
          reject(reason)
        },
      )
    })
  }

  /** Sets preferences until the process ends; gives all that hold. Rejects with GridError `invalid`, and then none is set. */
  async prefer(values: PreferRequest['values']): Promise<readonly PreferenceValue[]> {
    return (await this.#client.call(methods.adminPrefer, { values }, { deadlineMs: CALL_MS })).preferences
  }

  /** Stops computing. `forMs` 0: until {@link resume}. Rejects with GridError `unavailable` where nothing computes. */
  async pause(forMs: Millis): Promise<void> {
    await this.#client.call(methods.adminPause, { forMs }, { deadlineMs: CALL_MS })
  }

  async resume(): Promise<void> {
    await this.#client.call(methods.adminResume, {}, { deadlineMs: CALL_MS })
  }

  /** Has the process finish what is in hand and end. Resolves when it has begun to. */
  async drain(): Promise<void> {
    await this.#client.call(methods.adminDrain, {}, { deadlineMs: CALL_MS })
  }

  /** Safe to call twice. */
  close(): void {
    this.#client.close()
  }

  #follow<Request, Message>(
    stream: MessageStream<Message, Request>,
    request: Request,
    onMessage: (message: Message) => void,
    onEnd: (reason: GridError) => void,
  ): () => void {
    let over = false
    stream.onMessage((message) => {
      if (!over) onMessage(message)
    })
    stream.onClose((reason) => {
      if (!over) onEnd(reason instanceof GridError ? reason : new GridError('closed', 'the process has ended'))
    })
    stream.send(request)
    return () => {
      over = true
      stream.cancel()
    }
  }
}
