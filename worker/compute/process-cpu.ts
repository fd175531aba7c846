import { readFileSync } from 'node:fs'

/** Length of a tick of the kernel's accounts, the same on all machines in use (`getconf CLK_TCK` is 100). Unit: ms. */
const TICK_MS = 10

/**
 * Processor time that all threads of a process took so far, to 10 ms: `utime` and `stime` of `/proc/PID/stat` (proc(5)).
 * Undefined where there is no such file.
 */
export function processCpuMs(pid: number): number | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The name, in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return Number.isFinite(ticks) ? ticks * TICK_MS : undefined
}
