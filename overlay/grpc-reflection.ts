import type { Server } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { ReflectionService } from '@grpc/reflection'
import { protoFiles, protoFolder } from '../proto/load.js'

/** Served on the socket of a process alone, never to the network. */
const ADMIN_FILE = 'manyhands/v1/admin.proto'
/** The health service's own definition stands beside ours. */
const HEALTH_FILE = 'grpc/health/v1/health.proto'

/**
 * Lets tools ask a node which services and messages it has (gRPC server reflection, v1 and v1alpha), so that `grpcurl` and
 * clients in other languages work without our files. Loaded when a node first listens: a leaf has nobody who could ask.
 */
export function offerReflection(server: Pick<Server, 'addService'>): void {
  const definition = loadSync([...protoFiles.filter((file) => file !== ADMIN_FILE), HEALTH_FILE], {
    includeDirs: [protoFolder],
    keepCase: true,
  })
  new ReflectionService(definition).addToServer(server)
}
