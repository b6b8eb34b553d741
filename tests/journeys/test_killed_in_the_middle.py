"""A worker is ended with SIGKILL in the middle of each piece of work: what it had committed stays, the rest comes once.

Where it dies is no matter of luck. A trigger makes whoever writes the nth row into a table wait for a lock that the
test holds, so it is known what is written and not committed by then. The worker, a process of its own, dies there; the
work is started again, and what is true then is compared with what there was to do, each grant, revision, order, entry
and notice counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from django.db import connection, connections, transaction

from governance.access import grants, replay_runs, requests, retiring, rule_runs, sweep
from governance.access.models import Grant, GrantCause, GrantRevision, RuleRun
from governance.catalog import retiring as catalog_retiring
from governance.catalog.models import Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.rules import RuleTerms
from governance.config.processes import wait_until
from governance.core.actor import Actor, Door
from governance.core.clock import OPEN_END, now
from governance.identity.models import Person, Status
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.queries import sealed_entries
from governance.ledger.sequencer import seal_everything
from governance.lifecycle import actions as lifecycle
from governance.lifecycle import brake, holds
from governance.lifecycle.models import HeldItem, Hold
from governance.notices import mailing, reading
from governance.notices.models import Bookmark, Mail, Notice
from governance.provisioning.models import Operation
from tests import cast
from tests.cast import TESTING, acting
from tests.forked import forked
from tests.notices.smtp_peer import MailServer, mail_server
from tests.web import stories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

PEOPLE, BATCH, HOUR = 8, 3, timedelta(hours=1)
#: In the second batch.
FIFTH = 5
LOCK = 471108


@dataclass
class Gate:
    """Stops whoever writes the nth row into a table, once; `event` counts only entries about it."""

    watcher: psycopg.Connection[Any]

    def close(self, table: str, number: int, event: str = "") -> None:
        """Stop the writer of that row from now on."""
        self.watcher.execute(f"SELECT pg_advisory_lock({LOCK})")
        self.watcher.execute("CREATE SEQUENCE gate_passed")
        self.watcher.execute(
            f"""
            CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF '{event}' IN ('', to_jsonb(NEW) -> 'body' ->> 'event') AND nextval('gate_passed') = {number} THEN
                    PERFORM pg_advisory_xact_lock({LOCK});
                END IF;
                RETURN NEW;
            END $$
            """
        )
        self.watcher.execute(
            f"CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION gate()"
        )

    def waiting(self) -> int | None:
        """Return which session of the database waits there."""
        found = self.watcher.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", [LOCK]
        ).fetchone()
        return found[0] if found else None

    def is_gone(self, session: int) -> bool:
        """Tell whether a session of the database has ended."""
        return not self.watcher.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [session]).fetchall()

    def hang_up(self, session: int) -> None:
        """End a session whose client is gone, as the server does when it notices."""
        self.watcher.execute("SELECT pg_terminate_backend(%s)", [session])

    def take_away(self) -> None:
        """Let everybody through, and leave nothing of it behind."""
        self.watcher.execute("SELECT pg_advisory_unlock_all()")
        self.watcher.execute("DROP FUNCTION IF EXISTS gate CASCADE")
        self.watcher.execute("DROP SEQUENCE IF EXISTS gate_passed")


@pytest.fixture
def gate() -> Iterator[Gate]:
    with psycopg.connect(**_address(), autocommit=True) as watcher:
        made = Gate(watcher)
        yield made
        made.take_away()


def _address() -> dict[str, Any]:
    said = connection.settings_dict
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return {name: said[key] for name, key in names.items() if said[key]}


def killed(work: Callable[[], object], gate: Gate) -> None:
    """Have a process of its own do the work, end it with SIGKILL where it waits, and have its session ended."""
    connections.close_all()
    process = forked(work)
    assert wait_until(lambda: gate.waiting() is not None, timeout_seconds=20), "the worker never came to the gate"
    session = gate.waiting()
    assert session is not None
    process.kill()
    process.join()
    assert process.exitcode == -9
    gate.hang_up(session)
    assert wait_until(lambda: gate.is_gone(session), timeout_seconds=10)


@pytest.fixture
def crew() -> list[Person]:
    return [cast.hire(f"Crew{number} Member", department="Finance") for number in range(PEOPLE)]


def give(people: list[Person], *roles: Entitlement) -> list[Grant]:
    new = [
        grants.NewGrant(one.pk, role.pk, role.application_id, GrantCause.MANUAL, now() - HOUR, OPEN_END)
        for one in people
        for role in roles
    ]
    with transaction.atomic():
        return grants.start_many(new, at=now(), actor=TESTING)


def recorded(event: str) -> Counter[str]:
    """Return how often each subject an event is first about was recorded with it."""
    said = [one.body for one in Pending.objects.order_by("id")]
    return Counter(body["subjects"][0]["ref"] for body in said if body["event"] == event)


def ended() -> int:
    return Grant.objects.filter(end_ordered_at__isnull=False).count()


def assert_each_ended_once(wanted: int) -> None:
    takes = Counter(Operation.objects.filter(kind="take").values_list("origin", flat=True))
    assert ended() == Grant.objects.count() == len(takes) == wanted
    assert set(takes.values()) == set(recorded("grant.ended").values()) == {1}
    assert len(recorded("grant.ended")) == wanted


def assert_each_has_one_revision_more(wanted: int) -> None:
    assert GrantRevision.objects.count() == 2 * wanted
    assert set(Grant.objects.values_list("revision", flat=True)) == {2}


def test_a_run_of_a_rule(gate: Gate, crew: list[Person], analyst: Entitlement, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_runs, "BATCH", BATCH)
    rule_runs.change_rule(RuleTerms("Finance", 'department eq "Finance"', [analyst]), actor=TESTING)
    gate.close("ledger_pending", FIFTH, "grant.started")

    killed(rule_runs.work, gate)
    run = RuleRun.objects.get()
    assert (run.done, run.started, run.failures, Grant.objects.count()) == (BATCH, BATCH, 0, BATCH)
    rule_runs.work()

    run = RuleRun.objects.get()
    assert (run.done, run.started, run.finished_at is not None) == (PEOPLE, PEOPLE, True)
    assert Grant.objects.count() == GrantRevision.objects.count() == len(recorded("grant.started")) == PEOPLE
    assert Counter(Operation.objects.values_list("kind", "person_id")) == {("give", one.pk): 1 for one in crew}
    assert recorded("rule.applied") == {"finance": 1}


def test_a_replay_of_past_requests(
    gate: Gate, crew: list[Person], analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_runs, "AT_ONCE", 0)
    monkeypatch.setattr(replay_runs, "BATCH", BATCH)
    for one in crew:
        requests.submit(one, analyst, cast.ask(), actor=cast.acting(one))
    run = replay_runs.ask(PolicyTerms(stages=()), analyst.policy.slug, person=crew[0])
    gate.close("access_replayrun", 2)

    killed(replay_runs.work, gate)
    run.refresh_from_db()
    assert (run.state, run.done, run.tally["counts"]) == ("running", BATCH, {"automatic": BATCH})
    replay_runs.work()

    run.refresh_from_db()
    assert (run.state, run.done, run.total, run.failures) == ("done", PEOPLE, PEOPLE, 0)
    assert run.tally["counts"] == {"automatic": PEOPLE}
    assert len({number for _, number in run.tally["different"]}) == PEOPLE


def test_ending_what_is_retired(
    gate: Gate, crew: list[Person], analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", BATCH)
    give(crew, analyst)
    catalog_retiring.retire_entitlement(analyst, actor=TESTING)
    gate.close("ledger_pending", FIFTH, "grant.ended")

    killed(sweep.sweep, gate)
    assert (ended(), retiring.still_running(analyst.application)) == (BATCH, PEOPLE - BATCH)
    sweep.sweep()

    assert_each_ended_once(PEOPLE)
    assert_each_has_one_revision_more(PEOPLE)


def test_ordering_what_has_expired(
    gate: Gate, crew: list[Person], analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "BATCH", BATCH)
    give(crew, analyst)
    Grant.objects.update(ends_at=now() - timedelta(minutes=1))
    gate.close("ledger_pending", FIFTH, "grant.ended")

    killed(sweep.sweep, gate)
    assert ended() == BATCH
    sweep.sweep()

    assert_each_ended_once(PEOPLE)
    # That time passes is no revision.
    assert GrantRevision.objects.count() == PEOPLE


def test_a_leaver_with_many_applications(gate: Gate, ada: Person) -> None:
    roles = [cast.add_role(cast.add_application(f"Application {number}")) for number in range(12)]
    give([ada], *roles)
    gate.close("ledger_pending", 7, "grant.ended")

    killed(lambda: leave(ada), gate)
    ada.refresh_from_db()
    assert (ada.status, ended(), Operation.objects.filter(kind="take").count()) == (Status.ACTIVE, 0, 0)
    assert recorded("person.left") == recorded("grant.ended") == {}
    leave(ada)

    ada.refresh_from_db()
    assert ada.status == Status.LEFT
    assert_each_ended_once(12)
    assert_each_has_one_revision_more(12)
    assert list(recorded("person.left").values()) == [1]


def test_carrying_out_what_was_released(
    gate: Gate, crew: list[Person], sam: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holds, "BATCH", BATCH)
    brake.set_limits("scim:okta", brake.Limits(at_least=1, share_percent=0), actor=TESTING)
    leave(cast.hire("First Leaver"), Actor.service("okta", door=Door.SCIM))
    give(crew, analyst)
    for one in crew:
        leave(one, Actor.service("okta", door=Door.SCIM))
    why = "Its administrator confirmed it by telephone."
    assert holds.release(Hold.objects.get().ref, by=sam, reason=why, actor=acting(sam)) == PEOPLE
    gate.close("ledger_pending", FIFTH, "person.left")

    killed(holds.carry_out_released, gate)
    gone = Person.objects.filter(pk__in=[one.pk for one in crew], status=Status.LEFT)
    assert (gone.count(), HeldItem.objects.filter(done_at__isnull=True).count()) == (BATCH, PEOPLE - BATCH)
    holds.carry_out_released()

    assert (gone.count(), HeldItem.objects.filter(done_at__isnull=True).count()) == (PEOPLE, 0)
    assert_each_ended_once(PEOPLE)
    assert_each_has_one_revision_more(PEOPLE)
    assert set(recorded("person.left").values()) == {1}
    assert len(recorded("person.left")) == PEOPLE + 1


def test_reading_the_ledger_for_notices(
    gate: Gate, crew: list[Person], linus: Person, analyst: Entitlement, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = Signer.generate("example.com/ledger")
    seal_everything(signer=signer)
    reading.read_on()
    Notice.objects.all().delete()
    for one in crew:
        stories.submit(one, analyst)
    seal_everything(signer=signer)
    begins = Bookmark.objects.get().next_index
    monkeypatch.setattr(reading, "WINDOW", BATCH)
    gate.close("notices_notice", FIFTH)

    killed(reading.read_on, gate)
    asked = Notice.objects.filter(person=linus, kind="approval.wanted")
    read_to = Bookmark.objects.get().next_index
    submitted = sealed_entries(begins, read_to, events=("request.submitted",))
    assert 0 < asked.count() == len(list(submitted)) < FIFTH
    reading.read_on()

    assert asked.count() == asked.values("cause").distinct().count() == PEOPLE
    assert reading.unread_entries() == 0


def test_addressing_and_sending_mails(gate: Gate, server: MailServer, crew: list[Person]) -> None:
    for number, one in enumerate(crew):
        facts = {"number": number, "person": "Ada Lovelace", "role": "Analyst", "application": "Snowflake"}
        Notice.objects.create(
            person=one, kind="approval.wanted", cause=f"tests:{number}", facts=facts, at=now(), created_at=now(),
            mail_due_at=now(),
        )  # fmt: skip
    gate.close("notices_mail", FIFTH)

    killed(mailing.address_due, gate)
    assert not Mail.objects.exists()
    mailing.address_due()
    assert Mail.objects.count() == Notice.objects.filter(mail__isnull=False).count() == PEOPLE

    gate.take_away()
    # Each is claimed first; then each is written when the server has taken it.
    gate.close("notices_mail", PEOPLE + BATCH)
    killed(mailing.send_due, gate)
    assert (len(server.arrived), Mail.objects.filter(state="sent").count()) == (BATCH, BATCH - 1)
    with time_machine.travel(now() + mailing.CLAIM + timedelta(seconds=1)):
        assert mailing.send_due() == PEOPLE - BATCH + 1

    # What the server had taken and nobody had written down is sent again, so that it can be told for the same mail.
    names = Counter(server.message(number)["Message-ID"] for number in range(len(server.arrived)))
    assert sorted(names.values()) == [1] * (PEOPLE - 1) + [2]
    assert Counter(Mail.objects.values_list("state", flat=True)) == {"sent": PEOPLE}


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """A mail server that Gatehouse is set up to use."""
    with mail_server() as peer:
        settings.MAIL_WAY, settings.EMAIL_HOST, settings.EMAIL_PORT = "smtp", "127.0.0.1", peer.port
        settings.EMAIL_TIMEOUT = 2
        yield peer


def leave(person: Person, actor: Actor = TESTING) -> None:
    with transaction.atomic():
        lifecycle.leave(Person.objects.select_for_update().get(pk=person.pk), actor=actor)
