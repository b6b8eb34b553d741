"""R14 to R22: what failed, whose accounts nobody uses or answers for, and what the ledger says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from governance.core.actor import Actor, Door
from governance.identity import roles
from governance.identity.models import Person
from governance.ledger import findings
from governance.ledger.models import Checkpoint
from governance.ledger.recording import Subject, record
from governance.ledger.sequencer import seal_pending
from governance.provisioning.models import Account
from tests.cast import TESTING, acting
from tests.evidence.conftest import LONG_AGO, Rows, World, day

Report = Callable[..., Rows]
SNOWFLAKE = "snowflake/analyst"


def only(rows: Rows) -> dict[str, str]:
    assert len(rows) == 1, rows
    return rows[0]


@pytest.fixture
def at(time_machine: Any) -> Callable[..., None]:
    """Be at an instant."""
    return lambda instant: time_machine.move_to(instant, tick=False)


@pytest.fixture
def sealed(db: None, signer: Any) -> Callable[[], int]:
    """Seal what is recorded and return the size."""

    def seal() -> int:
        while seal_pending(signer=signer):
            pass
        with connection.cursor() as cursor:
            cursor.execute("SELECT max(size) FROM ledger_checkpoint")
            return int(cursor.fetchone()[0])

    return seal


def note(event: str, *subjects: Subject, actor: Actor = TESTING, **data: object) -> None:
    with transaction.atomic():
        record(event, actor=actor, subjects=list(subjects), data=data)


def test_a_failed_order_is_listed_until_it_was_read_back(
    world: World, report: Report, at: Callable[..., None], sealed: Callable[[], int]
) -> None:
    order = world.take("ada", SNOWFLAKE, day(2, 27))
    subject = Subject("operation", str(order.pk))
    at(day(3, 2))
    note("operation.failed", subject)
    open_until = sealed()
    at(day(3, 3))
    note("operation.failed", subject)
    at(day(3, 4))
    note("operation.verified", subject)
    size = sealed()

    row = only(report("R14", ledger_size=size))
    assert (row["failures"], row["resolved_how"], row["hours_open"]) == ("2", "read back", "48.000")
    assert row["exceptions"] == "removal_failed"
    assert only(report("R14", ledger_size=open_until))["exceptions"] == "still_open removal_failed"
    assert report("R14", ledger_size=0) == []


def test_what_is_seen_without_a_grant_is_drift_from_the_end_of_the_grant_on(world: World, report: Report) -> None:
    world.grant("ada", SNOWFLAKE, day(2, 1), day(3, 10))
    world.see("ada", SNOWFLAKE, day(2, 2), day(3, 12))
    world.grant("grace", "github/developer", day(2, 1))
    world.see("grace", "github/developer", day(2, 1))
    world.see("linus", "okta/user", day(3, 20))

    rows = {
        row["person_name"]: (row["raised_at"][:10], row["resolved_how"], row["exceptions"]) for row in report("R14")
    }

    assert rows == {
        "Ada": ("2026-03-10", "seen gone", "seen_without_grant"),
        "Linus": ("2026-03-20", "", "still_open seen_without_grant"),
    }


def test_every_stretch_without_a_grant_is_a_row_and_the_one_that_is_open_is_never_hidden(
    world: World, report: Report
) -> None:
    world.grant("ada", SNOWFLAKE, day(2, 1), day(3, 5))
    world.grant("ada", SNOWFLAKE, day(3, 8), day(3, 20))
    world.see("ada", SNOWFLAKE, day(2, 2))

    rows = [(row["raised_at"][:10], row["resolved_at"][:10], row["resolved_how"]) for row in report("R14")]

    assert rows == [("2026-03-05", "2026-03-08", "granted"), ("2026-03-20", "", "")]
    assert len({row["row_id"] for row in report("R14")}) == 2


def test_accounts_that_nobody_uses_or_answers_for_are_listed_and_nothing_is_concluded_where_use_is_not_told(
    world: World, report: Report
) -> None:
    world.see("ada", SNOWFLAKE, day(1, 1))
    world.see("grace", SNOWFLAKE, day(1, 1))
    world.see("linus", "github/developer", LONG_AGO)
    Account.objects.filter(user_name="ada").update(last_used_at=LONG_AGO)
    Account.objects.filter(user_name="grace").update(last_used_at=day(3, 30))
    world.see(None, "github/developer", day(1, 1))

    rows = {row["account"].lstrip("'"): row for row in report("R15")}

    assert rows["ada"]["exceptions"] == "dormant no_owner"
    assert rows["grace"]["exceptions"] == "no_owner"
    assert (rows["linus"]["use_is_told"], rows["linus"]["days_unused"]) == ("no", "")
    assert rows["=HYPERLINK()"]["exceptions"] == "no_person no_owner"


def test_credentials_and_failed_sign_ins_come_from_the_ledger(
    world: World, report: Report, at: Callable[..., None], sealed: Callable[[], int]
) -> None:
    ada = world.person("ada")
    at(day(3, 2))
    note("login.failed", Subject("person", str(ada.ref)), because="password")
    with transaction.atomic():
        roles.issue_token("api", "Nightly", acts_for=ada, actor=acting(ada))
    at(day(4, 2))
    note("login.failed", Subject("login", "sign-in"), because="password")

    rows = report("R16", ledger_size=sealed())

    assert [(row["event"], row["exceptions"]) for row in rows] == [("login.failed", "failed"), ("token.issued", "")]
    assert rows[0]["about"] == f"person:{ada.ref}"


def test_silence_of_the_ledger_is_an_interruption_and_comparisons_and_anchors_stand_in_it(
    report: Report, at: Callable[..., None], sealed: Callable[[], int]
) -> None:
    at(day(3, 1, 10))
    note("ledger.compared", Subject("comparison", "1"), size=1, tables=61, rows=100, differences=2)
    sealed()
    at(day(3, 1, 13))
    note("checkpoint.anchor_failed", Subject("anchor", "1"), size=1)
    size = sealed()

    rows = {row["what"]: row for row in report("R17", ledger_size=size)}

    assert rows["interruption"]["longest_gap_seconds"] == "10800.000"
    assert rows["verification"]["exceptions"] == "differences"
    assert rows["anchor"]["exceptions"] == "anchor_failed"
    assert int(rows["heads"]["number"]) == Checkpoint.objects.count()
    assert rows["heads"]["last_size"] == str(size)


def test_a_finding_is_an_exception_until_it_is_owned_explained_and_closed(
    world: World, report: Report, at: Callable[..., None]
) -> None:
    sam: Person = world.person("sam")
    at(day(3, 5))
    seen = findings.Seen("out_of_band", "tx:9", "access_grant", rows=3, operation="update", database_role="dba")
    findings.keep([seen], at=day(3, 5), actor=TESTING)

    row = only(report("R19"))
    assert (row["table_name"], row["rows"], row["database_role"]) == ("access_grant", "3", "dba")
    assert row["exceptions"] == "unexplained open no_owner"

    finding = findings.take(int(row["finding_id"]), actor=acting(sam))
    findings.close(finding.pk, "Repaired by hand.", fixed_by="2026-03-06", actor=acting(sam))
    assert only(report("R19"))["exceptions"] == ""


def test_a_policy_is_listed_with_both_texts_and_both_people(
    world: World, report: Report, at: Callable[..., None], sealed: Callable[[], int]
) -> None:
    policy = world.role(SNOWFLAKE).policy
    at(day(3, 5))
    policy.versions.create(
        number=2, effective_at=day(3, 5), created_at=day(3, 5), created_by_ref="x", stages=[{"kind": "manager"}]
    )
    note("policy.changed", Subject("policy", policy.slug), version=2)

    rows = report("R20", ledger_size=sealed())

    row = only([row for row in rows if row["event"] == "policy.changed"])
    assert '"owner"' in row["before"]
    assert '"manager"' in row["after"]
    assert row["exceptions"] == "no_second_person"


def test_who_took_evidence_is_listed(report: Report, at: Callable[..., None], sealed: Callable[[], int]) -> None:
    at(day(3, 5))
    auditor = Actor.service("auditor", door=Door.API)
    note("evidence.downloaded", Subject("bundle", "b"), actor=auditor, size=7)

    row = only(report("R22", ledger_size=sealed()))

    assert (row["event"], row["actor_ref"], row["about"]) == ("evidence.downloaded", "auditor", "bundle:b")
    assert row["data"] == '{"size": 7}'


def test_holds_and_erasures_are_listed(report: Report, at: Callable[..., None], sealed: Callable[[], int]) -> None:
    at(day(3, 5))
    note("legal_hold.placed", Subject("legal_hold", "h"), people=1)
    note("subject.erased", Subject("person", "p"), places=3)

    rows = report("R21", ledger_size=sealed())

    assert [(row["event"], row["about"]) for row in rows] == [
        ("legal_hold.placed", "legal_hold:h"),
        ("subject.erased", "person:p"),
    ]


def test_a_stretch_of_the_log_that_nobody_looked_through_is_flagged(
    report: Report, at: Callable[..., None], sealed: Callable[[], int]
) -> None:
    at(day(3, 5))
    for name, due in (("1", "2026-03-09T00:00:00+00:00"), ("2", "2026-03-09T00:00:00+00:00")):
        note("log_review.opened", Subject("log_review", name), due_at=due)
    note("log_review.opened", Subject("log_review", "3"), due_at="2030-01-01T00:00:00+00:00")
    note("log_review.signed", Subject("log_review", "1"), is_late=True)

    rows = report("R18", ledger_size=sealed())

    assert [(row["about"], row["exceptions"]) for row in rows] == [
        ("log_review:1", ""),
        ("log_review:2", "missed"),
        ("log_review:3", ""),
        ("log_review:1", "late"),
    ]
