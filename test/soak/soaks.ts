import { abuse } from './abuse.js'
import type { Soak } from './soak.js'

/** Every long run, by name. */
export const soaks: readonly Soak[] = [abuse]
