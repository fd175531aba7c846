import type { Vote } from '../../../job/facts/votes.js'
import { grantorFactsMax, withoutRoom } from '../../../job/verdict/crowding.js'
import type { Digest, JobSpec } from '../../../proto/model.js'

/** What {@link KeptFacts} looks at in a unit, and changes when a vote has to go. */
interface VotedUnit {
  readonly votes: Vote[]
  hostVotes: number
}

/** The units of a shard, as far as they were granted or reported. */
interface VotedUnits {
  get(unit: number): VotedUnit | undefined
  values(): Iterable<VotedUnit>
}

/** What became of the votes of one new fact. */
interface RoomMade {
  /** Those of them that there is room for. */
  readonly counted: readonly Vote[]
  /** One vote each of the facts of which nothing is left, the new one it may be. */
  readonly dropped: readonly Vote[]
}

/** The facts that a shard keeps, and how many of their votes have room in their units (`job/verdict/crowding.ts`). */
export class KeptFacts {
  readonly #ids = new Set<Digest>()
  readonly #units: VotedUnits
  readonly #grantorFactsMax: number
  /** Votes that are left of each fact; undefined: of all facts all are, since nobody has given more than there is room for. */
  #votesLeft: Map<Digest, number> | undefined

  constructor(spec: Pick<JobSpec, 'maxInstances'>, units: VotedUnits) {
    this.#grantorFactsMax = grantorFactsMax(spec)
    this.#units = units
  }

  get ids(): ReadonlySet<Digest> {
    return this.#ids
  }

  has(factId: Digest): boolean {
    return this.#ids.has(factId)
  }

  /** Whether a fact with these votes has room here. A host that fails is heard all the same. */
  hasRoom(votes: readonly Vote[]): boolean {
    return votes.some((vote) => {
      const others = this.#units.get(vote.unit)?.votes ?? []
      return vote.outcome === 'host' || withoutRoom(others, vote, this.#grantorFactsMax) !== vote
    })
  }

  /** Takes in a fact that is new here, and makes room for its votes; adding those that count to their units is the caller's. */
  add(factId: Digest, votes: readonly Vote[]): RoomMade {
    this.#ids.add(factId)
    if (votes.every(({ unit }) => (this.#units.get(unit)?.votes.length ?? 0) < this.#grantorFactsMax)) {
      this.#votesLeft?.set(factId, votes.length)
      return { counted: votes, dropped: [] }
    }
    this.#votesLeft ??= this.#countVotes()
    const counted: Vote[] = []
    const dropped: Vote[] = []
    for (const vote of votes) {
      const unit = this.#units.get(vote.unit)
      const out = unit && withoutRoom(unit.votes, vote, this.#grantorFactsMax)
      if (out !== vote) counted.push(vote)
      if (unit === undefined || out === undefined) continue
      // The number of failures that are kept does not rise any more: this one is new all the same.
      if (out.outcome === 'host') unit.hostVotes--
      if (out !== vote && this.#letGo(unit, out)) dropped.push(out)
    }
    if (counted.length > 0) this.#votesLeft.set(factId, counted.length)
    else {
      this.#ids.delete(factId)
      dropped.push(votes[0]!)
    }
    return { counted, dropped }
  }

  /** Takes a vote out of its unit. Whether it was the last of its fact, which is kept no longer then. */
  #letGo(unit: VotedUnit, out: Vote): boolean {
    unit.votes.splice(unit.votes.indexOf(out), 1)
    const left = (this.#votesLeft?.get(out.factId) ?? 1) - 1
    if (left > 0) {
      this.#votesLeft?.set(out.factId, left)
      return false
    }
    this.#votesLeft?.delete(out.factId)
    this.#ids.delete(out.factId)
    return true
  }

  #countVotes(): Map<Digest, number> {
    const left = new Map<Digest, number>()
    for (const { votes } of this.#units.values())
      for (const { factId } of votes) left.set(factId, (left.get(factId) ?? 0) + 1)
    return left
  }
}
