"""Every bundle says of each of its exceptions who answers for it, why it is there and until when it is fixed (R24)."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from pypdf import PdfReader

from governance.evidence import actions as evidence
from governance.evidence import continuous
from governance.evidence.models import EvidenceBundle
from governance.evidence.reports.registry import BY_ID
from governance.evidence.verifier import checking
from governance.evidence.verifier.container import Bundle, open_bundle
from governance.exceptions import actions
from governance.exceptions.models import ControlException
from governance.identity.models import Person
from governance.ledger.notes import Signer
from tests import cast
from tests.evidence import issued as story

pytestmark = pytest.mark.django_db(transaction=True)

MARCH_10 = datetime(2026, 3, 10, 9, tzinfo=UTC)
Rows = dict[str, dict[str, str]]


@pytest.fixture(autouse=True)
def april(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signer: Signer
) -> Iterator[time_machine.Traveller]:
    """The story of March was told, access changes and leavers were read on the tenth; it is the second of April."""
    settings.BUNDLE_DIR = tmp_path / "bundles"
    monkeypatch.setattr(continuous, "reports_read", lambda: (BY_ID["R03"], BY_ID["R05"]))
    story.tell_the_story()
    story.seal(signer)
    with time_machine.travel(MARCH_10, tick=False) as clock:
        continuous.read_due()
        yield clock


def build(signer: Signer, **known: Any) -> tuple[EvidenceBundle, Bundle, Rows]:
    made = story.build(story.ask_for(**known), signer)
    packed = open_bundle(story.file_of(made))
    rows = csv.DictReader(io.StringIO(packed.text("reports/R24_exceptions.csv"), newline=""))
    return made, packed, {row["row_id"]: row for row in rows}


def said_about(report: str, **known: Any) -> ControlException:
    """Have security say something about the first exception of a report."""
    sam = Person.objects.filter(user_name="sam@halden.example").first()
    sam = sam or cast.make_security_admin(cast.hire("Sam Okoro"))
    found = ControlException.objects.filter(report=report).order_by("row_id")[0]
    said = {"owner": None, "explanation": "", "fix_by": None, **known}
    actions.answer(found, actor=cast.acting(sam), **said)
    return found


def test_each_exception_of_a_bundle_carries_what_was_said_and_the_bundle_verifies(
    signer: Signer, april: time_machine.Traveller
) -> None:
    linus = Person.objects.get(user_name="linus@halden.example")
    late = said_about("R05", owner=linus, explanation='=HYPERLINK("x") was the cause', fix_by=date(2026, 3, 20))
    given = said_about("R03", explanation="Given by hand.")
    sam = Person.objects.get(user_name="sam@halden.example")
    actions.set_report_owner("R05", sam, actor=cast.acting(sam))
    april.move_to(story.APRIL)

    made, packed, rows = build(signer)

    flagged = {
        f"{report}:{row['row_id']}"
        for report in made.summary["reports"]
        if report != "R24"
        for row in csv.DictReader(io.StringIO(packed.text(_file(packed, report)), newline=""))
        if row["exceptions"]
    }
    assert set(rows) == flagged
    overdue = rows[f"R05:{late.row_id}"]
    assert overdue["state"] == "overdue"
    assert overdue["explanation"] == '\'=HYPERLINK("x") was the cause'
    assert (overdue["owner_ref"], overdue["owner_name"], overdue["fix_by"]) == (
        str(linus.ref),
        "Linus Berg",
        "2026-03-20",
    )
    assert overdue["exceptions"] == "overdue"
    assert overdue["first_seen_at"] == "2026-03-10T09:00:00.000000Z"
    assert overdue["first_entry"] < overdue["last_entry"]
    explained = rows[f"R03:{given.row_id}"]
    assert (explained["state"], explained["owners_by_default"]) == ("explained", f"Linus Berg [{linus.ref}]")
    # What no reading has seen is said to be so: the bundle shows more than the two reports that were read.
    assert Counter(row["state"] for row in rows.values() if row["report"] in ("R03", "R05")) == Counter(
        {"overdue": 1, "explained": 1, "open": 1}
    )
    assert {row["state"] for row in rows.values() if row["report"] not in ("R03", "R05")} == {"not read yet"}
    assert checking.verify(packed, signer.verifier_key, None)
    cover = packed.text("reports/R00_cover_and_sources.csv")
    assert "exceptions,overdue,1\n" in cover
    assert "exceptions,explained,1\n" in cover
    paper = PdfReader(io.BytesIO(packed.content("cover.pdf"))).pages[0].extract_text()
    assert "1 open, 1 explained, 1 overdue" in " ".join(paper.split())
    risks = json.loads(packed.text("oscal/assessment-results.json"))["assessment-results"]["results"][0]["risks"]
    told = {risk["title"]: risk for risk in risks}["R05 still_open over_sla"]
    assert (told["status"], told["deadline"], told["statement"]) == (
        "open",
        "2026-03-20T23:00:00.000000Z",
        "Explained in R24.",
    )
    assert "HYPERLINK" not in packed.text("oscal/assessment-results.json")


def _file(packed: Bundle, report: str) -> str:
    return next(name for name in packed.names if name.startswith(f"reports/{report}_") and name.endswith(".csv"))


def test_a_bundle_says_what_was_known_at_its_cut_and_is_the_same_bytes_later(
    signer: Signer, april: time_machine.Traveller
) -> None:
    found = said_about("R03", explanation="Given by hand.")
    april.move_to(story.APRIL)
    first, _, before = build(signer)

    april.shift(timedelta(days=20))
    said_about("R03", explanation="It was an emergency.", fix_by=date(2026, 5, 1))
    continuous.read_due()
    pin = evidence.Pin(first.known_at, first.ledger_size or 0)
    again, _, _ = build(signer, pin=pin)
    later, _, after = build(signer)

    assert again.sha256 == first.sha256
    assert later.sha256 != first.sha256
    row = f"R03:{found.row_id}"
    assert (before[row]["explanation"], after[row]["explanation"]) == ("Given by hand.", "It was an emergency.")
    assert (before[row]["statements"], after[row]["statements"]) == ("1", "2")


def test_what_has_gone_since_a_reading_is_there_and_said_to_be_fixed(
    signer: Signer, april: time_machine.Traveller
) -> None:
    """The bundle no longer shows the row, and the period did: the auditor sees that it was found and when it went."""
    found = ControlException.objects.get(report="R05")
    ControlException.objects.create(
        report="R05", row_id="person:nobody:0001", codes="late_notice", period_first=date(2026, 1, 1),
        first_seen_at=MARCH_10, open_since=MARCH_10, turn="opened", turned_by=found.turned_by,
    )  # fmt: skip
    april.shift(timedelta(days=1))
    story.seal(signer)
    continuous.read_due()
    april.move_to(story.APRIL)

    _, packed, rows = build(signer)

    gone = rows["R05:person:nobody:0001"]
    assert (gone["state"], gone["in_bundle"], gone["gone_at"]) == ("fixed", "no", "2026-03-11T09:00:00.000000Z")
    assert gone["exceptions"] == ""
    assert rows[f"R05:{found.row_id}"]["in_bundle"] == "yes"
    assert checking.verify(packed, signer.verifier_key, None)


def test_a_bundle_of_some_applications_says_nothing_of_exceptions_in_others(
    signer: Signer, april: time_machine.Traveller
) -> None:
    cast.add_application("Linear")
    april.move_to(story.APRIL)

    _, _, rows = build(signer, applications=["linear"])

    assert {row["application"] for row in rows.values()} <= {"", "linear", "gatehouse"}
    assert not [row for row in rows.values() if row["report"] == "R03"]
    assert [row for row in rows.values() if row["report"] == "R05"]
