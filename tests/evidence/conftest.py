"""A small world for the reports, written row by row, so that any history can be told."""

from __future__ import annotations

import csv
import io
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction
from django.test import override_settings

from governance.access.models import AccessRequest, Approval, Grant, GrantRevision
from governance.catalog.models import AccessPolicy, AccessPolicyVersion, Application, Entitlement
from governance.core.clock import OPEN_END
from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.evidence.reports.registry import BY_ID
from governance.evidence.verifier.source import verifier_source
from governance.identity.models import Person, PersonRevision
from governance.ledger.notes import Signer
from governance.ledger.queries import latest_checkpoint
from governance.ledger.standalone import parse_verifier_key
from governance.provisioning.models import Account, Connector, Holding, Operation
from tests.evidence import issued as story
from tests.evidence.attacks import Scene
from tests.evidence.issued import Issued
from tests.evidence.organisation import Organisation
from tests.ledger.plugin_flush import empty

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def day(month: int, number: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return an instant in 2026, in UTC."""
    return datetime(2026, month, number, hour, minute, tzinfo=UTC)


FIRST_OF_JUNE = day(6, 1)
Rows = list[dict[str, str]]


@dataclass
class World:
    """Makes rows. Everything has a name; asking for a name again gives the same thing."""

    people: dict[str, Person] = field(default_factory=dict)
    roles: dict[str, Entitlement] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def person(self, name: str, joined_at: datetime = LONG_AGO, first_status: str = "active", **known: Any) -> Person:
        if name in self.people:
            return self.people[name]
        number = next(self._numbers)
        person = Person.objects.create(
            ref=UUID(int=number),
            user_name=f"{name}@halden.example",
            user_name_key=f"{name}@halden.example",
            display_name=known.pop("display_name", name.title()),
            source="test",
            joined_at=joined_at,
            created_at=joined_at,
            modified_at=joined_at,
            **known,
        )
        self.people[name] = person
        self.revise(name, "joined", joined_at, status=first_status)
        return person

    def revise(
        self, name: str, change: str, effective_at: datetime, recorded_at: datetime | None = None, **known: Any
    ) -> PersonRevision:
        person = self.people[name]
        status = "active" if change in {"joined", "rejoined", "updated"} else "left"
        return PersonRevision.objects.create(
            person=person,
            number=PersonRevision.objects.filter(person=person).count() + 1,
            effective_at=effective_at,
            recorded_at=recorded_at or effective_at,
            change=change,
            actor_ref="scim:test",
            correlation_id=f"{next(self._numbers):032x}",
            **{"status": status, "user_name": person.user_name, "display_name": person.display_name, **known},
        )

    def role(self, name: str, **known: Any) -> Entitlement:
        """Return the role `application/role`, with an application and a policy of one stage."""
        if name in self.roles:
            return self.roles[name]
        slug, _, role = name.partition("/")
        application, _ = Application.objects.get_or_create(
            slug=slug, defaults={"name": slug.title(), "created_at": LONG_AGO}
        )
        policy, is_new = AccessPolicy.objects.get_or_create(
            slug="usual", defaults={"name": "Usual", "created_at": LONG_AGO}
        )
        if is_new:
            AccessPolicyVersion.objects.create(
                policy=policy,
                number=1,
                effective_at=LONG_AGO,
                created_at=LONG_AGO,
                created_by_ref="x",
                stages=[{"kind": "owner"}],
            )
        self.roles[name] = Entitlement.objects.create(
            application=application, slug=role, name=role.title(), target_ref=name, sentence="Does it.", policy=policy,
            created_at=LONG_AGO, **known,
        )  # fmt: skip
        return self.roles[name]

    def grant(
        self,
        who: str,
        what: str,
        starts_at: datetime,
        ends_at: datetime = OPEN_END,
        *,
        recorded_at: datetime | None = None,
        cause: str = "manual",
        request: AccessRequest | None = None,
    ) -> Grant:
        role = self.role(what)
        grant = Grant.objects.create(
            person=self.person(who),
            entitlement=role,
            application=role.application,
            cause=cause,
            starts_at=starts_at,
            ends_at=ends_at,
            request=request,
            created_at=recorded_at or starts_at,
            correlation_id="0" * 32,
        )
        self.change(grant, "started", recorded_at or starts_at)
        return grant

    def change(
        self, grant: Grant, change: str, recorded_at: datetime, ends_at: datetime | None = None
    ) -> GrantRevision:
        grant.ends_at = ends_at or grant.ends_at
        grant.revision = GrantRevision.objects.filter(grant=grant).count() + 1
        grant.save()
        return GrantRevision.objects.create(
            grant=grant,
            number=grant.revision,
            starts_at=grant.starts_at,
            ends_at=grant.ends_at,
            recorded_at=recorded_at,
            change=change,
            actor_kind="person",
            actor_ref="somebody",
            correlation_id=f"{next(self._numbers):032x}",
        )

    def request(
        self, who: str, what: str, at: datetime, *, by: str | None = None, extends: Grant | None = None
    ) -> AccessRequest:
        return AccessRequest.objects.create(
            number=next(self._numbers),
            requester=self.person(by or who),
            person=self.person(who),
            entitlement=self.role(what),
            extends=extends,
            purpose="Fix an incident",
            reason="Needed.",
            policy_version=AccessPolicyVersion.objects.get(),
            verdict={},
            state="approved",
            created_at=at,
            lapses_at=at + timedelta(days=14),
            closed_at=at,
            correlation_id="0" * 32,
        )

    def approve(
        self, request: AccessRequest, by: str | None, at: datetime, *, approved: bool = True, stage: int = 0
    ) -> None:
        Approval.objects.create(
            request=request,
            stage=stage,
            asked="owner",
            approver=self.person(by) if by else None,
            approved=approved,
            facts={},
            policy_version=request.policy_version,
            decided_at=at,
        )

    def connect(self, application: str, kind: str = "scim2") -> Connector:
        found = Application.objects.get(slug=application)
        return Connector.objects.create(application=found, kind=kind, created_at=LONG_AGO)

    def take(self, who: str, what: str, ordered_at: datetime, *, delivered_at: datetime | None = None,
             verified_at: datetime | None = None) -> Operation:  # fmt: skip
        role = self.role(what)
        return Operation.objects.create(
            application=role.application,
            person=self.person(who),
            entitlement=role,
            kind="take",
            state="verified" if verified_at else "delivered" if delivered_at else "waiting",
            origin="test",
            idempotency_key=f"test:{next(self._numbers)}",
            correlation_id="0" * 32,
            ordered_at=ordered_at,
            next_attempt_at=ordered_at,
            delivered_at=delivered_at or verified_at,
            verified_at=verified_at,
        )

    def see(self, who: str | None, what: str, first_seen_at: datetime, gone_at: datetime | None = None) -> Holding:
        role = self.role(what)
        account, _ = Account.objects.get_or_create(
            application=role.application,
            target_id=who or "nobody",
            defaults={
                "user_name": who or "=HYPERLINK()",
                "person": self.person(who) if who else None,
                "first_seen_at": first_seen_at,
                "confirmed_at": first_seen_at,
            },
        )
        return Holding.objects.create(
            account=account, entitlement=role, first_seen_at=first_seen_at, confirmed_at=first_seen_at, gone_at=gone_at
        )


@pytest.fixture
def world(db: None) -> World:
    """An empty world."""
    return World()


def question(
    first: date = date(2026, 3, 1),
    last: date = date(2026, 3, 31),
    zone: str = "UTC",
    known_at: datetime = FIRST_OF_JUNE,
    ledger_size: int = 0,
    sla_hours: int = 24,
) -> Question:
    """Ask about March 2026, known on the first of June, unless told otherwise."""
    return Question("soc2", Period(first, last, zone), known_at, ledger_size, sla_hours, 24)


def rows_of(report_id: str, asked: Question) -> Rows:
    """Return the rows of a report as a spreadsheet would read them."""
    sql = f"COPY ({BY_ID[report_id].sql}) TO STDOUT (FORMAT csv, HEADER true)"
    with connection.cursor() as cursor, cursor.copy(sql, asked.parameters()) as copy:
        content = b"".join(bytes(block) for block in copy)
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def report(world: World) -> Callable[..., Rows]:
    """Run a report by its id; the keywords are those of `question`."""
    return lambda report_id, **asked: rows_of(report_id, question(**asked))


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The sequencer's key."""
    return Signer.generate("example.com/ledger")


@pytest.fixture(scope="session")
def issued(
    django_db_setup: None, django_db_blocker: Any, signer: Signer, tmp_path_factory: pytest.TempPathFactory
) -> Issued:
    """A bundle, built once from committed rows; the database is empty again afterwards."""
    with django_db_blocker.unblock(), override_settings(BUNDLE_DIR=tmp_path_factory.mktemp("bundles")):
        story.tell_the_story()
        story.seal(signer)
        anchor = latest_checkpoint()
        with time_machine.travel(story.APRIL, tick=False):
            bundle = story.build(story.ask_for(), signer)
        with time_machine.travel(story.APRIL + 24 * story.HOUR, tick=False):
            later = story.build(story.ask_for("hipaa"), signer)
        packed, following = (story.file_of(one).read_bytes() for one in (bundle, later))
        empty()
    assert anchor is not None
    fingerprint = parse_verifier_key(signer.verifier_key).fingerprint
    return Issued(packed, signer.verifier_key, fingerprint, anchor.note, following)


@pytest.fixture(scope="session")
def scene(issued: Issued, signer: Signer) -> Scene:
    """What there is for attacks on a bundle: what was issued, and the log's key."""
    return Scene(issued, signer)


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verify.py from outside of any bundle."""
    path = tmp_path_factory.mktemp("auditor") / "verify.py"
    path.write_text(verifier_source())
    return path


@pytest.fixture
def check(tmp_path: Path) -> story.Verify:
    """Check a bundle by verify.py as a process of its own."""
    script = tmp_path / "verify.py"
    script.write_text(verifier_source())
    return lambda bundle, key, *more: story.run_verifier(script, bundle, "--key", key, *more)


@pytest.fixture(scope="module")
def organisation(django_db_setup: None, django_db_blocker: Any, signer: Signer) -> Iterator[Organisation]:
    """The organisation, written once; it is gone when the tests of this module are over."""
    with django_db_blocker.unblock():
        around = transaction.atomic()
        around._from_testcase = True  # type: ignore[attr-defined]  # As TestCase marks its own.
        around.__enter__()
        try:
            yield Organisation().make().write(signer)
        finally:
            transaction.set_rollback(True)
            around.__exit__(None, None, None)


@pytest.fixture
def other_session() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Run something in another session of the database, which stays open until the test is over."""
    done = threading.Event()
    threads: list[threading.Thread] = []

    def run(act: Callable[[], Any]) -> Any:
        answers: queue.Queue[Any] = queue.Queue()

        def session() -> None:
            answers.put(act())
            done.wait(30)
            connection.close()

        threads.append(threading.Thread(target=session))
        threads[-1].start()
        return answers.get(timeout=10)

    yield run
    done.set()
    for thread in threads:
        thread.join()
