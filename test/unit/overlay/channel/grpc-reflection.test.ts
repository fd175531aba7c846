import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import protobuf from 'protobufjs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { GridError } from '../../../../runtime/errors.js'
import type { Codec, StreamMethod } from '../../../../runtime/transport.js'
import { deadline } from '../../../support/deadline.js'
import { GrpcNodes } from '../../../support/transport/grpc-nodes.js'

const test = suite('reflection')

/** The reflection protocol as its package ships it. */
const root = new protobuf.Root()
const packageFile = createRequire(import.meta.url).resolve('@grpc/reflection/package.json')
root.loadSync(join(dirname(packageFile), 'build/proto/grpc/reflection/v1/reflection.proto'))

function codec(name: string): Codec<Record<string, unknown>> {
  const type = root.lookupType(`grpc.reflection.v1.${name}`)
  return {
    encode: (value) => type.encode(value).finish(),
    decode: (bytes) => type.toObject(type.decode(bytes), { arrays: true }),
  }
}

const method: StreamMethod<Record<string, unknown>, Record<string, unknown>> = {
  path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  up: codec('ServerReflectionRequest'),
  down: codec('ServerReflectionResponse'),
}

const nodes = new GrpcNodes()
test.after(() => nodes.closeAll())

test('a node that listens names its services and describes their messages', async () => {
  const server = await nodes.peer()
  const client = nodes.leaf()
  const stream = client.open(server.endpoint, method)
  const replies: Record<string, unknown>[] = []
  const answered = new Promise<void>((resolve, reject) => {
    stream.onClose((reason) => reject(reason ?? new Error('closed')))
    stream.onMessage((reply) => {
      replies.push(reply)
      if (replies.length === 2) resolve()
    })
  })
  stream.send({ listServices: '*' })
  stream.send({ fileContainingSymbol: 'manyhands.v1.Jobs' })
  await deadline(answered, 10_000, 'both answers')
  stream.cancel()

  const { service } = replies[0]!.listServicesResponse as { service: { name: string }[] }
  const names = service.map(({ name }) => name)
  for (const name of ['Overlay', 'Jobs', 'Coordinator', 'Blobs'])
    assert.ok(names.includes(`manyhands.v1.${name}`), name)
  const { fileDescriptorProto } = replies[1]!.fileDescriptorResponse as { fileDescriptorProto: Uint8Array[] }
  assert.ok(fileDescriptorProto.some((file) => Buffer.from(file).includes('SubmitRequest')))
})

test('the older version of the protocol is answered as well, and what is no request is refused', async () => {
  const server = await nodes.peer()
  const client = nodes.leaf()
  const path = '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo'
  const older = client.open(server.endpoint, { ...method, path })
  const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
    older.onClose((reason) => reject(reason ?? new Error('closed')))
    older.onMessage(resolve)
  })
  older.send({ listServices: '*' })
  assert.ok((await deadline(answer, 10_000, 'an answer')).listServicesResponse)
  older.cancel()

  const broken = client.open(server.endpoint, { ...method, up: { ...method.up, encode: () => Uint8Array.of(0xff) } })
  const refused = new Promise<Error | undefined>((resolve) => broken.onClose(resolve))
  broken.onMessage(() => {})
  broken.send({})
  assert.is(((await deadline(refused, 10_000, 'a refusal')) as GridError | undefined)?.code, 'invalid')
})

test.run()
