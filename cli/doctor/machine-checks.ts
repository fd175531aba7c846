import { statfsSync } from 'node:fs'
import { formatBytes } from '../../job/quantity.js'
import { openDataDirectory } from '../../overlay/identity/data-directory.js'
import { findLocalProcess } from '../../process/local-process.js'
import type { CommandContext } from '../context.js'
import { shareHere } from '../settings/machine.js'
import { plural } from '../terminal/output.js'
import { bad, type CheckFinding } from './check-finding.js'

const NODE_MAJOR_MIN = 20
/** Below this a peer that keeps outputs soon has none left. Unit: bytes. */
const FREE_BYTES_MIN = 2 ** 30
/** Below this nothing can be written for long: a journal, a database. Unit: bytes. */
const FREE_BYTES_NEEDED = 64 * 2 ** 20

/** Version of Node, and what a worker would use here. */
export function checkNode(context: CommandContext, version = process.versions.node): CheckFinding {
  const { threads, memoryBytes, limited } = shareHere(context)
  const what = `would donate ${plural(threads, 'thread')}, ${formatBytes(memoryBytes)} a unit${limited ? ' (limits of a container)' : ''}`
  const says = `node ${version}, ${process.platform} ${process.arch}; ${what}`
  if (Number(version.split('.')[0]) >= NODE_MAJOR_MIN) return { name: 'program', health: 'ok', says }
  return { name: 'program', health: 'bad', says, hint: `install Node ${NODE_MAJOR_MIN} or newer: https://nodejs.org` }
}

/** Whether the data directory can be used. */
export function checkData({ settings }: CommandContext): CheckFinding {
  const folder = settings.data.value
  const local = findLocalProcess(folder, settings.network.value)
  if (local !== undefined) {
    return { name: 'data', health: 'ok', says: `${folder}, in use by the node that runs here (process ${local.pid})` }
  }
  try {
    openDataDirectory(folder).close()
    return { name: 'data', health: 'ok', says: folder }
  } catch (error) {
    return bad('data', error, `make it yours: chown $USER ${folder}; or choose another with --data DIR`)
  }
}

/** Whether there is room on the disk of the data directory. */
export function checkDisk({ settings }: CommandContext): CheckFinding {
  const folder = settings.data.value
  try {
    const { bavail, bsize } = statfsSync(folder)
    return judgeDisk(folder, bavail * bsize)
  } catch (error) {
    return bad('disk', error, `make the folder: mkdir -p ${folder}; or choose another with --data DIR`)
  }
}

/** What so many free bytes are good for. */
export function judgeDisk(folder: string, freeBytes: number): CheckFinding {
  const says = `${formatBytes(freeBytes)} free for ${folder}`
  if (freeBytes >= FREE_BYTES_MIN) return { name: 'disk', health: 'ok', says }
  const health = freeBytes < FREE_BYTES_NEEDED ? 'bad' : 'warn'
  const hint = `free ${formatBytes(FREE_BYTES_MIN)} there, or choose a folder on another disk with --data DIR`
  return { name: 'disk', health, says, hint }
}
