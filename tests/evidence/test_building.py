"""Bundles: the same question gives the same bytes, and a killed builder costs nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection

from governance.access.models import Grant
from governance.core.errors import DomainError
from governance.evidence import actions, building, files, ledger_files, tasks
from governance.evidence.models import BundleState, EvidenceBundle, ExportedManifest
from governance.evidence.reports.registry import REPORTS
from governance.evidence.verifier import checking
from governance.evidence.verifier.container import open_bundle
from governance.ledger.models import Entry, EntrySubject
from governance.ledger.notes import Signer
from governance.ledger.watching import out_of_band
from tests.cast import TESTING
from tests.evidence import issued as story

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def april(settings: Any, tmp_path: Path) -> Iterator[time_machine.Traveller]:
    """The story of March was told; it is the second of April. Bundles go to a folder of their own."""
    settings.BUNDLE_DIR = tmp_path / "bundles"
    story.tell_the_story()
    with time_machine.travel(story.APRIL, tick=False) as clock:
        yield clock


def exports() -> int:
    return Entry.objects.filter(event="evidence.exported").count()


def pin_of(bundle: EvidenceBundle) -> actions.Pin:
    assert bundle.ledger_size is not None
    return actions.Pin(bundle.known_at, bundle.ledger_size)


def manifest_of(bundle: EvidenceBundle) -> dict[str, Any]:
    return json.loads(open_bundle(story.file_of(bundle)).text("manifest.json"))


def test_a_bundle_holds_every_report_and_verifies(signer: Signer) -> None:
    bundle = story.build(story.ask_for(), signer)

    assert bundle.state == BundleState.READY
    rows = {name: one["rows"] for name, one in bundle.summary["reports"].items()}
    assert rows.keys() == {*(report.id for report in REPORTS), "R24"}
    assert {name: rows[name] for name in ("R01", "R03", "R05")} == {"R01": 1, "R03": 5, "R05": 1}
    assert checking.verify(open_bundle(story.file_of(bundle)), signer.verifier_key, None)
    assert hashlib.sha256(story.file_of(bundle).read_bytes()).hexdigest() == bundle.sha256
    checks = manifest_of(bundle)["checks"]
    assert {one["report"]: (one["agrees"], one["rows"], one["counted"]) for one in checks["second_count"]} == {
        "R01": (True, 1, 1), "R03": (True, 5, 5), "R05": (True, 1, 1),
    }  # fmt: skip
    said = open_bundle(story.file_of(bundle)).text("ledger/verification.txt")
    assert said.startswith(f"The ledger holds: {bundle.ledger_size} entries")
    assert not building.folder_of(bundle).exists()


def test_the_same_question_at_the_same_pin_gives_the_same_bytes_on_another_day(
    signer: Signer, april: time_machine.Traveller
) -> None:
    first = story.build(story.ask_for(), signer)
    april.shift(timedelta(days=40))
    story.later_facts()
    again = story.build(story.ask_for(pin=pin_of(first)), signer)

    assert again.manifest_sha256 == first.manifest_sha256
    assert story.file_of(again).read_bytes() == story.file_of(first).read_bytes()
    assert exports() == 1


def test_a_larger_pin_knows_the_late_facts(signer: Signer, april: time_machine.Traveller) -> None:
    first = story.build(story.ask_for(), signer)
    april.shift(timedelta(days=40))
    story.later_facts()
    later = story.build(story.ask_for(), signer)

    assert later.manifest_sha256 != first.manifest_sha256
    assert exports() == 2
    assert manifest_of(later)["ledger"]["size"] > manifest_of(first)["ledger"]["size"]


def test_two_builders_at_the_same_pin_share_one_entry(signer: Signer) -> None:
    first = story.build(story.ask_for(), signer)
    bundles = [story.ask_for(pin=pin_of(first)) for _ in range(2)]

    built = [story.build(bundle, signer) for bundle in bundles]

    assert {bundle.sha256 for bundle in built} == {first.sha256}
    assert ExportedManifest.objects.count() == 1


def test_another_framework_is_another_bundle_over_the_same_facts(signer: Signer) -> None:
    first = story.build(story.ask_for("soc2"), signer)
    other = story.build(story.ask_for("hipaa", pin=pin_of(first)), signer)

    assert first.sha256 != other.sha256
    assert [one["version"] for one in manifest_of(first)["reports"][1:]] == [
        one["version"] for one in manifest_of(other)["reports"][1:]
    ]


def test_nothing_is_read_before_what_was_recorded_is_sealed(signer: Signer) -> None:
    bundle = story.ask_for()

    assert building.advance(bundle.pk) is False

    bundle.refresh_from_db()
    assert (bundle.state, bundle.ledger_size) == (BundleState.SEALING, None)
    assert "seal what was recorded before" in bundle.step


def test_it_is_not_ready_before_the_log_has_sealed_the_manifest(signer: Signer) -> None:
    bundle = story.ask_for()
    story.seal(signer)

    assert [building.advance(bundle.pk), building.advance(bundle.pk)] == [False, False]

    bundle.refresh_from_db()
    assert (bundle.state, bundle.attempts) == (BundleState.PROVING, 1)
    with pytest.raises(DomainError, match="not ready"):
        actions.hand_out(bundle, actor=TESTING)


KILLED_AT = [
    (files, "copy_out"),
    (files, "write_support"),
    (building, "_record_export"),
    (building, "_proof_of_manifest"),
    (building, "write_proof_of_manifest"),
    (building, "_write_sums"),
    (building, "pack"),
]


def test_a_builder_killed_before_or_after_any_step_costs_nothing(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is gone in the middle: no clean-up runs, the next one goes on from the row."""
    wrong = []
    for number, (module, name, when) in enumerate(
        [(module, name, when) for module, name in KILLED_AT for when in ("before", "after")], start=1
    ):
        bundle = story.ask_for()
        with monkeypatch.context() as patched:
            patched.setattr(module, name, _killed(getattr(module, name), when))
            with pytest.raises(KeyboardInterrupt):
                story.build(bundle, signer)
        connection.close()

        bundle = story.build(bundle, signer)

        checking.verify(open_bundle(story.file_of(bundle)), signer.verifier_key, None)
        if (bundle.state, exports()) != (BundleState.READY, number):
            wrong.append(f"{when} {name}: {bundle.state}, {exports()} exports")

    assert wrong == []


def _killed(real: Callable[..., Any], when: str) -> Callable[..., Any]:
    def killed(*args: Any, **known: Any) -> Any:
        if when == "after":
            real(*args, **known)
        raise KeyboardInterrupt

    return killed


def test_another_worker_without_the_first_ones_disk_starts_over(signer: Signer) -> None:
    bundle = story.ask_for()
    story.seal(signer)
    building.advance(bundle.pk)
    for path in sorted(building.folder_of(bundle).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()

    bundle = story.build(bundle, signer)

    assert (bundle.state, exports()) == (BundleState.READY, 1)


def test_a_bundle_that_always_fails_is_given_up_and_can_be_tried_again(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = story.ask_for()
    story.seal(signer)
    with monkeypatch.context() as broken:
        broken.setattr(files, "copy_out", lambda *args: 1 // 0)
        for _ in range(5):
            building.advance(bundle.pk)
    bundle.refresh_from_db()
    assert (bundle.state, bundle.attempts) == (BundleState.FAILED, 3)

    actions.retry_bundle(bundle, actor=TESTING)

    assert story.build(bundle, signer).state == BundleState.READY


def test_a_failed_bundle_says_why_and_the_ledger_knows(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*args: Any) -> None:
        raise DomainError("The bundle would be larger than 4 GB.")

    monkeypatch.setattr(building, "pack", too_large)

    bundle = story.build(story.ask_for(), signer)

    story.seal(signer)
    assert (bundle.state, bundle.last_error) == (BundleState.FAILED, "The bundle would be larger than 4 GB.")
    assert Entry.objects.filter(event="evidence.failed").exists()


def test_only_one_builder_has_a_bundle(signer: Signer) -> None:
    bundle = story.ask_for()
    story.seal(signer)
    elsewhere: list[bool] = []

    def other() -> None:
        elsewhere.append(building.advance(bundle.pk))
        elsewhere.append(bool(building.advance_due()))
        connection.close()

    with building._turn(bundle.pk), building._turn(building.EVERY_BUNDLE):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    bundle.refresh_from_db()
    assert (elsewhere, bundle.state) == ([False, False], BundleState.QUEUED)


def test_the_sweep_finishes_what_is_open(signer: Signer) -> None:
    bundle = story.ask_for()
    finished = 0
    for _ in range(3):
        finished += tasks.build_due()
        story.seal(signer)

    bundle.refresh_from_db()
    assert (finished, bundle.state) == (1, BundleState.READY)
    assert tasks.build_due() == 0


def test_asking_exporting_and_handing_out_are_in_the_ledger_without_names(signer: Signer) -> None:
    bundle = story.build(story.ask_for(), signer)
    path = actions.hand_out(bundle, actor=TESTING)
    story.seal(signer)

    about = EntrySubject.objects.filter(kind="bundle", ref=str(bundle.ref)).values_list("entry__event", flat=True)
    steps = ("requested", "exported", "ready", "downloaded")
    assert list(about.order_by("entry_id")) == [f"evidence.{step}" for step in steps]
    assert path == story.file_of(bundle)


def test_entries_in_a_bundle_hold_no_personal_data(signer: Signer) -> None:
    bundle = open_bundle(story.file_of(story.build(story.ask_for(), signer)))

    entries = bundle.text("ledger/entries.ndjson") + bundle.text("ledger/manifest_entry.json")

    assert entries.count("\n") >= 5
    assert not [name for name in ("Ada", "Lovelace", "halden", "Mallory", "HYPERLINK") if name in entries]


def test_entries_over_the_cap_are_left_out_and_the_manifest_says_how_many(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_files, "MOST_ENTRIES", 2)
    monkeypatch.setattr(ledger_files, "MOST_LEAVES", 2)

    bundle = story.build(story.ask_for(), signer)

    said = manifest_of(bundle)["ledger"]
    assert said["entries"] == 2
    assert said["entries_left_out"] > 0
    assert "ledger/leaves.bin" not in open_bundle(story.file_of(bundle)).names
    assert checking.verify(open_bundle(story.file_of(bundle)), signer.verifier_key, None)


def test_a_bundle_over_nothing_states_the_nil_result(signer: Signer) -> None:
    bundle = story.build(story.ask_for(first="2025-01-01", last="2025-01-31"), signer)

    cover = open_bundle(story.file_of(bundle)).text("reports/R00_cover_and_sources.csv")
    assert "nil,R03,Access changes: the query ran and found no row. The nil result is the evidence." in cover
    assert Grant.objects.exists()


def test_a_source_that_was_never_read_is_a_gap_and_not_an_absence(signer: Signer) -> None:
    bundle = story.build(story.ask_for(), signer)

    cover = open_bundle(story.file_of(bundle)).text("reports/R00_cover_and_sources.csv")
    assert [gap["code"] for gap in bundle.summary["gaps"]] == ["not_connected", *["not_built"] * 2]
    assert "gap,not_connected snowflake," in cover
    assert "gap,not_built R12," in cover
    assert "roll_forward,difference,0" in cover


def test_a_file_that_is_gone_is_said_to_be_gone(signer: Signer) -> None:
    bundle = story.build(story.ask_for(), signer)
    story.file_of(bundle).unlink()

    with pytest.raises(DomainError, match="no longer there"):
        actions.hand_out(bundle, actor=TESTING)


def late_rows(packed: Path, stem: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(open_bundle(packed).text(f"late_facts/{stem}.csv"), newline="")))


def test_a_bundle_says_what_became_known_since_an_earlier_one(signer: Signer, april: time_machine.Traveller) -> None:
    first = story.build(story.ask_for(), signer)
    april.shift(timedelta(days=40))
    story.later_facts()

    later = story.build(actions.ask_what_came_since(first, actor=TESTING), signer)

    bundle = open_bundle(story.file_of(later))
    assert checking.verify(bundle, signer.verifier_key, None)
    leavers = late_rows(story.file_of(later), "R05_leavers")
    assert [
        (row["what"], json.loads(row["after"])["person_name"][1:11]) for row in leavers if row["what"] == "came"
    ] == [("came", "=HYPERLINK")]
    index = next(row["entries"].split()[0] for row in leavers if row["what"] == "came")
    assert int(index) >= (first.ledger_size or 0)
    assert f'"index":{index},' in bundle.text("ledger/proofs/entries.ndjson")
    cover = bundle.text("reports/R00_cover_and_sources.csv")
    assert "late_facts,R05," in cover
    assert f"ledger size {first.ledger_size}" in cover
    assert "late_facts" in later.summary

    april.shift(timedelta(days=9))
    again = story.ask_for(pin=pin_of(later), since=later.since())
    assert story.file_of(story.build(again, signer)).read_bytes() == story.file_of(later).read_bytes()


def test_where_nothing_became_known_it_says_so_report_by_report(signer: Signer, april: time_machine.Traveller) -> None:
    first = story.build(story.ask_for(), signer)
    april.shift(timedelta(minutes=1))

    later = story.build(actions.ask_what_came_since(first, actor=TESTING), signer)

    counts = {one["id"]: (one["came"], one["went"]) for one in later.summary["late_facts"]["reports"]}
    assert {report for report, counted in counts.items() if counted != (0, 0)} == set()
    assert 'late_facts,R03,"0 came, 0 went, 0 changed"' in open_bundle(story.file_of(later)).text(
        "reports/R00_cover_and_sources.csv"
    )


def test_what_building_writes_is_never_a_change_without_an_action(signer: Signer) -> None:
    bundle = story.build(story.ask_for(), signer)
    story.build(story.ask_for(pin=pin_of(bundle)), signer)
    story.seal(signer)

    size = Entry.objects.count()
    found = [one.table for one in out_of_band(0, size) if one.table.startswith("evidence_")]

    assert found == []
    ready = Entry.objects.filter(event="evidence.ready").order_by("index")
    assert [one.body and json.loads(one.body)["data"]["sha256"] for one in ready] == [bundle.sha256] * 2
