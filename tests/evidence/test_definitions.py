"""Definitions: who makes them, what is refused and why, and that a bundle of one says what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction

from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.evidence import definitions, queries
from governance.evidence.models import BundleState, Definition, DefinitionVersion, EvidenceBundle
from governance.evidence.verifier.container import open_bundle
from governance.evidence.verifier.source import verifier_source
from governance.identity.models import RoleName
from governance.identity.roles import assign_role
from governance.ledger.models import Pending
from governance.ledger.notes import Signer
from governance.ledger.queries import verifier_key
from tests import cast
from tests.cast import TESTING, acting
from tests.evidence import issued as story

ACCESS = {"report": "R03", "columns": ["cause", "change"], "filters": {"cause": ["request"]}}


@pytest.fixture
def made(db: None) -> DefinitionVersion:
    return definitions.make("By request", "soc2", reports=[ACCESS, {"report": "R05"}], actor=TESTING)


def events_waiting() -> list[str]:
    said = Pending.objects.filter(body__event__startswith="evidence.definition").order_by("id")
    return [one.body["event"] for one in said]


def test_a_definition_is_kept_in_one_form(db: None) -> None:
    asked: list[dict[str, Any]] = [
        {"report": "R05", "columns": None},
        {"report": "R01", "columns": ["ends_at", "row_id", "cause"], "filters": {"cause": ["request", "", "request"]}},
    ]

    made = definitions.make("  Quarterly ", "soc2", reports=asked, reason=" For March ", actor=TESTING)

    assert (made.name, made.number, made.reason, made.definition.name) == ("Quarterly", 1, "For March", "Quarterly")
    assert made.reports == [
        {
            "report": "R01",
            "columns": ["cause", "ends_at"],
            "filters": {"cause": ["", "request"]},
            "exceptions_only": False,
        },
        {"report": "R05", "columns": None, "filters": {}, "exceptions_only": False},
    ]
    assert made.sha256 == made.selection().sha256


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"name": " "}, "name", "1 to 80"),
        ({"name": "x" * 81}, "name", "1 to 80"),
        ({"framework": "sox"}, "framework", "Choose one of"),
        ({"reports": []}, "reports", "at least one"),
        ({"reports": [{"report": "R99"}]}, "reports", "no report 'R99'"),
        ({"reports": [{"report": "R24"}]}, "reports", "no report 'R24'"),
        ({"reports": [{}]}, "reports", "no report ''"),
        ({"reports": [{"report": "R01"}, {"report": "R01"}]}, "reports", "R01 is chosen twice"),
        ({"reports": [{"report": "R01", "rows": 5}]}, "reports", "rows says nothing here"),
        ({"reports": [{"report": "R01", "columns": ["shoe_size"]}]}, "reports", "R01: There is no column shoe_size"),
        ({"reports": [{"report": "R01", "columns": "cause"}]}, "reports", "columns as a list"),
        ({"reports": [{"report": "R01", "columns": [1]}]}, "reports", "columns as a list"),
        ({"reports": [{"report": "R01", "filters": ["cause"]}]}, "reports", "filters as columns"),
        ({"reports": [{"report": "R01", "filters": {"ends_at": ["x"]}}]}, "reports", "cannot be chosen by ends_at"),
        ({"reports": [{"report": "R01", "filters": {"cause": []}}]}, "reports", "1 to 100 values of cause"),
        ({"reports": [{"report": "R01", "filters": {"cause": "x"}}]}, "reports", "1 to 100 values of cause"),
        ({"reports": [{"report": "R01", "filters": {"cause": ["x\x00"]}}]}, "reports", "no null character"),
        ({"reports": [{"report": "R01", "filters": {"cause": ["x" * 201]}}]}, "reports", "at most 200"),
        ({"reports": [{"report": "R01", "exceptions_only": "yes"}]}, "reports", "true or false"),
        ({"applications": ["nowhere"]}, "applications", "no application nowhere"),
        ({"reason": "x" * 501}, "reason", "At most 500"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(db: None, wrong: dict[str, Any], field: str, said: str) -> None:
    asked: dict[str, Any] = {"name": "Some", "framework": "soc2", "reports": [ACCESS], **wrong}

    with pytest.raises(Invalid) as refused:
        definitions.make(actor=TESTING, **asked)

    assert list(refused.value.fields) == [field]
    assert said in " ".join(refused.value.fields[field])
    assert not Definition.objects.exists()


def test_everything_wrong_is_named_at_once(db: None) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.make("", "soc2", reports=[], applications=["nowhere"], reason="x" * 501, actor=TESTING)

    assert set(refused.value.fields) == {"name", "reports", "applications", "reason"}


@pytest.mark.parametrize(
    ("role", "may"),
    [(RoleName.AUDITOR, True), (RoleName.SECURITY_ADMIN, True), (RoleName.OWNER, False), (None, False)],
    ids=str,
)
def test_auditors_of_the_house_and_security_define(db: None, role: RoleName | None, may: bool) -> None:
    person = cast.hire("Audrey Moss")
    if role:
        assign_role(person, role.value, actor=TESTING)
    actor = acting(person)

    if may:
        made = definitions.make("Some", "soc2", reports=[ACCESS], actor=actor)
        assert made.made_by_ref == actor.ref
        return
    with pytest.raises(NotAllowed):
        definitions.make("Some", "soc2", reports=[ACCESS], actor=actor)


def test_two_in_use_have_different_names(made: DefinitionVersion) -> None:
    with pytest.raises(Conflict, match="already"):
        definitions.make("by REQUEST", "hipaa", reports=[ACCESS], actor=TESTING)

    definitions.retire(made.definition, actor=TESTING)
    definitions.make("by REQUEST", "hipaa", reports=[ACCESS], actor=TESTING)


def test_a_change_is_a_version_and_the_one_before_stays(made: DefinitionVersion) -> None:
    second = definitions.change(made.definition, after=1, name="On request", reports=[ACCESS], actor=TESTING)

    assert (second.number, second.name, second.definition.name) == (2, "On request", "On request")
    assert queries.definition_version(made.definition.ref, 1).name == "By request"
    assert queries.definition_version(made.definition.ref) == second
    assert [one.number for one in queries.versions_of(made.definition)] == [2, 1]
    assert events_waiting() == ["evidence.definition_made", "evidence.definition_changed"]


def test_a_change_from_an_older_version_is_refused(made: DefinitionVersion) -> None:
    definitions.change(made.definition, after=1, name="By request", reports=[ACCESS], actor=TESTING)

    with pytest.raises(Conflict, match="Version 2 was made meanwhile"):
        definitions.change(made.definition, after=1, name="Mine", reports=[ACCESS], actor=TESTING)

    assert Definition.objects.get().name == "By request"


def test_a_change_of_nothing_is_refused(made: DefinitionVersion) -> None:
    with pytest.raises(Conflict, match="Nothing differs"):
        definitions.change(
            made.definition, after=1, name="By request", reports=[{"report": "R05"}, ACCESS], actor=TESTING
        )


def test_what_is_retired_is_neither_changed_nor_asked(made: DefinitionVersion) -> None:
    definitions.retire(made.definition, actor=TESTING)

    with pytest.raises(Conflict, match="retired"):
        definitions.change(made.definition, after=1, name="Other", reports=[ACCESS], actor=TESTING)
    with pytest.raises(Conflict, match="already"):
        definitions.retire(made.definition, actor=TESTING)
    with pytest.raises(Invalid, match="retired"), time_machine.travel(story.APRIL, tick=False):
        story.ask_for(definition=queries.definition_version(made.definition.ref))
    assert queries.definitions() == []


def test_a_version_stays_as_it_was_said_by_the_database(made: DefinitionVersion) -> None:
    for statement in ("UPDATE evidence_definitionversion SET name = 'x'", "DELETE FROM evidence_definitionversion"):
        with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_bundle_is_within_both_the_definition_and_what_is_asked(db: None) -> None:
    for name in ("Snowflake", "Slack", "GitHub"):
        cast.add_application(name)
    made = definitions.make("Two", "soc2", reports=[ACCESS], applications=["slack", "snowflake"], actor=TESTING)

    with time_machine.travel(story.APRIL, tick=False):
        assert story.ask_for(definition=made).applications == ["slack", "snowflake"]
        assert story.ask_for(definition=made, applications=["github", "slack"]).applications == ["slack"]
        with pytest.raises(Invalid, match="chooses none of them"):
            story.ask_for(definition=made, applications=["github"])
        with pytest.raises(Invalid, match="one of soc2"):
            story.ask_for("hipaa", definition=made)


@pytest.fixture
def april(settings: Any, tmp_path: Any) -> Iterator[time_machine.Traveller]:
    settings.BUNDLE_DIR = tmp_path / "bundles"
    story.tell_the_story()
    with time_machine.travel(story.APRIL, tick=False) as clock:
        yield clock


@pytest.mark.django_db(transaction=True)
class TestABundle:
    """A bundle of a definition: R03 only of what was requested and without most columns, and R05."""

    @pytest.fixture
    def bundle(self, april: time_machine.Traveller, signer: Signer) -> EvidenceBundle:
        made = definitions.make("By request", "soc2", reports=[ACCESS, {"report": "R05"}], actor=TESTING)
        return story.build(story.ask_for(definition=made), signer)

    def test_it_holds_what_is_chosen_and_says_what_is_left_out(self, bundle: EvidenceBundle, tmp_path: Any) -> None:
        files = open_bundle(story.file_of(bundle))
        manifest = json.loads(files.text("manifest.json"))
        cover = files.text("reports/R00_cover_and_sources.csv")

        assert bundle.state == BundleState.READY
        assert [one["id"] for one in manifest["reports"]] == ["R00", "R03", "R05", "R24"]
        said = manifest["definition"]
        assert (said["name"], said["version"], said["sha256"]) == ("By request", 1, bundle.definition.sha256)  # type: ignore[union-attr]
        access = next(one for one in manifest["reports"] if one["id"] == "R03")
        assert access["narrowed"]["whole"]["rows"] > access["totals"]["rows"] == 2
        assert access["narrowed"]["only_rows"] == ["cause is request"]
        assert "approvers" in access["narrowed"]["columns_left_out"]
        gaps = {(one["code"], one["application"]) for one in manifest["gaps"]}
        assert {("rows_left_out", "R03"), ("columns_left_out", "R03"), ("report_left_out", "R01")} <= gaps
        assert ("report_left_out", "R05") not in gaps
        assert 'question,definition,"By request, version 1"' in cover
        assert "only rows where cause is request: 2 of" in cover
        assert all(one["agrees"] for one in manifest["checks"]["second_count"])
        assert files.text("reports/R03_access_changes.csv").splitlines()[0] == (
            "row_no,row_id,change,person_ref,application,entitlement,cause,grant_id,exceptions,first_entry,last_entry"
        )
        assert bundle.suggested_name == "gatehouse-soc2-by-request-v1-20260301-20260331.zip"

    def test_it_verifies_and_is_the_same_bytes_again(
        self, bundle: EvidenceBundle, signer: Signer, tmp_path: Any, april: time_machine.Traveller
    ) -> None:
        script = tmp_path / "verify.py"
        script.write_text(verifier_source(), encoding="utf-8")
        key = verifier_key()
        assert key
        code, said = story.run_verifier(script, story.file_of(bundle), "--key", key)
        assert code == 0, said
        definition = bundle.definition
        assert definition is not None
        definitions.change(definition.definition, after=1, name="Renamed", reports=[{"report": "R05"}], actor=TESTING)
        definitions.retire(definition.definition, actor=TESTING)
        april.shift(3600)

        question = bundle.question()
        again = story.build(
            story.ask_for(definition=definition, pin=story.actions.Pin(question.known_at, question.ledger_size)),
            signer,
        )

        assert again.sha256 == bundle.sha256

    def test_oscal_looks_at_the_controls_that_are_left(self, bundle: EvidenceBundle) -> None:
        said = json.loads(open_bundle(story.file_of(bundle)).text("oscal/assessment-results.json"))

        result = said["assessment-results"]["results"][0]
        included = result["reviewed-controls"]["control-selections"][0]["include-controls"]
        ids = {one["control-id"] for one in included}
        assert "soc2_CC6.2" in ids
        assert "soc2_CC7.4" not in ids

    def test_a_name_in_its_values_is_not_in_the_ledger(self, april: time_machine.Traveller, signer: Signer) -> None:
        chosen = {"report": "R01", "filters": {"department": ["Dr. Mabuse"]}}
        definitions.make("Cabinet of Caligari", "soc2", reports=[chosen], reason="Nosferatu", actor=TESTING)
        story.seal(signer)

        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ledger_entry WHERE body ~ 'Mabuse|Caligari|Nosferatu'")
            assert cursor.fetchone() == (0,)
