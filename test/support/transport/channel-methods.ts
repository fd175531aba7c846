import { utf8 } from '../../../runtime/hex.js'
import type { Codec, StreamMethod, Transport, UnaryMethod } from '../../../runtime/transport.js'

/*
 * What tests of a channel say over it: a question, an echo, and as much as it carries one way or the other.
 */

const text: Codec<string> = { encode: utf8, decode: (bytes) => new TextDecoder().decode(bytes) }
const blob: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }
/** Answers with the node id of whoever asks. */
export const whoAmI: UnaryMethod<string, string> = { path: '/test.Attack/WhoAmI', request: text, response: text }
export const echo: StreamMethod<string, string> = { path: '/test.Attack/Echo', up: text, down: text }
export const flood: StreamMethod<string, Uint8Array> = { path: '/test.Attack/Flood', up: text, down: blob }
export const gulp: StreamMethod<Uint8Array, string> = { path: '/test.Attack/Gulp', up: blob, down: text }
export const SOON = { deadlineMs: 5_000 }

/** Answers {@link whoAmI} and {@link echo}. */
export const serve = (transport: Transport) => {
  transport.handleUnary(whoAmI, (_, caller) => caller.nodeId)
  transport.handleStream(echo, (stream) => {
    stream.onMessage((message) => stream.send(message))
    stream.onEnd(() => stream.end())
    stream.onClose(() => {})
  })
}
