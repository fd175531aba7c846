import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { makeFolders } from '../../runtime/folders.js'

/** Longest path of a Unix domain socket that every system takes: 104 bytes with the final zero on macOS, 108 on Linux. */
export const SOCKET_PATH_BYTES_MAX = 100
const FOLDER = 'admin'
const FILE = 'socket'

/** What {@link openSocketFolder} may look at. */
interface SocketSurroundings {
  readonly system: string
  /** Private folder of the login session (`XDG_RUNTIME_DIR`); undefined: none. */
  readonly runtimeFolder: string | undefined
}

/**
 * Makes a folder that only its owner can enter, for the admin socket, and gives the path of the socket: in the data
 * directory, or, where that is too long for a socket, in a folder of its own under the runtime or temporary folder of
 * the system. On Windows: a pipe whose name nobody can guess. Throws what the file system throws.
 */
export function openSocketFolder(dataFolder: string, { system, runtimeFolder }: SocketSurroundings): string {
  if (system === 'win32') return `\\\\.\\pipe\\manyhands-${randomBytes(16).toString('hex')}`
  const near = resolve(dataFolder, FOLDER)
  if (Buffer.byteLength(join(near, FILE)) <= SOCKET_PATH_BYTES_MAX) {
    makeFolders(near)
    chmodSync(near, 0o700)
    return join(near, FILE)
  }
  // Short names: the runtime folder itself may be long, too.
  const name = createHash('sha256').update(resolve(dataFolder)).digest('hex').slice(0, 16)
  const roots = [runtimeFolder, tmpdir(), '/tmp'].filter((root) => root !== undefined)
  const root =
    roots.find(
      (folder) => Buffer.byteLength(join(folder, `manyhands-${name}-123456`, FILE)) <= SOCKET_PATH_BYTES_MAX,
    ) ?? '/tmp'
  const far = join(root, `manyhands-${name}`)
  return join(isOurs(far) ? far : mkdtempSync(`${far}-`), FILE)
}

/** Makes the folder, or takes the one that is there if nobody else can have put anything into it. */
function isOurs(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const found = lstatSync(folder)
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  }
}
