import type { UnitAnswer } from '../../../../client/results/answer.js'
import type { JobId, NodeId } from '../../../../proto/model.js'
import type { Host } from '../../world/host.js'
import { type SmallVote, smallVerdict, votesOf } from '../small-verdict.js'
import { readStore } from '../store-log.js'
import { rightOutput } from '../task.js'
import { type KnownToOracle, type Notes, setOf, unitName } from './notes.js'
import type { Owners } from './owners.js'

/** What clients see: every result of a quorum is the right one, and none changes once it was seen. */
export class Clients {
  readonly #notes: Notes
  readonly #owners: Owners
  /** Results that a client saw. */
  readonly #seen = new Map<string, string>()
  #seenNow = new Set<string>()

  constructor(notes: Notes, owners: Owners) {
    this.#notes = notes
    this.#owners = owners
  }

  specAccepted(job: KnownToOracle, holders: readonly NodeId[]): void {
    this.#notes.jobs.set(job.jobId, job)
    for (const holder of holders) this.#notes.specs.push({ holder, jobId: job.jobId })
    this.#notes.world.count('specsAccepted')
  }

  /** A client has proved a result for itself. */
  saw({ planned, jobId, spec }: KnownToOracle, answer: UnitAnswer): void {
    const { unit, digest, outcome } = answer
    const name = unitName(jobId, unit)
    const text = `${outcome} ${digest}`
    const votes = answer.proof().flatMap((fact) => votesOf(fact, jobId, this.#notes.verifier))
    const own = smallVerdict(
      votes.filter((vote) => vote.unit === unit),
      spec,
    )
    this.#notes.check(
      own.decided && own.answer === text,
      `a client saw unit ${name} as ${text} without the votes its policy asks for: ${describeVotes(votes)}`,
    )
    const right = rightOutput(planned.name, unit)
    const before = this.#seen.get(name)
    if (spec.policy.type === 'quorum') {
      this.#notes.check(
        text === `${right.outcome} ${right.digest}`,
        `a client saw a wrong result of unit ${name}: ${text} of ${describeVotes(votes.filter((vote) => vote.unit === unit))}`,
      )
      this.#notes.check(
        before === undefined || before === text,
        `the result of unit ${name} changed after a client saw it`,
      )
    } else if (before !== undefined && before !== text) {
      // With one vote a late report of a smaller id is the result by the rules, and says so by its facts.
      this.#notes.world.count('overturned')
    }
    this.#seen.set(name, text)
    this.#seenNow.add(name)
    this.#notes.world.count('resultsSeen')
  }

  /** Forgets which results were seen, not what they were: clients read once more. */
  readAgain(): void {
    this.#seenNow = new Set()
  }

  /** Units that a client has not seen since {@link readAgain}. */
  unseen(): string[] {
    const left: string[] = []
    for (const { jobId, planned } of this.#notes.jobs.values()) {
      for (let unit = 0; unit < planned.units; unit++) {
        const name = unitName(jobId, unit)
        if (!this.#seenNow.has(name) && !this.#isGone(name)) left.push(name)
      }
    }
    return left
  }

  /** Whether every unit not seen has been answered by every worker there is, so that only a new donor could decide it. */
  isExhausted(peers: readonly Host[], workers: readonly Host[]): boolean {
    const left = this.unseen()
    if (this.#notes.jobs.size < this.#notes.plan.jobs.length) return false
    const voters = new Map<string, Set<string>>()
    for (const peer of peers) {
      for (const [name, facts] of readStore(peer.disk).facts) {
        const jobId = name.slice(0, name.indexOf('/')) as JobId
        for (const [id, fact] of facts) {
          for (const { unit, donor } of this.#notes.votesOf(id, fact, jobId))
            setOf(voters, unitName(jobId, unit)).add(donor)
        }
      }
    }
    return left.every((name) => workers.every(({ caller }) => voters.get(name)?.has(caller.publicKey) === true))
  }

  hasSeenAll(): boolean {
    return this.#notes.jobs.size === this.#notes.plan.jobs.length && this.unseen().length === 0
  }

  /**
   * Whether a unit was settled at an owner that has lost its disk since: with one owner a shard its facts are gone for good,
   * and its producers were told that they could drop theirs.
   */
  #isGone(name: string): boolean {
    if (this.#notes.plan.owners > 1) return false
    const alive = new Set(this.#notes.world.hosts.map(({ caller }) => caller.nodeId))
    return this.#owners.settledAt(name).some((nodeId) => !alive.has(nodeId))
  }
}

function describeVotes(votes: readonly SmallVote[]): string {
  return votes
    .map(({ unit, donor, grantor, answer }) =>
      [unit, donor, grantor, answer].map((text) => String(text).slice(0, 8)).join(' '),
    )
    .join(', ')
}
