import { nodeIdOf, type Verifier } from '../../../overlay/identity/identity.js'
import { grantCodec, reportCodec, reportFactCodec } from '../../../proto/codec/facts.js'
import type { JobId, JobSpec, Outcome, ReportFact } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'

/** One vote, as the oracle reads it from a fact by itself. */
export interface SmallVote {
  readonly unit: number
  readonly donor: string
  readonly grantor: string
  readonly answer: string
  readonly outcome: Outcome
  readonly reportId: string
}

/** What the oracle makes of the votes on a unit. */
export type SmallVerdict = { readonly decided: true; readonly answer: string } | { readonly decided: false }

/**
 * The votes of a raw fact, or none when anything about it does not verify. Written from docs/trust.md, on purpose without
 * the code of `job/`: signatures, that grants are for this worker and cover the units, and nothing that takes a clock.
 */
export function votesOf(raw: Uint8Array | ReportFact, jobId: JobId, verifier: Verifier): readonly SmallVote[] {
  const fact = raw instanceof Uint8Array ? reportFactCodec.decode(raw) : raw
  const report = reportCodec.decode(fact.report.bytes)
  if (report.jobId !== jobId || report.worker !== report.donor) return []
  if (!verifier.verify(report.worker, 'report', fact.report.bytes, fact.report.signature)) return []
  const grants = fact.grants.map((signed) => ({ grant: grantCodec.decode(signed.bytes), signed }))
  for (const { grant, signed } of grants) {
    if (grant.jobId !== jobId || grant.worker !== report.worker || grant.shard !== report.shard) return []
    if (!verifier.verify(grant.grantor, 'grant', signed.bytes, signed.signature)) return []
  }
  const votes: SmallVote[] = []
  for (const { unit, outcome, digest } of report.results) {
    const covering = grants
      .filter(({ grant }) => grant.runs.some(({ first, count }) => unit >= first && unit < first + count))
      .map(({ grant }) => nodeIdOf(grant.grantor, grant.grantorIdNonce) as string)
      .sort()
    const [grantor] = covering
    if (grantor === undefined) return []
    const reportId = sha256(fact.report.bytes)
    votes.push({ unit, donor: report.donor, grantor, answer: `${outcome} ${digest}`, outcome, reportId })
  }
  return votes
}

/** The verdict on one unit by the rules of docs/trust.md and docs/decisions/0022, the long way round. */
export function smallVerdict(votes: readonly SmallVote[], spec: JobSpec): SmallVerdict {
  const quorum = spec.policy.type === 'quorum' ? spec.policy.quorum : 1
  const byReport = [...votes]
    .filter(({ outcome }) => outcome !== 'host')
    .sort((a, b) => (a.reportId < b.reportId ? -1 : a.reportId > b.reportId ? 1 : a.grantor < b.grantor ? -1 : 1))
  const donors = [...new Set(byReport.map(({ donor }) => donor))]
  const valid = donors
    .map((donor) => byReport.filter((vote) => vote.donor === donor))
    .filter((own) => new Set(own.map(({ answer }) => answer)).size === 1)
  if (spec.policy.type === 'none') return valid[0] ? { decided: true, answer: valid[0][0]!.answer } : { decided: false }
  const answers = [...new Set(valid.map((own) => own[0]!.answer))].map((answer) => {
    const byDonor = valid.filter((own) => own[0]!.answer === answer)
    return { answer, counted: countedVotes(byDonor, quorum, spec.minGrantors), grantors: placed(byDonor, 1) }
  })
  const all = answers.reduce((sum, { counted }) => sum + counted, 0)
  for (const { answer, counted, grantors } of answers)
    if (counted >= quorum && 2 * counted > all && grantors >= spec.minGrantors) return { decided: true, answer }
  return { decided: false }
}

/** Votes for one answer that count: as many of each grantor as leave no grantor more than one in `minGrantors` of them. */
function countedVotes(byDonor: readonly (readonly SmallVote[])[], quorum: number, minGrantors: number): number {
  if (minGrantors === 1) return byDonor.length
  const least = Math.ceil(quorum / minGrantors)
  for (let most = byDonor.length; most > least; most--)
    if (placed(byDonor, most) >= minGrantors * most) return placed(byDonor, most)
  return placed(byDonor, least)
}

/** So many donors find a place where each grantor has `most`: augmenting paths, one donor after the other (Kuhn, 1955). */
function placed(byDonor: readonly (readonly SmallVote[])[], most: number): number {
  const at = new Map<string, (readonly SmallVote[])[]>()
  const place = (own: readonly SmallVote[], tried: Set<string>): boolean =>
    own.some(({ grantor }) => {
      if (tried.has(grantor)) return false
      tried.add(grantor)
      const there = at.get(grantor) ?? []
      at.set(grantor, there)
      if (there.length < most) return there.push(own) > 0
      const moved = there.findIndex((other) => place(other, tried))
      if (moved >= 0) there[moved] = own
      return moved >= 0
    })
  return byDonor.filter((own) => place(own, new Set())).length
}
