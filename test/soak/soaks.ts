import { abuse } from './abuse.js'
import { fuzz } from './fuzz.js'
import type { Soak } from './soak.js'

/** Every long run, by name. */
export const soaks: readonly Soak[] = [abuse, fuzz]
