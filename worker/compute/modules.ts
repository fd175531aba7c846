import type { JobSpec } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { Module } from '../../sandbox/engine.js'

/** What {@link prepareModule} gave: what to run, or why there is nothing to run. */
export type PreparedModule =
  | { readonly type: 'ready'; readonly module: Module }
  /** The rules of the profile do not allow it: so it is on every machine. */
  | { readonly type: 'refused'; readonly reason: string }
  /** This machine has no memory for it, or a fault. */
  | { readonly type: 'failed'; readonly reason: string }

/** A module as the pool knows it. absent -> preparing (on a thread) -> any of the others. */
export type ModuleState =
  | { readonly type: 'absent' | 'preparing' }
  | PreparedModule
  /** Admission and compilation took longer than {@link PREPARE_MS_MAX}. */
  | { readonly type: 'slow' }

/**
 * Time on a thread for admission and compilation. The largest module (64 MiB) takes some four seconds on a desktop of
 * 2020; what takes fifteen times that was made to. Unit: ms of run time.
 */
export const PREPARE_MS_MAX: Millis = 60_000

/** Modules kept prepared, and their bytes before compilation together; machine code takes several times as much. */
const MODULES_MAX = 32
const MODULE_BYTES_MAX = 128 * 1024 * 1024

interface Entry {
  readonly bytes: number
  state: ModuleState
}

const ABSENT: ModuleState = { type: 'absent' }

/** Prepared modules by digest and memory limit: each is prepared once, whatever the jobs; the one used longest ago goes first. */
export class Modules {
  readonly #entries = new Map<string, Entry>()
  #bytes = 0

  state(key: string): ModuleState {
    return this.#entries.get(key)?.state ?? ABSENT
  }

  /** The module is used: it is the last to go now. */
  touch(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#entries.set(key, entry)
  }

  set(key: string, bytes: number, state: ModuleState): void {
    this.#delete(key)
    if (state.type === 'absent') return
    this.#entries.set(key, { bytes, state })
    this.#bytes += bytes
    for (const [other, entry] of this.#entries) {
      if (this.#entries.size <= MODULES_MAX && this.#bytes <= MODULE_BYTES_MAX) return
      if (other !== key && entry.state.type !== 'preparing') this.#delete(other)
    }
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes
  }
}

/** What decides how the module of a job is prepared; undefined for a built-in task. */
export function moduleKey({ task, profile, limits }: JobSpec): string | undefined {
  return task.type === 'module' ? `${task.module.digest} ${profile} ${limits.memoryBytes}` : undefined
}
