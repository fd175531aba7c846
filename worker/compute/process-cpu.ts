import { readFileSync } from 'node:fs'

/** Length of a tick of the kernel's accounts, the same on all machines in use (`getconf CLK_TCK` is 100). Unit: ms. */
const TICK_MS = 10

/**
 * Whether a process was stopped by a signal and not continued: `state` of `/proc/PID/stat` (proc(5)). False where there is
 * no such file.
 */
export function isStopped(pid: number): boolean {
  return fieldsOf(pid)?.[0] === 'T'
}

/**
 * Processor time that all threads of a process took so far, to 10 ms: `utime` and `stime` of `/proc/PID/stat` (proc(5)).
 * Undefined where there is no such file.
 */
export function processCpuMs(pid: number): number | undefined {
  const fields = fieldsOf(pid)
  const ticks = Number(fields?.[11]) + Number(fields?.[12])
  return Number.isFinite(ticks) ? ticks * TICK_MS : undefined
}

/** What `/proc/PID/stat` says after the name, from the third field on. */
function fieldsOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in brackets, may hold anything.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
