"""Whether facts prove a result: docs/protocol.md, "Facts" and "Verdict, version 1". Nothing here trusts a peer."""

import hashlib
import struct

from grid import distance
from identity import id_work, node_id, verify
from protos import messages

DONE, WALL, HOST = 0, 7, 8
OUTCOMES = ("done", "exit", "trap", "fuel", "memory", "output", "depth", "wall", "host")
REPORT_UNITS_MAX = 64
REPORT_GRANTS_MAX = 64
ZERO = bytes(32)


class Refused(Exception):
    """Why a fact, a result or an output does not count."""


class Job:
    """A job by its signed spec, checked against its id."""

    def __init__(self, job_id: bytes, signed, orders, network):
        if hashlib.sha256(signed.bytes).digest() != job_id:
            raise Refused("the spec is that of another job")
        self.id = job_id
        self.spec = messages.JobSpec.FromString(signed.bytes)
        if not verify(self.spec.submitter, "spec", signed.bytes, signed.signature):
            raise Refused("the spec is not signed by its submitter")
        if (self.spec.format, self.spec.verdict, self.spec.network) != (1, 1, network.name) or self.spec.requires:
            raise Refused("the spec follows rules that this program does not know, or is for another network")
        self.network = network
        self.owner_radius = int.from_bytes(self.spec.owner_radius, "big")
        for order in orders:
            self._obey(order)
        self.units = units_of(self.spec)
        self.selected = [(r.first, r.first + r.count) for r in self.spec.selection] or [(0, self.units)]

    def _obey(self, signed) -> None:
        """Orders may have widened the radius. Those that this program does not follow could change the verdict: rulings do."""
        order = messages.Order.FromString(signed.bytes)
        body = order.WhichOneof("body")
        if order.job_id != self.id or body not in ("cancel", "amend", "release", "seal"):
            raise Refused(f"an order is for another job, or of a kind that this program does not follow: {body}")
        if not verify(self.spec.submitter, "order", signed.bytes, signed.signature):
            raise Refused("an order is not signed by the submitter")
        if body == "amend":
            self.owner_radius = max(self.owner_radius, int.from_bytes(order.amend.owner_radius, "big"))

    @property
    def shards(self):
        size = self.spec.shard_units
        found = {shard for first, end in self.selected for shard in range(first // size, (end - 1) // size + 1)}
        return sorted(found)

    def units_of_shard(self, shard: int):
        size = self.spec.shard_units
        first, end = shard * size, min((shard + 1) * size, self.units)
        return [unit for unit in range(first, end) if self.has(unit)]

    def has(self, unit: int) -> bool:
        return unit < self.units and any(first <= unit < end for first, end in self.selected)

    def shard_key(self, shard: int) -> bytes:
        return hashlib.sha256(self.id + struct.pack(">I", shard)).digest()[:20]


def units_of(spec) -> int:
    kind = spec.WhichOneof("source")
    if kind == "count":
        items = spec.count.count
    elif kind == "list":
        items = spec.list.item_count
    elif kind == "array":
        items = (int(spec.array.to) - int(getattr(spec.array, "from"))) // int(spec.array.step) + 1
    elif kind == "range":
        items = -((int(spec.range.start) - int(spec.range.end)) // int(spec.range.step))
    else:
        raise Refused("the spec has a source that this program does not know")
    return -(-items // spec.per_unit) * spec.repeat


class Vote:
    def __init__(self, donor, grantor, answer, report_id):
        self.donor, self.grantor, self.answer, self.report_id = donor, grantor, answer, report_id

    @property
    def order(self):
        return self.report_id, self.grantor


def check_grant(job: Job, signed):
    """The grant and the node id of its signer. Raises Refused."""
    grant = messages.Grant.FromString(signed.bytes)
    if grant.job_id != job.id or len(grant.grantor) != 32 or len(grant.grantor_id_nonce) != 8:
        raise Refused("a grant is for another job, or malformed")
    if not len(grant.firsts) == len(grant.counts) == len(grant.opinions) or not grant.firsts:
        raise Refused("a grant is malformed")
    first, end = grant.shard * job.spec.shard_units, (grant.shard + 1) * job.spec.shard_units
    if any(count < 1 or run < first or run + count > end for run, count in zip(grant.firsts, grant.counts)):
        raise Refused("a grant covers units outside of its shard")
    if job.spec.owners and grant.grantor not in job.spec.owners:
        raise Refused("a grant is of an owner that the job does not allow")
    if id_work(grant.grantor, grant.grantor_id_nonce) < job.network.id_work_bits:
        raise Refused("a grantor's id has too little work")
    grantor = node_id(grant.grantor, grant.grantor_id_nonce)
    if distance(grantor, job.shard_key(grant.shard)) > job.owner_radius:
        raise Refused("a grant is of a node outside of the owner radius")
    if not verify(grant.grantor, "grant", signed.bytes, signed.signature):
        raise Refused("a grant is not signed by its grantor")
    return grant, grantor


def check_fact(job: Job, fact):
    """Votes of a report with its grants, as pairs of unit and vote. Raises Refused: one void grant voids the fact."""
    report = messages.Report.FromString(fact.report.bytes)
    spec, count = job.spec, len(report.units)
    if report.job_id != job.id or not 1 <= count <= REPORT_UNITS_MAX or len(fact.grants) > REPORT_GRANTS_MAX:
        raise Refused("a report is for another job, or too large")
    sizes = (len(report.outcomes), len(report.digests) // 32, len(report.output_sizes), len(report.fuels))
    if sizes != (count,) * 4 or len(report.digests) % 32 or len(report.worker) != 32:
        raise Refused("a report is malformed")
    donor = report.donor or report.worker
    if spec.workers and report.worker not in spec.workers and donor not in spec.workers:
        raise Refused("a report is of a worker that the job does not allow")
    report_id = hashlib.sha256(fact.report.bytes).digest()
    votes, before = {}, -1
    for i, unit in enumerate(report.units):
        if unit <= before or unit // spec.shard_units != report.shard or not job.has(unit):
            raise Refused("the units of a report do not ascend, or are not of its shard")
        before = unit
        outcome, digest = report.outcomes[i], report.digests[32 * i : 32 * i + 32]
        if outcome > HOST or (outcome in (WALL, HOST)) != (digest == ZERO):
            raise Refused("a result has no digest, or one that it should not have")
        if outcome in (WALL, HOST) and report.output_sizes[i] > 0:
            raise Refused("a result without output has bytes")
        if spec.limits.fuel and report.fuels[i] > spec.limits.fuel:
            raise Refused("a result took more fuel than the job allows")
        votes[unit] = (outcome, digest)
    granted, before_id = {}, b""
    for signed in fact.grants:
        grant, grantor = check_grant(job, signed)
        grant_id = hashlib.sha256(signed.bytes + signed.signature).digest()
        if grant_id <= before_id:
            raise Refused("the grants of a report do not ascend")
        before_id = grant_id
        if grant.shard != report.shard or grant.worker != report.worker:
            raise Refused("a grant is for another worker or shard")
        covered = [
            unit
            for run, length in zip(grant.firsts, grant.counts)
            for unit in report.units
            if run <= unit < run + length
        ]
        if not covered:
            raise Refused("a grant covers no unit of the report")
        for unit in covered:
            granted[unit] = min(granted.get(unit, grantor), grantor)
    if any(unit not in granted for unit in report.units):
        raise Refused("a report without grant")
    if donor == report.worker:
        if report.donor_signature:
            raise Refused("a worker that is its own donor signs no statement")
    elif not verify(donor, "donor", report.worker, report.donor_signature):
        raise Refused("the donor did not sign the key of the worker")
    if not verify(report.worker, "report", fact.report.bytes, fact.report.signature):
        raise Refused("a report is not signed by its worker")
    return [(unit, Vote(donor, granted[unit], answer, report_id)) for unit, answer in votes.items()]


def placed(by_donor, most):
    """Of each donor one vote for an answer, so many donors as find one where no grantor has more than `most` (Kuhn, 1955)."""
    at = {}

    def place(own, tried):
        for vote in own:
            if vote.grantor in tried:
                continue
            tried.add(vote.grantor)
            there = at.setdefault(vote.grantor, {})
            if len(there) < most:
                there[vote.donor] = vote
                return True
            for donor in list(there):
                if place(by_donor[donor], tried):
                    del there[donor]
                    there[vote.donor] = vote
                    return True
        return False

    for own in by_donor.values():
        place(own, set())
    return sorted((vote for there in at.values() for vote in there.values()), key=lambda vote: vote.order)


def counted_of(by_donor, min_grantors, cap):
    """The votes for one answer that count: `cap` of a grantor, and more as far as none has more than one in `min_grantors`."""
    if min_grantors == 1:
        return [own[0] for own in by_donor.values()]
    while len(placed(by_donor, cap + 1)) >= min_grantors * (cap + 1):
        cap += 1
    return placed(by_donor, cap)


def judge(job: Job, votes):
    """The answer (outcome, digest) that the votes on one unit settle, with the votes behind it. Raises Refused when none."""
    spec = job.spec
    quorum = spec.quorum or 1
    min_grantors = max(1, min(spec.min_grantors, quorum))
    by_donor = {}
    for vote in sorted(votes, key=lambda vote: vote.order):
        if vote.answer[0] != HOST:
            by_donor.setdefault(vote.donor, []).append(vote)
    valid = {}
    for donor, own in by_donor.items():
        ends = [vote for vote in own if vote.answer[0] != WALL]
        # Two answers of one donor cancel out; reports of one answer are one vote.
        if len({vote.answer for vote in ends}) == 1:
            valid[donor] = ends
    if not valid:
        valid = {donor: own for donor, own in by_donor.items() if all(vote.answer[0] == WALL for vote in own)}
    answers = {}
    for donor, own in valid.items():
        answers.setdefault(own[0].answer, {})[donor] = own
    counted = {answer: counted_of(own, min_grantors, -(-quorum // min_grantors)) for answer, own in answers.items()}
    if spec.quorum == 0 and valid:
        first = min((own[0] for own in valid.values()), key=lambda vote: vote.order)
        return first.answer, counted[first.answer]
    total = sum(len(own) for own in counted.values())
    for answer, own in counted.items():
        if len(own) >= quorum and 2 * len(own) > total and len(placed(answers[answer], 1)) >= min_grantors:
            return answer, own
    raise Refused(f"{len(valid)} donors where {quorum} must agree")


def check_output(encoded: bytes, answer):
    """The output that has the digest agreed on. Raises Refused for any other."""
    outcome, digest = answer
    if outcome == WALL:
        return messages.UnitOutput(outcome=outcome)
    output = messages.UnitOutput.FromString(encoded)
    parts = [
        b"manyhands.v1.output\0",
        struct.pack(">BiQ", output.outcome, output.exit_code, len(output.stdout)),
        output.stdout,
        struct.pack(">Q", len(output.stderr)),
        output.stderr,
        struct.pack(">QI", output.stderr_length, len(output.files)),
    ]
    for file in output.files:
        name = file.name.encode()
        parts += [struct.pack(">I", len(name)), name, struct.pack(">Q", len(file.bytes)), file.bytes]
    if output.outcome != outcome or hashlib.sha256(b"".join(parts)).digest() != digest:
        raise Refused("the output does not have the digest that the donors agreed on")
    return output
