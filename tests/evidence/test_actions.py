"""Asking for evidence, looking at it before, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.core.actor import Actor, Door
from governance.core.errors import Conflict, Invalid, NotAllowed, NotFound
from governance.evidence import actions, queries
from governance.evidence.controls import FRAMEWORKS, REVIEW_NOTE, framework_pack
from governance.evidence.frameworks import INTENTS, MAPPING
from governance.evidence.models import BundleState, EvidenceBundle
from governance.evidence.reports.registry import REPORTS
from governance.identity.models import Person
from governance.ledger.models import Pending
from tests.cast import TESTING, acting
from tests.evidence.conftest import World, day

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MARCH = {"first": "2026-03-01", "last": "2026-03-31"}


@pytest.fixture(autouse=True)
def june() -> Any:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.mark.parametrize("who", ["audrey", "sam"])
def test_auditors_and_security_administrators_may_ask(who: str, request: pytest.FixtureRequest) -> None:
    person: Person = request.getfixturevalue(who)

    bundle = actions.request_bundle("soc2", **MARCH, actor=acting(person))

    assert (bundle.state, bundle.known_at, bundle.made_by_ref) == (BundleState.QUEUED, NOW, str(person.ref))
    recorded = Pending.objects.latest("id").body
    assert (recorded["event"], recorded["actor"]["ref"]) == ("evidence.requested", str(person.ref))


@pytest.mark.parametrize("who", ["ada", "grace", "linus", "mallory"])
def test_nobody_else_may_ask_or_download(who: str, request: pytest.FixtureRequest) -> None:
    actor = acting(request.getfixturevalue(who))
    ready = actions.request_bundle("soc2", **MARCH, actor=TESTING)
    before = Pending.objects.count()

    with pytest.raises(NotAllowed):
        actions.request_bundle("soc2", **MARCH, actor=actor)
    with pytest.raises(NotAllowed):
        actions.hand_out(ready, actor=actor)
    with pytest.raises(NotAllowed):
        actions.retry_bundle(ready, actor=actor)
    assert (EvidenceBundle.objects.count(), Pending.objects.count()) == (1, before)


def test_a_machine_that_acts_for_nobody_may_not_ask() -> None:
    with pytest.raises(NotAllowed):
        actions.request_bundle("soc2", **MARCH, actor=Actor.service("okta", door=Door.API))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"framework": "iso9000"}, "framework"),
        ({"first": "2026-04-01"}, "to"),
        ({"last": "2026-06-02"}, "to"),
        ({"first": "1 March"}, "from"),
        ({"zone": "Berlin"}, "zone"),
        ({"leaver_sla_hours": 0}, "leaver_sla_hours"),
        ({"freshness_hours": -1}, "freshness_hours"),
        ({"freshness_hours": 10**6}, "freshness_hours"),
        ({"pin": actions.Pin(NOW + timedelta(seconds=1), 1)}, "pin"),
        ({"pin": actions.Pin(NOW, 17)}, "pin"),
    ],
)
def test_a_wrong_question_is_refused_by_the_name_of_the_field(wrong: dict[str, Any], named: str) -> None:
    asked = {"framework": "soc2", **MARCH, **wrong}

    with pytest.raises(Invalid) as refused:
        actions.request_bundle(**asked, actor=TESTING)

    assert set(refused.value.fields) == {named}
    assert not EvidenceBundle.objects.exists()


def test_only_a_failed_bundle_is_built_again() -> None:
    bundle = actions.request_bundle("soc2", **MARCH, actor=TESTING)

    with pytest.raises(Conflict):
        actions.retry_bundle(bundle, actor=TESTING)


def test_a_bundle_is_found_by_its_reference() -> None:
    bundle = actions.request_bundle("soc2", **MARCH, actor=TESTING)

    assert queries.bundle(str(bundle.ref)) == bundle
    assert queries.bundles() == [bundle]
    for unknown in ("x", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(NotFound):
            queries.bundle(unknown)


def test_a_preview_counts_before_anything_is_built(world: World) -> None:
    world.grant("ada", "snowflake/analyst", day(3, 3))
    world.revise("ada", "left", day(3, 20))
    world.connect("snowflake")

    with CaptureQueriesContext(connection) as statements:
        shown = queries.preview_of(queries.question_of("soc2", **MARCH))

    counted = {one.report.id: (one.rows, one.exceptions) for one in shown.reports}
    assert (counted["R01"], counted["R03"], counted["R05"], counted["R06"]) == ((1, 1), (1, 1), (1, 1), (0, 0))
    assert (shown.opening, shown.started, shown.ended, shown.closing) == (0, 1, 0, 1)
    assert [gap.code for gap in shown.gaps] == ["never_read", *["not_built"] * 2]
    assert len(statements) == 6, [one["sql"][:60] for one in statements]
    assert not EvidenceBundle.objects.exists()


def test_a_preview_refuses_what_a_bundle_refuses() -> None:
    with pytest.raises(Invalid):
        queries.preview_of(queries.question_of("soc2", first="2026-03-01", last="2026-02-01"))


def test_each_control_is_shown_with_the_reports_that_speak_to_it(world: World) -> None:
    controls = queries.controls_of(queries.preview_of(queries.question_of("soc2", **MARCH)))

    by_id = {one.control.id: [shown.report.id for shown in one.reports] for one in controls}
    assert by_id["CC6.2"] == ["R01", "R02", "R03", "R04", "R05", "R09", "R15"]
    reviews = next(one.control for one in controls if one.control.id == "CC1.5")
    assert [one.id for one in reviews.unbuilt] == ["R12", "R13"]
    assert "not yet reviewed" in queries.mapping_note()


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_the_pack_of_a_framework_has_every_report_and_says_which_cannot_be_given(framework: str) -> None:
    assert [report.id for report in framework_pack(framework)] == [report.id for report in REPORTS]
    assert [one.id for one in FRAMEWORKS[framework].unbuilt] == ["R12", "R13"]
    assert all(control.reports for control in FRAMEWORKS[framework].controls)
    assert all(set(ids) <= INTENTS[framework].keys() for ids in MAPPING[framework].values())
    assert REVIEW_NOTE.endswith("by a practitioner.")


def test_every_column_and_exception_is_in_the_dictionary() -> None:
    for report in framework_pack("soc2"):
        said = report.dictionary()
        assert [column["name"] for column in said["columns"]] == list(report.header)  # type: ignore[attr-defined]
        assert all(column["meaning"].endswith(".") for column in said["columns"])  # type: ignore[attr-defined]
        assert all(f"THEN '{code}'" in report.sql for code, _ in report.exceptions)
        assert report.sql.count("THEN '") >= len(report.exceptions)
