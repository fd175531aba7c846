import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSync } from '@grpc/proto-loader'
import { protoFiles, protoFolder } from '../../../proto/load.js'
import { packageRoot } from '../../../runtime/package-root.js'

/** Where a system keeps the Python that its packages are for. */
const PYTHON = '/usr/bin/python3'
const LOOK_MS = 60_000

/** The client in Python and what it runs with. */
export interface PythonClient {
  readonly command: string
  readonly script: string
  readonly environment: Readonly<Record<string, string>>
  close(): void
}

/** The client of `examples/python/`, or why it cannot run here. */
export function pythonClient(): PythonClient | string {
  const looked = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf, cryptography'], {
    encoding: 'utf8',
    timeout: LOOK_MS,
  })
  if (looked.status !== 0) {
    return `${PYTHON} lacks grpc, protobuf or cryptography: apt-get install python3-grpcio python3-protobuf python3-cryptography`
  }
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-python-'))
  const protoc = spawnSync('protoc', ['--version'], { timeout: LOOK_MS })
  const environment: Record<string, string> = {}
  if (protoc.status !== 0) {
    // What protoc -o would write, from the same files.
    environment.MANYHANDS_DESCRIPTORS = join(folder, 'manyhands.desc')
    writeFileSync(environment.MANYHANDS_DESCRIPTORS, descriptorSet())
  }
  return {
    command: PYTHON,
    script: join(packageRoot, 'examples', 'python', 'client.py'),
    environment: { ...environment, PYTHONDONTWRITEBYTECODE: '1' },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The .proto files as an encoded `google.protobuf.FileDescriptorSet`: field 1, once a file. */
function descriptorSet(): Uint8Array {
  const definition = loadSync([...protoFiles], { includeDirs: [protoFolder], keepCase: true })
  const files = new Map<string, Buffer>()
  for (const entry of Object.values(definition)) {
    if (!('fileDescriptorProtos' in entry) || !Array.isArray(entry.fileDescriptorProtos)) continue
    for (const file of entry.fileDescriptorProtos) files.set(file.toString('base64'), file)
  }
  return Buffer.concat([...files.values()].flatMap((file) => [Buffer.from([0x0a]), varint(file.length), file]))
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let left = value; ; left >>>= 7) {
    bytes.push(left > 0x7f ? (left & 0x7f) | 0x80 : left)
    if (left <= 0x7f) return Buffer.from(bytes)
  }
}
