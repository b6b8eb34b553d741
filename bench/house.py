"""Measures the foundation: ledger, expiry and the SCIM door, each beside its anchor in the same run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
#: Thrown away, unless somebody names a folder to keep a company in between runs.
KEPT_FOLDER = os.environ.get("BENCH_FOLDER", "")
FOLDER = KEPT_FOLDER or tempfile.mkdtemp(prefix="gatehouse-bench-")
os.environ["DATA_DIR"] = FOLDER
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "governance.config.settings")

import django  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

django.setup()

from governance.access import grants  # noqa: E402
from governance.access.sweep import sweep  # noqa: E402
from governance.catalog import actions as catalog  # noqa: E402
from governance.config import postgres  # noqa: E402
from governance.core.actor import Actor, Door  # noqa: E402
from governance.core.clock import now  # noqa: E402
from governance.identity.connections.actions import LIMIT_RANGE  # noqa: E402
from governance.identity.models import Connection, Person  # noqa: E402
from governance.ledger import standalone  # noqa: E402
from governance.ledger.models import Entry  # noqa: E402
from governance.ledger.recording import Subject, record  # noqa: E402
from governance.ledger.rights import grant_rights, roles_exist  # noqa: E402
from governance.lifecycle import brake  # noqa: E402
from scim_bridge.connections import open_connection  # noqa: E402

ROUNDS = 5
BENCH = Actor.system("bench", door=Door.COMMAND)
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def rate(count: int, act: Callable[[], object]) -> float:
    """Return how many a second: `act` does `count` of them."""
    began = time.perf_counter()
    act()
    return count / (time.perf_counter() - began)


def medians(count: int, *acts: Callable[[], object]) -> list[float]:
    """Return the median rate of each, in interleaved rounds."""
    rounds = [[rate(count, act) for act in acts] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def migrated() -> None:
    """Have the tables, and what the users of the database that doors sign in as may do with them."""
    call_command("migrate", verbosity=0)
    if roles_exist():
        with transaction.atomic():
            grant_rights()


def row(what: str, figure: str, ratio: str = "") -> None:
    """Print one line of the table."""
    print(f"{what:<58} {figure:>16} {ratio:>22}")


def ledger() -> None:
    """Measure what recording costs a transaction with one UPDATE, committed durably."""
    person = Person.objects.order_by("pk").first()
    assert person is not None

    def write(recorded: bool) -> None:
        for _ in range(200):
            with transaction.atomic():
                Person.objects.filter(pk=person.pk).update(version=person.version)
                if recorded:
                    record("bench.written", actor=BENCH, subjects=[Subject("person", str(person.ref))])

    plain, kept = medians(200, lambda: write(False), lambda: write(True))
    row("transactions with one UPDATE, without the ledger", f"{plain:,.0f}/s")
    row("the same with its ledger entry", f"{kept:,.0f}/s", f"{kept / plain:.2f} of without")


def sealing_and_verifying() -> None:
    """Measure sealing a backlog, and the verifier's hashing beside bare SHA-256 over the same bytes."""
    waiting = _pending()
    sealed = rate(waiting, lambda: call_command("ledger_sequencer", "--once"))
    row(f"sealing a backlog of {waiting:,} entries", f"{sealed:,.0f}/s")
    bodies = [body.encode() for body in Entry.objects.values_list("body", flat=True)]
    bare, leaf = medians(
        len(bodies),
        lambda: [hashlib.sha256(body).digest() for body in bodies],
        lambda: [standalone.leaf_hash(body) for body in bodies],
    )
    row("bare SHA-256 over the bodies", f"{bare:,.0f}/s")
    row("the verifier's leaf hash", f"{leaf:,.0f}/s", f"{leaf / bare:.2f} of bare")


def expiry(people: list[Person]) -> None:
    """Measure ordering the removals of grants that are due, with entries and orders, in batches."""
    application = catalog.add_application("Bench", actor=BENCH)
    role = catalog.add_entitlement(application, "Role", sentence="Bench.", target_ref="bench", actor=BENCH)
    end = now() - timedelta(seconds=1)
    new = [
        grants.NewGrant(person.pk, role.pk, application.pk, "manual", end - timedelta(hours=number + 1), end)
        for person in people
        for number in range(5)
    ]
    with transaction.atomic():
        grants.start_many(new, at=now(), actor=BENCH)
    done = 0

    def all_due() -> None:
        nonlocal done
        done = sweep()

    swept = rate(len(new), all_due)
    assert done == len(new), done
    row(f"expiry of {len(new):,} due grants", f"{swept:,.0f}/s")


def scim() -> None:
    """Measure the SCIM door without a web server, beside a bare INSERT committed each."""
    token = open_connection("bench", dialect="okta", actor=BENCH)
    # As many requests as may be allowed: the limit is not what is measured.
    Connection.objects.update(requests_per_minute=LIMIT_RANGE[1])
    # As many leavers as there are: nothing is held.
    brake.set_limits("scim:bench", brake.Limits(at_least=1_000_000), actor=BENCH)
    client = Client(SERVER_NAME="localhost", headers={"Authorization": f"Bearer {token}"})

    def send(method: str, path: str, body: object) -> dict[str, object]:
        answer = client.generic(method, f"/scim/v2/{path}", json.dumps(body), content_type="application/scim+json")
        assert answer.status_code < 300, answer.content
        return json.loads(answer.content) if answer.content else {}

    def create(count: int = 100) -> list[str]:
        names = [uuid.uuid4().hex for _ in range(count)]
        return [str(send("POST", "Users", {"schemas": [USER], "userName": name})["id"]) for name in names]

    def insert() -> None:
        with connection.cursor() as cursor:
            for _ in range(100):
                cursor.execute("INSERT INTO bench_bare (name) VALUES (%s)", [uuid.uuid4().hex])

    bare, created = medians(100, insert, create)
    row("bare INSERT, committed each", f"{bare:,.0f}/s")
    row("SCIM create, with identity, revision, ledger", f"{created:,.0f}/s", f"{created / bare:.2f} of bare INSERT")
    people = create(1_000)
    cost: dict[int, float] = {}
    for size in (10, 100, 1_000):
        members = [{"value": id_} for id_ in people[:size]]
        group = send("POST", "Groups", {"displayName": f"Group {size}", "members": members})["id"]
        for newcomer in create(20):
            body = {
                "schemas": [PATCH],
                "Operations": [{"op": "add", "path": "members", "value": [{"value": newcomer}]}],
            }
            began = time.perf_counter()
            send("PATCH", f"Groups/{group}", body)
            cost.setdefault(size, 0.0)
            cost[size] += (time.perf_counter() - began) / 20
    for size, seconds in cost.items():
        row(f"one member added to a group of {size:,}", f"{seconds * 1000:.1f} ms", f"{seconds / cost[10]:.2f} of ten")


def _pending() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_pending")
        return int(cursor.fetchone()[0])


@contextlib.contextmanager
def throw_away_database() -> Iterator[None]:
    """Have an embedded database in a folder of its own while the block runs."""
    with postgres.running(settings.ENVIRONMENT.data_dir):
        migrated()
        call_command("ledger_key", "create", stdout=open(os.devnull, "w"))  # noqa: SIM115, PTH123
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_bare (id bigserial PRIMARY KEY, name text UNIQUE)")
        yield
        connection.close()
    shutil.rmtree(FOLDER, ignore_errors=True)


def main() -> None:
    """Measure everything and print the table."""
    if not settings.ENVIRONMENT.uses_embedded_database:
        sys.exit("The bench makes a database of its own: run it without DATABASE_URL.")
    with throw_away_database():
        scim()
        ledger()
        expiry(list(Person.objects.all()[:1_000]))
        sealing_and_verifying()


if __name__ == "__main__":
    main()
