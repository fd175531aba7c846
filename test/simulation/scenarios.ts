import { echo } from './echo.js'
import type { Scenario } from './scenario.js'

/** Everything `npm run sim` can run. */
export const scenarios: readonly Scenario[] = [echo]
