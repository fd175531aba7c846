import type { NodeId, PublicKey } from '../../proto/model.js'

/** What {@link spread} looks at in a vote. */
interface GrantedVote {
  readonly donor: PublicKey
  readonly grantor: NodeId
}

/**
 * Of each donor the one vote of `votes`, ascending and all for one answer, that counts. A donor that answered under grants of
 * several owners stands behind one of these, so chosen that no owner has more votes than it must: whatever an owner may have at
 * most, as many count as can, and as many owners as can are behind them. Hence a grant more never takes a vote away.
 *
 * The result is in no order. Time: donors times votes at worst; next to nothing where an owner without votes is within reach.
 *
 * @see Harvey, Ladner, Lovász, Tamir: Semi-matchings for bipartite graphs and load balancing. J. Algorithms 59 (2006), algorithm 1.
 */
export function spread<Vote extends GrantedVote>(votes: readonly Vote[]): Vote[] {
  const choices = new Map<PublicKey, Vote[]>()
  for (const vote of votes) {
    const own = choices.get(vote.donor)
    if (own === undefined) choices.set(vote.donor, [vote])
    else if (own.every(({ grantor }) => grantor !== vote.grantor)) own.push(vote)
  }
  const chosen = new Map<NodeId, Set<Vote>>()
  for (const own of choices.values()) {
    for (const { grantor } of own) if (!chosen.has(grantor)) chosen.set(grantor, new Set())
    choose(own, chosen, choices)
  }
  return [...chosen.values()].flatMap((own) => [...own])
}

/** Takes in one donor, at the grantor with the fewest votes that is reached by moving donors from grantor to grantor. */
function choose<Vote extends GrantedVote>(
  own: readonly Vote[],
  chosen: ReadonlyMap<NodeId, Set<Vote>>,
  choices: ReadonlyMap<PublicKey, readonly Vote[]>,
): void {
  /** How each grantor is reached: a donor's vote moves to it `from` the grantor whose vote it replaces. */
  const moves = new Map<NodeId, { readonly vote: Vote; readonly from: Vote | undefined }>()
  const reached: NodeId[] = []
  const reach = (votes: readonly Vote[], from: Vote | undefined) => {
    for (const vote of votes) {
      if (moves.has(vote.grantor)) continue
      moves.set(vote.grantor, { vote, from })
      reached.push(vote.grantor)
    }
  }
  reach(own, undefined)
  let least = own[0]!.grantor
  for (const grantor of reached) {
    const votes = chosen.get(grantor)!
    if (votes.size < chosen.get(least)!.size) least = grantor
    if (votes.size === 0) break
    for (const vote of votes) reach(choices.get(vote.donor)!, vote)
  }
  for (let to: NodeId | undefined = least; to !== undefined; ) {
    const { vote, from }: { readonly vote: Vote; readonly from: Vote | undefined } = moves.get(to)!
    chosen.get(to)!.add(vote)
    if (from !== undefined) chosen.get(from.grantor)!.delete(from)
    to = from?.grantor
  }
}
