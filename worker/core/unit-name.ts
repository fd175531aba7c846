import type { JobId } from '../../proto/model.js'

/** A unit among those of all jobs, as the key of a map. */
export function unitName(jobId: JobId, unit: number): string {
  return `${jobId}/${unit}`
}

/** The index of the unit that `name`, from {@link unitName}, is of. */
export function unitOf(name: string): number {
  return Number(name.slice(name.indexOf('/') + 1))
}
