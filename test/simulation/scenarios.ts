import { echo } from './echo.js'
import type { Scenario } from './scenario.js'
import { factsBar } from './scenarios/facts-bar.js'
import { floodScenario } from './scenarios/flood.js'
import { gridScenario } from './scenarios/grid.js'
import { groundKeysScenario } from './scenarios/ground-keys.js'
import { homesScenario } from './scenarios/homes.js'
import { liarScenarios } from './scenarios/liars.js'
import { overlayScenario } from './scenarios/overlay.js'
import { overlayBars } from './scenarios/overlay-bars.js'
import { takeoverScenarios } from './scenarios/takeover.js'
import { wasteScenarios } from './scenarios/waste.js'

/** Everything `npm run sim` can run. */
export const scenarios: readonly Scenario[] = [
  echo,
  overlayScenario,
  gridScenario,
  floodScenario,
  homesScenario,
  ...wasteScenarios,
  ...takeoverScenarios,
  ...liarScenarios,
  ...overlayBars,
  factsBar,
  groundKeysScenario,
]
