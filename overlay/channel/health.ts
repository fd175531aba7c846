import protobuf from 'protobufjs'
import { GridError } from '../../runtime/errors.js'
import type { Codec, StreamMethod, Transport, UnaryMethod } from '../../runtime/transport.js'

/** `HealthCheckResponse.ServingStatus` of `proto/grpc/health/v1/health.proto`. */
type HealthStatus = 'unknown' | 'serving' | 'notServing' | 'serviceUnknown'

const STATUSES: readonly HealthStatus[] = ['unknown', 'serving', 'notServing', 'serviceUnknown']
const SERVICE_NAME_MAX = 256

/** Service name asked for; empty for the node as a whole. */
const request: Codec<string> = {
  encode: (service) => {
    const writer = protobuf.Writer.create()
    if (service !== '') writer.uint32(10).string(service)
    return writer.finish()
  },
  decode: (bytes) => {
    let service = ''
    readFields(bytes, (field, wire, reader) => {
      if (field !== 1 || wire !== 2) return false
      service = reader.string()
      return true
    })
    if (service.length > SERVICE_NAME_MAX) throw new GridError('invalid', 'the service name is too long')
    return service
  },
}

const response: Codec<HealthStatus> = {
  encode: (status) => protobuf.Writer.create().uint32(8).int32(STATUSES.indexOf(status)).finish(),
  decode: (bytes) => {
    let value = 0
    readFields(bytes, (field, wire, reader) => {
      if (field !== 1 || wire !== 0) return false
      value = reader.int32()
      return true
    })
    return STATUSES[value] ?? 'unknown'
  },
}

/** `grpc.health.v1.Health/Check`. */
export const healthCheck: UnaryMethod<string, HealthStatus> = {
  path: '/grpc.health.v1.Health/Check',
  request,
  response,
}

/** `grpc.health.v1.Health/Watch`. */
export const healthWatch: StreamMethod<string, HealthStatus> = {
  path: '/grpc.health.v1.Health/Watch',
  up: request,
  down: response,
}

/** Answers the standard health calls: a node that answers serves, and has no other services by name. */
export function handleHealth(transport: Transport): void {
  transport.handleUnary(healthCheck, (service) => {
    if (service !== '') throw new GridError('notFound', 'this node has no service of that name')
    return 'serving'
  })
  transport.handleStream(healthWatch, (stream) => {
    stream.onMessage((service) => {
      stream.send(service === '' ? 'serving' : 'serviceUnknown')
    })
  })
}

/** Walks over the fields of a message, skipping those that `take` does not know. Throws GridError `invalid` for broken bytes. */
function readFields(bytes: Uint8Array, take: (field: number, wire: number, reader: protobuf.Reader) => boolean): void {
  try {
    const reader = protobuf.Reader.create(bytes)
    while (reader.pos < reader.len) {
      const tag = reader.uint32()
      if (!take(tag >>> 3, tag & 7, reader)) reader.skipType(tag & 7)
    }
  } catch (cause) {
    throw new GridError('invalid', 'the message is not protobuf', { cause })
  }
}
