import { playSituation, SituationGrid, situations } from '../support/processes/situations.js'
import { type Soak, say } from './soak.js'

const PEERS = 5

/** Every situation that `explain` is to tell, with real processes, one after the other on one grid of peers. */
export const explainSituations: Soak = {
  name: 'explain',
  summary: `${situations.length} situations staged, explained and undone; all, or those whose names begin with the words given; 5 min`,
  run: async (args) => {
    const wanted = situations.filter(({ name }) => args.length === 0 || args.some((word) => name.startsWith(word)))
    if (wanted.length === 0) throw new Error(`no situation begins with ${args.join(', ')}`)
    const failures: string[] = []
    const grid = new SituationGrid()
    try {
      await grid.start(PEERS)
      for (const situation of wanted) {
        const startedAt = performance.now()
        let end = 'ok'
        await playSituation(grid, situation).catch((error: Error) => {
          end = 'FAIL'
          failures.push(`${situation.name}: ${error.message}`)
        })
        say(
          `${end.padEnd(4)}  ${situation.name} (${situation.code}), ${((performance.now() - startedAt) / 1000).toFixed(0)} s`,
        )
        await grid.stop()
      }
    } finally {
      await grid.cluster.close()
    }
    if (failures.length > 0) throw new Error(failures.join('\n\n'))
    return undefined
  },
}
