#!/usr/bin/python3
"""A complete client of Manyhands from the .proto files alone; docs/clients.md explains it.

    client.py --network NAME --join HOST:PORT primes 0 1000000 100000   submits, follows, fetches, checks, prints the sum
    client.py --network NAME --join HOST:PORT results JOB...             fetches and checks: one line of JSON a job
"""

import argparse
import hashlib
import json
import os
import ssl
import sys
import time

import grpc

from evidence import OUTCOMES, Job, Refused, check_fact, check_output, judge
from grid import Grid, Unreachable
from identity import Identity, Network
from protos import messages

HOMES, OWNERS = 5, 3
ROUNDS = 5
OUTPUT_BYTES_MAX = 80 * 2**20


def submit(grid: Grid, start: int, end: int, step: int) -> bytes:
    """Signs and submits a job that counts primes; resolves to its id once its home has it on disk."""
    now = int(time.time() * 1000)
    public_key = grid.identity.public_key
    owners = len(grid.owners(public_key[:20], OWNERS))
    spec = messages.JobSpec(
        format=1,
        verdict=1,
        network=grid.network.name,
        submitter=public_key,
        nonce=os.urandom(16),
        created_at_ms=now,
        expires_at_ms=now + 24 * 3600 * 1000,
        name="primes from Python",
        builtin=messages.BuiltinTask(name="primes", version=1),
        range=messages.RangeSource(start=str(start), end=str(end), step=str(step)),
        per_unit=1,
        repeat=1,
        args=["{start}", "{end}"],
        quorum=2,
        max_errors=3,
        max_instances=10,
        limits=messages.Limits(
            memory_bytes=256 * 2**20, output_bytes=16 * 2**20, stderr_bytes=64 * 2**10, wall_ms=3600 * 1000
        ),
        shard_units=64,
        # Two owners must stand behind a result where a shard has three; every node may grant on a small network.
        min_grantors=2 if owners >= 3 else 1,
        owner_radius=b"\xff" * 20,
    )
    content = spec.SerializeToString()
    signed = messages.Signed(bytes=content, signature=grid.identity.sign("spec", content))
    job_id = hashlib.sha256(content).digest()
    reply = ask(grid, job_id[:20], HOMES, "Jobs/Submit", messages.SubmitRequest(spec=signed))
    say(f"job {job_id.hex()}: on {len(reply.holders)} disks of {reply.wanted} wanted")
    return job_id


def follow(grid: Grid, job_id: bytes, seconds: float) -> None:
    """Watches a job until its units are settled or failed. Another home is asked when one goes away."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for home in grid.owners(job_id[:20], HOMES):
            try:
                request = messages.ShowRequest(job_id=job_id)
                for look in grid.call(home, "Jobs/Watch", request, until - time.monotonic()):
                    summary = look.summary
                    say(f"{summary.settled} of {summary.units} settled {look.waiting}".strip())
                    if summary.settled + summary.failed >= summary.units:
                        return
            except grpc.RpcError as error:
                say(f"home lost: {described(error)}")
        time.sleep(0.5)
    raise TimeoutError("the job is not done in time")


def results(grid: Grid, job_id: bytes):
    """The proved results of a job by unit: (answer, votes, output); and what was refused. Asks owners until all is proved."""
    shown = ask(grid, job_id[:20], HOMES, "Jobs/Show", messages.ShowRequest(job_id=job_id))
    job = Job(job_id, shown.spec, shown.orders, grid.network)
    proved, refused = {}, []
    for shard in job.shards:
        votes, outputs, seen = {}, {}, set()
        for attempt in range(ROUNDS):
            missing = [unit for unit in job.units_of_shard(shard) if unit not in proved]
            if not missing:
                break
            if attempt > 0:
                time.sleep(0.2 * attempt)
            for owner in grid.owners(job.shard_key(shard), OWNERS):
                try:
                    claims = read_shard(grid, owner, job, shard, votes, outputs, seen, refused)
                    for unit in claims:
                        if unit not in proved and unit in missing:
                            prove(grid, owner, job, shard, unit, votes, outputs, proved, refused)
                except grpc.RpcError as error:
                    say(f"owner lost: {described(error)}")
            if refused:
                break
    return job, proved, refused


def read_shard(grid, owner, job, shard, votes, outputs, seen, refused):
    """Takes in what one owner has: votes of valid facts, outputs unseen. Gives the units that it says are settled."""
    claims = []
    request = messages.ResultsRequest(job_id=job.id, shard=shard, with_outputs=True)
    for reply in grid.call(owner, "Jobs/Results", request, 30):
        for fact in reply.facts:
            name = fact.SerializeToString(deterministic=True)
            if name in seen:
                continue
            seen.add(name)
            try:
                for unit, vote in check_fact(job, fact):
                    votes.setdefault(unit, []).append(vote)
            except Refused as reason:
                refused.append(str(reason))
        for settled in reply.settled:
            claims.append(settled.unit)
            if settled.output or settled.output_size == 0:
                outputs[settled.unit] = settled.output
    return claims


def prove(grid, owner, job, shard, unit, votes, outputs, proved, refused):
    """Judges one unit by the votes, and compares its output with the digest that they agree on."""
    try:
        answer, agreeing = judge(job, votes.get(unit, []))
        encoded = outputs.get(unit)
        if encoded is None:
            encoded = b""
            request = messages.OutputRequest(job_id=job.id, shard=shard, unit=unit, digest=answer[1])
            for chunk in grid.call(owner, "Jobs/Output", request, 60):
                encoded += chunk.bytes
                if len(encoded) > OUTPUT_BYTES_MAX:
                    raise Refused("an output is larger than any may be")
        proved[unit] = (answer, agreeing, check_output(encoded, answer))
    except Refused as reason:
        outputs.pop(unit, None)
        refused.append(f"unit {unit}: {reason}")


def ask(grid: Grid, key: bytes, count: int, method: str, request):
    """Asks the peers nearest to a key, one after another. Raises the last failure, Unreachable when there is none to ask."""
    failure = Unreachable("no peer is there that may own")
    for peer in grid.owners(key, count):
        try:
            return grid.call(peer, method, request)
        except grpc.RpcError as error:
            failure = error
    raise failure


def described(error: grpc.RpcError) -> str:
    """The exact code travels in a trailer; the gRPC status is coarser."""
    trailer = dict(error.trailing_metadata() or ()).get("manyhands-code", error.code().name)
    return f"{trailer}: {error.details()}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(job, proved, refused) -> dict:
    states = [OUTCOMES[answer[0]] for answer, _, _ in proved.values()]
    return {
        "job": job.id.hex(),
        "units": sum(len(job.units_of_shard(shard)) for shard in job.shards),
        "proved": len(proved),
        "done": states.count("done"),
        "donorsMin": min((len(agreeing) for _, agreeing, _ in proved.values()), default=0),
        "refused": sorted(set(refused)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="main")
    parser.add_argument("--secret", default="")
    parser.add_argument("--join", default="127.0.0.1:4747", help="host:port or host:port#id")
    parser.add_argument("--key", default=os.path.expanduser("~/.manyhands-python.key"))
    parser.add_argument("--timeout", type=float, default=60)
    parser.add_argument("command", choices=["primes", "results"])
    parser.add_argument("words", nargs="+")
    given = parser.parse_args()
    network = Network(given.network, given.secret)
    grid = None
    try:
        grid = Grid(network, Identity(network, given.key), given.join)
        if given.command == "results":
            whole = True
            for job_id in given.words:
                job, proved, refused = results(grid, bytes.fromhex(job_id))
                line = report(job, proved, refused)
                whole = whole and line["proved"] == line["units"]
                print(json.dumps(line), flush=True)
            return 0 if whole else 1
        start, end, step = (int(word) for word in given.words)
        job_id = submit(grid, start, end, step)
        follow(grid, job_id, given.timeout)
        job, proved, refused = results(grid, job_id)
        line = report(job, proved, refused)
        say(json.dumps(line))
        if line["done"] < line["units"]:
            return 1
        print(sum(int(output.stdout) for _, _, output in proved.values()))
        return 0
    except ssl.SSLError as error:
        say(f"error: {given.join} is not in network {given.network}, or has another secret ({error.reason})")
        return 1
    except (Refused, Unreachable, OSError) as error:
        say(f"error: {error}")
        return 1
    except grpc.RpcError as error:
        say(f"error: {described(error)}")
        return 1
    finally:
        if grid is not None:
            grid.close()


if __name__ == "__main__":
    sys.exit(main())
