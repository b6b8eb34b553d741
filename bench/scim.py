"""Measures the SCIM door beside its anchors and peers: one workload, one web server, interleaved rounds, checked.

`--full` takes 100,000 users and groups of 50,000 (about an hour); without it everything is ten times smaller. `--only`
names the parts to run: small, rules, members, size, import, storm.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
FOLDER = Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
os.environ["DATA_DIR"] = str(FOLDER)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

django.setup()

import scim_traffic as traffic  # noqa: E402
from scim_servers import Rig, Server, connect  # noqa: E402
from scim_traffic import Act, Client, Outcome, WrongAnswer, run  # noqa: E402

from governance.catalog import actions as catalog  # noqa: E402
from governance.catalog import rules as birthright_rules  # noqa: E402
from governance.config import postgres  # noqa: E402
from governance.core.actor import Actor, Door  # noqa: E402
from governance.identity.connections.actions import LIMIT_RANGE  # noqa: E402
from governance.identity.models import Connection  # noqa: E402
from governance.ledger.rights import grant_rights, roles_exist  # noqa: E402
from governance.lifecycle import brake  # noqa: E402
from scim_bridge.connections import open_connection  # noqa: E402

ACTOR = Actor.system("bench", door=Door.COMMAND)
PARTS = ("small", "rules", "members", "size", "import", "storm")
#: A server that needs longer for its share of a round is measured by what it did until then.
ROUND_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large everything is."""

    rounds: int
    people: int
    many_people: int
    groups: tuple[int, ...]
    leavers: int


DEFAULT = Sizes(rounds=3, people=1_000, many_people=10_000, groups=(10, 1_000, 5_000), leavers=1_000)
FULL = Sizes(rounds=5, people=1_000, many_people=100_000, groups=(10, 1_000, 50_000), leavers=10_000)


@dataclass(frozen=True, slots=True)
class Target:
    """What a workload should reach: times the rate of another server."""

    of_bare: float = 0.0
    of_stock: float = 0.0


#: Each workload: its name, what it does, how often in a round, and docs' targets.
WORKLOADS: tuple[tuple[str, Act, int, Target], ...] = (
    ("create", traffic.create, 200, Target(0.6, 1.4)),
    ("get", traffic.get, 400, Target(0.75)),
    ("filter userName", traffic.filter_user_name, 400, Target(0.75)),
    ("filter externalId", traffic.filter_external_id, 400, Target(0.75)),
    ("PATCH a name", traffic.rename, 200, Target(0.7, 1.2)),
    ("PATCH active, a leaver", traffic.leave, 100, Target(0.7, 1.2)),
    ("list a page of 100", traffic.first_page, 60, Target(0.6)),
    ("sync mix", traffic.mix, 300, Target(0.7, 3.0)),
)


@dataclass
class Bench:
    """One run: the servers, and what was measured of each."""

    rig: Rig
    sizes: Sizes
    ours: Server
    bare: Server
    stock: Server
    in_memory: list[Server]
    #: The median time of an operation among few people, in milliseconds, by workload and server.
    among_few: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def durable(self) -> list[Server]:
        """Return the servers that keep what they answered."""
        return [self.ours, self.bare, self.stock]

    @property
    def everybody(self) -> list[Server]:
        """Return all servers."""
        return [*self.durable, *self.in_memory]


def rounds(number: int, servers: Sequence[Server], name: str, act: Act, count: int) -> dict[str, list[Outcome]]:
    """Return what each server did, in interleaved rounds; who gave a wrong answer is not in it."""
    found: dict[str, list[Outcome]] = defaultdict(list)
    able = [server for server in servers if name not in server.cannot]
    for turn in range(number):
        for server in able[turn % len(able) :] + able[: turn % len(able)]:
            try:
                found[server.name].append(run(server, act, count, seconds=ROUND_SECONDS))
            except WrongAnswer as error:
                print(f"   {name}: {error}")
                server.cannot |= {name}
    return {server: outcomes for server, outcomes in found.items() if len(outcomes) == number}


def rate(outcomes: Sequence[Outcome]) -> float:
    """Return the median rate of the rounds."""
    return statistics.median(outcome.rate for outcome in outcomes)


def cpu(outcomes: Sequence[Outcome]) -> float:
    """Return the median processor time of an operation in milliseconds; the kernel counts in hundredths of a second."""
    return max(statistics.median(outcome.cpu_ms for outcome in outcomes), 0.01)


def p50(outcomes: Sequence[Outcome]) -> float:
    """Return the median of the medians, in milliseconds."""
    return statistics.median(outcome.percentile(0.5) for outcome in outcomes)


def small(bench: Bench) -> None:
    """Compare every server among a thousand people."""
    print(f"\nAmong {bench.sizes.people:,} people, four connections: operations a second (web processor ms)\n")
    heading(bench.everybody)
    for server in bench.everybody:
        _grow(server, bench.sizes.people // 2)
    for name, act, count, target in WORKLOADS:
        found = rounds(bench.sizes.rounds, bench.everybody, name, act, count)
        for server, outcomes in found.items():
            bench.among_few[name, server] = p50(outcomes)
        line(name, bench.everybody, found, target)


def rules(bench: Bench) -> None:
    """Measure joiners and leavers where two rules give each of them a role, with grants and orders."""
    _make_rules()
    print("\nThe same where birthright rules give every joiner two roles (grants, revisions, orders, entries)\n")
    heading(bench.durable)
    for name, act, count in (
        ("create, two roles given", traffic.create, 200),
        ("leaver, two roles taken", _leave_newest, 100),
    ):
        line(name, bench.durable, rounds(bench.sizes.rounds, bench.durable, name, act, count), Target())


def members(bench: Bench) -> None:
    """Measure one member added to and removed from groups of growing size."""
    biggest = max(bench.sizes.groups)
    if len(bench.ours.people) < biggest + 100:
        _grow(bench.ours, biggest + 100)
    for server in (bench.bare, bench.stock):
        _fill(bench, server, min(len(bench.ours.people), biggest + 100) - len(server.people))
    servers = bench.durable if len(bench.ours.people) >= biggest else bench.everybody
    print("\nOne member added and removed, one connection: median of both, bytes of the answer\n")
    first: dict[str, float] = {}
    for size in bench.sizes.groups:
        able = [
            server
            for server in servers
            if len(server.people) >= size + 20 and (size <= 1_000 or server is not bench.stock)
        ]
        cells = {server.name: _member_times(server, size) for server in able}
        for name, (times, _) in cells.items():
            first.setdefault(name, statistics.median(times))
        shown = "  ".join(
            f"{name} {statistics.median(times) * 1000:.1f} ms ({statistics.median(times) / first[name]:.2f} of "
            f"{bench.sizes.groups[0]}), {size_:,} B"
            for name, (times, size_) in cells.items()
        )
        print(f"group of {size:>6,}:  {shown}")
        ours, bare = (statistics.median(cells[server.name][0]) for server in (bench.ours, bench.bare))
        flat = ours / first[bench.ours.name]
        print(
            f"{'':>16}  {ours / bare:.2f} of bare's time; {said(ours / bare <= 2, '≤ 2')}; "
            f"{flat:.2f} of a group of {bench.sizes.groups[0]}; {said(flat <= 1.5, '≤ 1.5')}"
        )
    _replace_all(bench, biggest)


def size(bench: Bench) -> None:
    """Compare the durable servers among many people, and each with itself among few."""
    servers = bench.durable
    for server in servers[1:]:
        _fill(bench, server, bench.sizes.many_people - len(server.people))
    _grow(bench.ours, bench.sizes.many_people)
    for server in servers:
        with connect(FOLDER, server.database) as connection:
            connection.execute("VACUUM ANALYZE")
    print(f"\nAmong {len(bench.ours.people):,} people: operations a second, and p50 beside the same among few\n")
    heading(servers)
    more = (("list the last 100, by index", traffic.last_page, 60, Target(0.6)),)
    for name, act, count, target in (*WORKLOADS, *more):
        if act in (traffic.create, traffic.leave):
            continue
        wanted = Target(target.of_bare, 20.0) if act is traffic.mix else target
        found = rounds(bench.sizes.rounds, servers, name, act, count)
        line(name, servers, found, wanted)
        before = bench.among_few.get((name.replace("the last 100, by index", "a page of 100"), bench.ours.name))
        if before and bench.ours.name in found:
            growth = p50(found[bench.ours.name]) / before
            limit = 1.5 if "list" in name else 1.3
            print(f"{'':<30} ours: {growth:.2f} of among few; {said(growth <= limit, f'≤ {limit}')}")
    _read_everybody(bench)


def import_(bench: Bench) -> None:
    """Import people and groups through Bulk, and watch the memory of the server."""
    number = bench.sizes.many_people
    with closing(Client(bench.ours)) as client:
        config = client.told("GET", "ServiceProviderConfig")["bulk"]
        if not config["supported"]:
            print("\nImport: the server offers no Bulk.")
            return
        most = min(int(config["maxOperations"]), 500)
        with sampled_memory(bench.ours) as memory:
            began = time.perf_counter()
            for start in range(0, number, most):
                _bulk_users(bench.ours, client, min(most, number - start))
            people_seconds = time.perf_counter() - began
            ids = [id_ for id_, _ in bench.ours.people[-number:]]
            began = time.perf_counter()
            for start in range(0, number // 50, 100):
                _bulk_groups(bench.ours, client, ids, start, min(100, number // 50 - start))
            groups_seconds = time.perf_counter() - began
    print(f"\nImport through Bulk, {most} operations a request, one connection\n")
    achieved = number / people_seconds
    print(f"{number:,} users: {achieved:,.0f}/s; {said(achieved >= 500, '≥ 500/s')}")
    print(f"{number // 50:,} groups of 50: {number // 50 / groups_seconds:,.0f}/s")
    settled, most_used = memory[len(memory) // 5], max(memory)
    growth = most_used / settled
    print(
        f"memory of the largest worker: {settled / 2**20:.0f} MB after a fifth, {most_used / 2**20:.0f} MB at most; "
        f"{said(growth <= 1.2, 'flat within 20 %')}; bare: {bench.bare.memory_bytes() / 2**20:.0f} MB"
    )


def storm(bench: Bench) -> None:
    """Let many leave at once, and count the orders when the last answer is there."""
    count = min(bench.sizes.leavers, len(bench.ours.active))
    print(f"\n{count:,} leavers in a storm, four connections, two roles each where the rules gave them\n")
    for server in (bench.ours, bench.bare):
        if len(server.active) < count:
            run(server, traffic.create, count - len(server.active))
        outcome = run(server, traffic.leave, count)
        p99 = outcome.percentile(0.99)
        print(f"{server.name}: {outcome.rate:,.0f}/s, p50 {outcome.percentile(0.5):.1f} ms, p99 {p99:.1f} ms", end="")
        print(f"; {said(p99 < 250, 'p99 < 250 ms')}" if server is bench.ours else "")
    with connect(FOLDER, bench.ours.database) as connection:
        (late,) = connection.execute(
            "SELECT count(*) FROM access_grant g JOIN identity_person p ON p.id = g.person_id"
            " WHERE p.status = 'left' AND (g.ends_at > now() OR g.end_ordered_at IS NULL)"
        ).fetchone() or (None,)
    print(f"grants of leavers without an end or its order: {late}; {said(late == 0, 'every order written')}")


def heading(servers: Sequence[Server]) -> None:
    """Print the first line of a table."""
    names = "".join(f"{server.name + ('' if server.is_durable else ' *'):>22}" for server in servers)
    print(f"{'':<30}{names}    ours beside (* keeps nothing on disk)")


def line(name: str, servers: Sequence[Server], found: dict[str, list[Outcome]], target: Target) -> None:
    """Print one workload: each server's rate and processor time, and ours beside bare and stock."""
    cells = ""
    for server in servers:
        outcomes = found.get(server.name)
        cells += f"{f'{rate(outcomes):,.0f}/s ({cpu(outcomes):.2f})' if outcomes else '—':>22}"
    ours, verdicts = found.get(servers[0].name), []
    for other, wanted in ((servers[1], target.of_bare), (servers[2], target.of_stock)):
        theirs = found.get(other.name)
        if ours and theirs:
            ratio = rate(ours) / rate(theirs)
            by_cpu = cpu(theirs) / cpu(ours)
            verdict = f" {said(ratio >= wanted, f'≥ {wanted:g}')}" if wanted else ""
            verdicts.append(f"{ratio:.2f} of {other.name} ({by_cpu:.2f} by cpu){verdict}")
    print(f"{name:<30}{cells}    {'; '.join(verdicts)}", flush=True)


def said(holds: bool, target: str) -> str:
    """Return the target, and whether it is met."""
    return f"{target}: {'met' if holds else 'MISSED'}"


@contextmanager
def sampled_memory(server: Server) -> Iterator[list[int]]:
    """Note the memory of a server each half second while the block runs."""
    found: list[int] = [server.memory_bytes()]
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.5):
            found.append(server.memory_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
        found.append(server.memory_bytes())


def _leave_newest(server: Server, client: Client, turn: int) -> None:
    """Deactivate one of those who joined last, who have what the rules give."""
    server.active.rotate(1)
    traffic.leave(server, client, turn)


def _member_times(server: Server, size_: int) -> tuple[list[float], int]:
    """Return the seconds of each change, and the bytes of an answer."""
    ids = [id_ for id_, _ in server.people]
    with closing(Client(server)) as client:
        group = traffic.make_group(server, client, f"Group {size_} {traffic.fresh_number()}", ids[:size_])
        times, answered = [], 0
        for id_ in ids[size_ : size_ + 20]:
            began = time.perf_counter()
            answered = traffic.add_members(client, group, [id_])
            times.append(time.perf_counter() - began)
            began = time.perf_counter()
            traffic.remove_member(server, client, group, id_)
            times.append(time.perf_counter() - began)
    return times, answered


def _replace_all(bench: Bench, size_: int) -> None:
    """Replace all members of the largest group, half of them by others."""
    ids = [id_ for id_, _ in bench.ours.people]
    if len(ids) < size_ * 3 // 2:
        print(f"{size_:,} members are not replaced: too few people.")
        return
    with closing(Client(bench.ours)) as client:
        name = f"Replaced {traffic.fresh_number()}"
        group = traffic.make_group(bench.ours, client, name, ids[:size_])
        wanted = [{"value": id_} for id_ in ids[size_ // 2 : size_ // 2 + size_]]
        body = {"schemas": [traffic.GROUP], "displayName": name, "members": wanted}
        began = time.perf_counter()
        status, content = client.ask("PUT", f"Groups/{group}?attributes=id", body)
        seconds = time.perf_counter() - began
        if status != 200:
            print(f"{size_:,} members replaced: answered {status}: {content[:200]!r}")
            return
        print(f"{size_:,} members replaced: {seconds:.2f} s; {said(seconds <= 3, '≤ 3 s for 50,000')}")


def _read_everybody(bench: Bench) -> None:
    """Read every person by index and by cursor, a hundred at a time, and compare the last pages with the first."""
    for how, walk in (("index", _by_index), ("cursor", _by_cursor)):
        with closing(Client(bench.ours)) as client:
            try:
                times, seen = walk(client)
            except WrongAnswer as error:
                print(f"paging by {how}: {error}")
                continue
        tenth = max(len(times) // 10, 1)
        growth = statistics.median(times[-tenth - 1 : -1]) / statistics.median(times[:tenth])
        rate_ = seen / sum(times)
        print(
            f"all people by {how}: {seen:,} read, {rate_:,.0f} a second; the last pages cost {growth:.2f} of the "
            f"first; {said(growth <= 1.5, '≤ 1.5')}"
        )


def _by_index(client: Client) -> tuple[list[float], int]:
    times, ids, total = [], set(), 1
    while len(ids) < total:
        began = time.perf_counter()
        page = client.told("GET", f"Users?startIndex={len(ids) + 1}&count=100")
        times.append(time.perf_counter() - began)
        total = page["totalResults"]
        ids.update(each["id"] for each in page["Resources"])
        if not page["Resources"]:
            raise WrongAnswer(f"{len(ids)} of {total} were listed.")
    return times, len(ids)


def _by_cursor(client: Client) -> tuple[list[float], int]:
    times, ids, cursor, total = [], set(), "", 0
    while cursor is not None:
        began = time.perf_counter()
        page = client.told("GET", f"Users?cursor={cursor}&count=100")
        times.append(time.perf_counter() - began)
        cursor, total = page.get("nextCursor"), page.get("totalResults", total)
        ids.update(each["id"] for each in page["Resources"])
    if total and len(ids) != total:
        raise WrongAnswer(f"{len(ids)} of {total} were listed.")
    return times, len(ids)


def _bulk_users(server: Server, client: Client, count: int) -> None:
    numbers = [traffic.fresh_number() for _ in range(count)]
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": str(number), "data": traffic.user(number)} for number in numbers
    ]
    for number, id_ in zip(numbers, _bulk(client, operations), strict=True):
        server.people.append((id_, number))
        server.active.append(id_)


def _bulk_groups(server: Server, client: Client, ids: Sequence[str], start: int, count: int) -> None:
    operations = [
        {
            "method": "POST",
            "path": "/Groups",
            "bulkId": f"group{number}",
            "data": {
                "schemas": [traffic.GROUP],
                "displayName": f"Imported {traffic.fresh_number()}",
                "members": [{"value": id_} for id_ in ids[number * 50 : number * 50 + 50]],
            },
        }
        for number in range(start, start + count)
    ]
    _bulk(client, operations)


def _bulk(client: Client, operations: Sequence[dict[str, Any]]) -> list[str]:
    """Return the ids of what was created; all of it must have been."""
    answered = client.told("POST", "Bulk", {"schemas": [traffic.BULK], "Operations": operations})["Operations"]
    bad = [each for each in answered if each["status"] != "201"]
    if bad or len(answered) != len(operations):
        raise WrongAnswer(f"Bulk: {len(answered)} of {len(operations)} answered, {len(bad)} refused: {bad[:1]}")
    return [each["location"].rpartition("/")[2] for each in answered]


def _grow(server: Server, people: int) -> None:
    """Create people until there are so many."""
    missing = people - len(server.people)
    if missing > 0:
        run(server, traffic.create, missing)


_FILL = {
    "bare": """
        INSERT INTO bare_user (scim_id, user_name, external_id, given_name, family_name, email, active)
        SELECT gen_random_uuid(), 'person.' || n || '@example.com', 'ext-' || lpad(n::text, 8, '0'), 'Given' || n,
               'Family' || n %% 977, 'person.' || n || '@example.com', true
        FROM unnest(%s::bigint[]) n RETURNING scim_id::text
    """,
    "stock": """
        INSERT INTO stock_user (scim_id, scim_external_id, scim_username, username, first_name, last_name, email,
                                is_active, is_staff, is_superuser, password, date_joined)
        SELECT n::text, 'ext-' || lpad(n::text, 8, '0'), 'person.' || n || '@example.com',
               'person.' || n || '@example.com', 'Given' || n, 'Family' || n %% 977, 'person.' || n || '@example.com',
               true, false, false, '', now()
        FROM unnest(%s::bigint[]) n RETURNING scim_id
    """,
}


def _fill(bench: Bench, server: Server, count: int) -> None:
    """Write people into the tables of a peer: through its door it would take an hour."""
    if count <= 0:
        return
    numbers = [traffic.fresh_number() for _ in range(count)]
    with connect(FOLDER, server.database) as connection:
        made = connection.execute(_FILL[server.name], [numbers]).fetchall()
        if server is bench.stock:
            # Its ids are its primary keys as text.
            made = connection.execute(
                "UPDATE stock_user SET scim_id = id::text WHERE scim_external_id = ANY(%s) RETURNING scim_id",
                [[f"ext-{number:08}" for number in numbers]],
            ).fetchall()
            made = connection.execute(
                "SELECT scim_id FROM stock_user WHERE scim_external_id = ANY(%s) ORDER BY scim_external_id",
                [[f"ext-{number:08}" for number in numbers]],
            ).fetchall()
    server.people += [(id_, number) for (id_,), number in zip(made, numbers, strict=True)]
    server.active.extend(id_ for (id_,) in made)


def _make_rules() -> None:
    """Give everybody a role, and each department another."""
    application = catalog.add_application("Bench", actor=ACTOR)
    for name, condition in (
        ("Everybody", 'userType eq "Employee"'),
        *((department, f'department eq "{department}"') for department in traffic.DEPARTMENTS),
    ):
        role = catalog.add_entitlement(application, name, sentence="Bench.", target_ref=name, actor=ACTOR)
        birthright_rules.save_birthright_rule(name, condition, [role], actor=ACTOR)


def _prepare_ours() -> str:
    """Make the tables, the key of the ledger and a connection; return its token."""
    call_command("migrate", verbosity=0)
    if roles_exist():
        with transaction.atomic():
            grant_rights()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        call_command("ledger_key", "create", stdout=nowhere)
    token = open_connection("bench", dialect="okta", actor=ACTOR)
    # As many requests as may be allowed: the limit is not what is measured.
    Connection.objects.update(requests_per_minute=LIMIT_RANGE[1])
    # As many leavers as there are: nothing is held.
    brake.set_limits("scim:bench", brake.Limits(at_least=1_000_000), actor=ACTOR)
    return token


@contextmanager
def a_bench(sizes: Sizes) -> Iterator[Bench]:
    """Have every server while the block runs; everything of it lies in one temporary folder that goes with it."""
    try:
        with postgres.running(FOLDER):
            rig = Rig(FOLDER)
            try:
                ours = rig.ours(_prepare_ours())
                peers = [rig.memory(), rig.scimmy()]
                yield Bench(rig, sizes, ours, rig.bare(), rig.stock(), [peer for peer in peers if peer])
            finally:
                rig.close()
                django.db.connection.close()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


def main() -> None:
    """Measure and print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true", help="100,000 users and groups of 50,000")
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    chosen = options.parse_args()
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes databases of its own: run it without DATABASE_URL.")
    acts: dict[str, Callable[[Bench], None]] = {
        "small": small,
        "rules": rules,
        "import": import_,
        "size": size,
        "members": members,
        "storm": storm,
    }
    with a_bench(FULL if chosen.full else DEFAULT) as bench:
        for name, act in acts.items():
            if name in chosen.only:
                act(bench)


if __name__ == "__main__":
    main()
