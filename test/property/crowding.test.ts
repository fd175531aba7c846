import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Vote } from '../../job/facts/votes.js'
import { withoutRoom } from '../../job/verdict/crowding.js'
import type { Digest, NodeId, PublicKey } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import { voteOf } from '../unit/job/fixture.js'

/** Small, so that a few facts are too many. */
const MOST = 3
const UNITS = 3

/** A fact: who granted and who answered, a salt, and its units. */
interface Said {
  readonly grantor: string
  readonly worker: string
  readonly isHost: boolean
  readonly salt: number
  readonly units: readonly number[]
}

const saidArbitrary: fc.Arbitrary<Said> = fc.record({
  grantor: fc.constantFrom('g1', 'g2'),
  worker: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  isHost: fc.boolean(),
  salt: fc.nat(30),
  units: fc.subarray(
    Array.from({ length: UNITS }, (_, unit) => unit),
    { minLength: 1 },
  ),
})

function votesOf({ grantor, worker, isHost, salt, units }: Said): Vote[] {
  const factId = sha256(utf8(`${grantor} ${worker} ${isHost} ${salt} ${units.join()}`)) as Digest
  return units.map((unit) =>
    voteOf(worker, isHost ? 'host' : 'x', { unit, factId, grantor: grantor as NodeId, worker: worker as PublicKey }),
  )
}

/** What an owner keeps: votes by unit, and the facts of which one is left. */
class Keeper {
  readonly #votes = new Map<number, Vote[]>()
  readonly #facts = new Map<Digest, Said>()

  take(said: Said): void {
    const votes = votesOf(said)
    if (this.facts.has(votes[0]!.factId)) return
    this.#facts.set(votes[0]!.factId, said)
    for (const vote of votes) {
      const others = this.#votes.get(vote.unit) ?? []
      const out = withoutRoom(others, vote, MOST)
      this.#votes.set(
        vote.unit,
        [...others, vote].filter((other) => other !== out),
      )
    }
  }

  get facts(): ReadonlySet<Digest> {
    return new Set([...this.#votes.values()].flat().map(({ factId }) => factId))
  }

  get said(): Said[] {
    return [...this.facts].map((id) => this.#facts.get(id)!)
  }

  votes(unit: number): string[] {
    return (this.#votes.get(unit) ?? []).map(({ factId }) => factId).sort()
  }

  get all(): string[][] {
    return Array.from({ length: UNITS }, (_, unit) => this.votes(unit))
  }
}

function keeperOf(all: readonly Said[]): Keeper {
  const keeper = new Keeper()
  for (const said of all) keeper.take(said)
  return keeper
}

const crowding = suite('facts without room')

crowding('in whatever order facts come, and whatever was let go of before it was passed on, all keep the same', () => {
  fc.assert(
    fc.property(
      fc.array(saidArbitrary, { maxLength: 40 }),
      fc.array(saidArbitrary, { maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      (here, there, picks) => {
        const shuffled = [...here, ...there].map((said) => ({ said, at: picks.next().value as number }))
        shuffled.sort((a, b) => a.at - b.at)
        const whole = keeperOf(shuffled.map(({ said }) => said))
        const one = keeperOf(here)
        const other = keeperOf(there)
        // Each passes on what it has kept, and what it lets go of meanwhile.
        for (const said of other.said) one.take(said)
        for (const said of one.said) other.take(said)
        assert.equal(one.all, whole.all)
        assert.equal(other.all, whole.all)
      },
    ),
    { numRuns: 500 },
  )
})

crowding('a grantor and a worker push out what is their own, and no more stays than there is room for', () => {
  fc.assert(
    fc.property(fc.array(saidArbitrary, { maxLength: 60 }), fc.nat(30), (all, salt) => {
      const honest: Said = { grantor: 'honest', worker: 'honest', isHost: false, salt, units: [0] }
      const [{ factId }] = votesOf(honest) as [Vote]
      const greedy = Array.from({ length: 20 }, (_, i) => ({ ...honest, worker: 'greedy', salt: i }))
      const keeper = keeperOf([...all, ...greedy, honest, ...all])
      assert.ok(keeper.votes(0).includes(factId))
      for (let unit = 0; unit < UNITS; unit++) assert.ok(keeper.votes(unit).length <= 3 * 2 * MOST)
    }),
  )
})

crowding.run()
