import { type KeyInTwoPlaces, processKeyInTwoPlaces } from '../../client/explain/explain.js'
import type { CommandContext } from '../context.js'
import { stateHere } from '../grid/local-admin.js'
import { bad, type CheckFinding } from './check-finding.js'

/** Says so when the key of the process that runs here runs elsewhere, too, as far as it was told; else nothing. */
export async function checkKey(context: Pick<CommandContext, 'settings' | 'clock'>): Promise<readonly CheckFinding[]> {
  try {
    const state = await stateHere(context)
    const two = state && processKeyInTwoPlaces(state, context.clock.wallMs())
    return two === undefined ? [] : [judgeKey(two)]
  } catch (error) {
    return [bad('key', error)]
  }
}

/** The worker that is turned away does nothing; the other one goes on. */
export function judgeKey({ turnedAway, sentence }: KeyInTwoPlaces): CheckFinding {
  const isHere = turnedAway === 'here'
  return {
    name: 'key',
    health: isHere ? 'bad' : 'warn',
    says: sentence,
    hint: `stop one of the two, or give ${isHere ? 'this one' : 'the other'} a key of its own: manyhands id new`,
  }
}
