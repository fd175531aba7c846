import { totalmem } from 'node:os'
import { formatBytes } from '../../job/quantity.js'
import { type ContainerLimits, containerLimits } from '../../runtime/container.js'
import { threadCount } from '../../runtime/platform.js'
import { parseCpus } from '../../worker/preferences/cpus.js'
import type { CommandContext } from '../context.js'

/** Memory a unit may ask for unless the donor says otherwise: the default limit of a job. Unit: bytes. */
const MEMORY_BYTES = 256 * 2 ** 20
const MEMORY_BYTES_MIN = 16 * 2 ** 20
/** Kept free of units in a container: the node itself, and what its compute process takes besides the memory of units. Unit: bytes. */
const RESERVED_BYTES = 256 * 2 ** 20
const MIB = 2 ** 20

/** Threads and memory that a process uses where nobody says otherwise. */
interface MachineShare {
  readonly threads: number
  /** Most memory a unit may ask for. Unit: bytes. */
  readonly memoryBytes: number
  /** A container's limit made it less; for the one line that says so. */
  readonly limited: boolean
}

/**
 * What to donate here: `cpus` as typed, of the threads that processors, a container's CPU limit and its memory leave, so that each
 * thread can take a unit of {@link MEMORY_BYTES}; where not even one fits, units get less. Throws GridError `invalid`.
 */
export function machineShare(cpus: string | undefined, processors: number, limits: ContainerLimits): MachineShare {
  const room = limits.memoryBytes === undefined ? undefined : Math.max(0, limits.memoryBytes - RESERVED_BYTES)
  const available = Math.max(
    1,
    Math.min(
      processors,
      limits.cpus === undefined ? processors : Math.floor(limits.cpus),
      room === undefined ? processors : Math.floor(room / MEMORY_BYTES),
    ),
  )
  const threads = parseCpus(cpus, available)
  const each = room === undefined ? MEMORY_BYTES : Math.floor(room / Math.max(1, threads) / MIB) * MIB
  const memoryBytes = Math.min(MEMORY_BYTES, Math.max(MEMORY_BYTES_MIN, each))
  return { threads, memoryBytes, limited: available < processors || memoryBytes < MEMORY_BYTES }
}

/** What was asked for beyond what the machine has: nothing is refused, but it is hardly meant so. Sentences for people. */
export function beyondMachine(
  { threads, memoryBytes }: Pick<MachineShare, 'threads' | 'memoryBytes'>,
  has: { readonly processors: number; readonly memoryBytes: number },
): readonly string[] {
  const beyond: string[] = []
  if (threads > has.processors)
    beyond.push(
      `--cpus asks for ${threads} threads, this machine runs ${has.processors} at once: more of them compute nothing sooner`,
    )
  if (memoryBytes > has.memoryBytes)
    beyond.push(
      `--memory lets a unit have ${formatBytes(memoryBytes)}, this machine has ${formatBytes(has.memoryBytes)}: a unit that takes so much fails here`,
    )
  return beyond
}

/** {@link beyondMachine} of this machine and what a container leaves of it. */
export function beyondHere(
  share: Pick<MachineShare, 'threads' | 'memoryBytes'>,
  { platform }: Pick<CommandContext, 'platform'>,
): readonly string[] {
  const limits = containerLimits(platform.root)
  const processors = Math.min(threadCount(), Math.max(1, Math.floor(limits.cpus ?? Number.POSITIVE_INFINITY)))
  const memoryBytes = Math.min(totalmem(), limits.memoryBytes ?? Number.POSITIVE_INFINITY)
  return beyondMachine(share, { processors, memoryBytes })
}

/** {@link machineShare} of this machine; `cpus` where the settings name none. */
export function shareHere(
  { settings, platform }: Pick<CommandContext, 'settings' | 'platform'>,
  cpus?: string,
): MachineShare {
  return machineShare(settings.cpus.value ?? cpus, threadCount(), containerLimits(platform.root))
}
