import { appendFileSync } from 'node:fs'
import { GrpcTransport } from '../../../overlay/channel/grpc-transport.js'
import { grantCodec } from '../../../proto/codec/facts.js'
import { methods } from '../../../proto/methods.js'
import type { JobId, PublicKey } from '../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/work-messages.js'
import type { MessageStream, StreamHandler, StreamMethod } from '../../../runtime/transport.js'

/** One run of units as an owner granted it. */
export interface GrantedRun {
  readonly atMs: number
  readonly jobId: JobId
  readonly shard: number
  readonly first: number
  readonly count: number
  readonly opinion: number
  /** Name of the process. */
  readonly owner: string
  readonly worker: PublicKey
}

/**
 * Stands between an owner of this process and its workers, from the outside: writes down each grant as it is sent, and can
 * make the owner one that answers everything and grants nothing, by never letting it hear that a worker wants something.
 */
export class GrantTap {
  readonly #file: string
  readonly #owner: string
  readonly #streams = new Set<{ wanted: number; say: (message: WorkerMessage) => void }>()
  #refuses = false

  /** Must be made before the transport is. Every grant is appended to `file` as one of `owner`, a name without blanks. */
  constructor(file: string, owner: string) {
    this.#file = file
    this.#owner = owner
    const tap = this
    const handleStream = GrpcTransport.prototype.handleStream
    GrpcTransport.prototype.handleStream = function <Up, Down>(
      this: GrpcTransport,
      method: StreamMethod<Up, Down>,
      handler: StreamHandler<Up, Down>,
    ) {
      if (method.path !== methods.work.path) return handleStream.call(this, method as never, handler as never)
      const tapped = (stream: MessageStream<WorkerMessage, OwnerMessage>) =>
        (handler as unknown as StreamHandler<WorkerMessage, OwnerMessage>)(tap.#tapped(stream))
      return handleStream.call(this, method as never, tapped as never)
    }
  }

  /** Whether the owner is kept from granting. */
  refuse(refuses: boolean): void {
    this.#refuses = refuses
    for (const { wanted, say } of this.#streams) say({ type: 'want', instances: refuses ? 0 : wanted })
  }

  #tapped(stream: MessageStream<WorkerMessage, OwnerMessage>): MessageStream<WorkerMessage, OwnerMessage> {
    const known = { wanted: 0, say: (_message: WorkerMessage) => {} }
    this.#streams.add(known)
    return {
      caller: stream.caller,
      send: (message) => {
        if (message.type === 'grant') this.#note(message.grant.bytes)
        return stream.send(message)
      },
      drained: () => stream.drained(),
      pause: (paused) => stream.pause(paused),
      onMessage: (handler) => {
        known.say = handler
        stream.onMessage((message) => {
          if (message.type === 'want') known.wanted = message.instances
          handler(message.type === 'want' && this.#refuses ? { type: 'want', instances: 0 } : message)
        })
      },
      onClose: (handler) =>
        stream.onClose((reason) => {
          this.#streams.delete(known)
          handler(reason)
        }),
      onEnd: (handler) => stream.onEnd(handler),
      end: () => stream.end(),
      cancel: (reason) => stream.cancel(reason),
    }
  }

  #note(bytes: Uint8Array): void {
    const { jobId, shard, worker, runs } = grantCodec.decode(bytes)
    const atMs = Date.now()
    const lines = runs.map(({ first, count, opinion }) =>
      [atMs, jobId, shard, first, count, opinion, this.#owner, worker].join(' '),
    )
    appendFileSync(this.#file, `${lines.join('\n')}\n`)
  }
}

/** A line of the file as it was written. */
export function parseGrantedRun(line: string): GrantedRun {
  const [atMs, jobId, shard, first, count, opinion, owner, worker] = line.split(' ')
  return {
    atMs: Number(atMs),
    jobId: jobId as JobId,
    shard: Number(shard),
    first: Number(first),
    count: Number(count),
    opinion: Number(opinion),
    owner: owner ?? '',
    worker: worker as PublicKey,
  }
}
