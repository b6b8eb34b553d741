"""`manage.py evidence`."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from governance.config.environment import Environment
from governance.evidence.verifier.source import verifier_source
from governance.ledger.keys import KeySource, create_key_file
from governance.ledger.models import EntrySubject
from governance.ledger.sequencer import become_sequencer
from tests.evidence import issued as story
from tests.evidence.issued import run_verifier

pytestmark = pytest.mark.django_db(transaction=True)
MARCH = ("--framework", "soc2", "--from", "2026-03-01", "--to", "2026-03-31")


@pytest.fixture(autouse=True)
def house(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """A house with a key of its own, after the story of March."""
    settings.BUNDLE_DIR = tmp_path / "bundles"
    settings.ENVIRONMENT = Environment(ledger_key_file=tmp_path / "ledger.key", ledger_origin="example.com/ledger")
    story.tell_the_story()
    return tmp_path


def run(*arguments: str | Path) -> str:
    said = io.StringIO()
    call_command("evidence", *map(str, arguments), stdout=said, stderr=io.StringIO())
    return said.getvalue()


def with_key(house: Path) -> None:
    create_key_file(house / "ledger.key", "example.com/ledger")


def test_it_builds_without_a_sequencer_where_the_key_can_be_read(house: Path) -> None:
    with_key(house)

    said = run("build", *MARCH, "--zone", "Europe/Berlin", "--out", house / "b.zip")

    path, digest, fingerprint = said.splitlines()
    assert path == str(house / "b.zip")
    assert re.fullmatch(r"SHA-256 [0-9a-f]{64}", digest)
    assert run("verifier", "--out", house / "verify.py").strip() == str(house / "verify.py")
    code, verdict = run_verifier(house / "verify.py", house / "b.zip", "--key", fingerprint.rpartition(" ")[2])
    assert code == 0, verdict
    assert EntrySubject.objects.filter(entry__event="evidence.exported").exists()


def test_asked_again_as_in_an_earlier_bundle_it_gives_the_same_file(house: Path) -> None:
    with_key(house)
    run("build", *MARCH, "--sla-hours", "1", "--out", house / "a.zip")
    story.later_facts()

    run("build", "--as-in", house / "a.zip", "--out", house)

    again = house / "gatehouse-soc2-20260301-20260331.zip"
    assert again.read_bytes() == (house / "a.zip").read_bytes()


def test_asked_again_as_in_a_bundle_about_some_applications_it_is_about_the_same_ones(
    house: Path,
) -> None:
    with_key(house)
    narrow = story.build(story.ask_for(applications=["snowflake"]), KeySource.of(settings.ENVIRONMENT).read())
    earlier = story.file_of(narrow)

    run("build", "--as-in", earlier, "--out", house / "again.zip")

    assert (house / "again.zip").read_bytes() == earlier.read_bytes()


def test_late_facts_of_an_earlier_bundle_are_said_and_written_out(house: Path) -> None:
    with_key(house)
    run("build", *MARCH, "--out", house / "a.zip")
    story.later_facts()

    said = run("late-facts", house / "a.zip", "--out", house / "b.zip")

    assert "R05 Leavers: 1 came, 0 went," in said
    assert "R06 Movers: 0 came, 0 went, 0 changed" in said
    assert "late_facts/R05_leavers.csv" in story.unpacked((house / "b.zip").read_bytes())
    with pytest.raises(CommandError, match=r"nowhere.zip is not a bundle"):
        run("late-facts", "nowhere.zip", "--out", house / "b.zip")


def test_without_key_and_sequencer_it_says_what_is_missing(house: Path) -> None:
    with pytest.raises(CommandError, match=r"Not ready in time .*Waiting for the log"):
        run("build", *MARCH, "--wait", "0.3", "--out", house / "b.zip")

    assert not (house / "b.zip").exists()


def test_it_leaves_sealing_to_a_running_sequencer(house: Path, other_session: Any) -> None:
    with_key(house)
    assert other_session(become_sequencer)

    with pytest.raises(CommandError, match="Not ready in time"):
        run("build", *MARCH, "--wait", "0.3", "--out", house / "b.zip")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--from", "2026-04-01"), "--to: "),
        (("--to", "tomorrow"), "--to: 'tomorrow' is not a date"),
        (("--zone", "Mars"), "--zone: "),
        (("--sla-hours", "0"), "--leaver-sla-hours: "),
        (("--as-in", "nowhere.zip"), "nowhere.zip is not a bundle"),
    ],
)
def test_a_wrong_question_names_the_option(house: Path, wrong: tuple[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        run("build", *MARCH, *wrong, "--out", house / "b.zip")


def test_what_is_missing_is_named(house: Path) -> None:
    with pytest.raises(CommandError, match=r"Give --from, --to, or --as-in\."):
        run("build", "--framework", "soc2", "--out", house / "b.zip")
    with pytest.raises(CommandError, match="there is no folder"):
        run("build", *MARCH, "--out", house / "nowhere" / "b.zip")


def test_the_verifier_can_be_had_apart_from_any_bundle(house: Path) -> None:
    run("verifier", "--out", house / "verify.py")

    assert (house / "verify.py").read_text() == verifier_source()


QUARTERLY = {
    "name": "Quarterly",
    "framework": "soc2",
    "reports": [{"report": "R03", "columns": ["cause"], "filters": {"cause": ["request"]}}],
}


def define(house: Path, **change: Any) -> str:
    (house / "d.json").write_text(json.dumps(QUARTERLY | change), encoding="utf-8")
    return run("define", house / "d.json")


def test_a_definition_from_a_file_says_what_a_bundle_holds(house: Path) -> None:
    with_key(house)

    assert define(house).startswith("Quarterly, version 1, SHA-256 ")
    assert define(house, reports=[{"report": "R05"}], reason="Only leavers").startswith("Quarterly, version 2")

    (listed,) = json.loads(run("definitions"))
    assert (listed["name"], listed["version"], [one["report"] for one in listed["reports"]]) == (
        "Quarterly",
        2,
        ["R05"],
    )
    run("build", *MARCH[2:], "--definition", "quarterly", "--application", "snowflake", "--out", house / "a.zip")
    with zipfile.ZipFile(house / "a.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert (manifest["definition"]["version"], manifest["applications"]) == (2, ["snowflake"])
    define(house)
    run("build", "--as-in", house / "a.zip", "--out", house / "b.zip")
    assert (house / "b.zip").read_bytes() == (house / "a.zip").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reports": [{"report": "R77"}]}, "reports: There is no report 'R77'"),
        ({"reports": "R01"}, "reports and applications are lists"),
        ({"name": ""}, "name: Give it a name"),
    ],
    ids=["unknown report", "no list", "no name"],
)
def test_a_file_that_defines_nothing_is_told_why(house: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        define(house, **change)


def test_a_definition_that_is_not_there_is_named(house: Path) -> None:
    with pytest.raises(CommandError, match="none named Nothing"):
        run("build", *MARCH, "--definition", "Nothing", "--out", house / "a.zip")
    define(house)
    with pytest.raises(CommandError, match="one of soc2"):
        run("build", "--framework", "hipaa", *MARCH[2:], "--definition", "Quarterly", "--out", house / "a.zip")
    with pytest.raises(CommandError, match="Nothing differs"):
        define(house)
