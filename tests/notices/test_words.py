"""The words of every kind: complete, plain, and harmless whatever people are called."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.urls import resolve

from governance.notices import words
from governance.notices.kinds import KINDS, path_of
from governance.notices.models import Notice
from tests.notices.conftest import HOSTILE, NOON

BERLIN = ZoneInfo("Europe/Berlin")
FACTS: dict[str, object] = {
    "number": 2041,
    "grant": 7,
    "until": NOON.isoformat(),
    "person": "Ada Lovelace",
    "person_ref": "6a1f6a0e-0c55-4a3f-9c58-0d7b3f6f0a11",
    "actor": "Linus Berg",
    "application": "Snowflake",
    "application_slug": "snowflake",
    "role": "Analyst",
    "reason": "Use the report.",
    "proposal": 3,
    "glass": 4,
    "policy": "standard",
    "source": "scim:okta",
    "rule": "finance",
    "done": 500,
    "total": 600,
    "answer": "approved",
    "since": NOON.isoformat(),
    "found": 3,
    "overdue": 2,
    "near": 1,
    "audit": "SOC 2, autumn",
    "audit_ref": "6a1f6a0e-0c55-4a3f-9c58-0d7b3f6f0a13",
    "asked": 24,
    "waiting": 1,
    "review": 6,
    "exception": "6a1f6a0e-0c55-4a3f-9c58-0d7b3f6f0a12",
}
#: What product.md and ui.md do not want on pages for employees.
FORBIDDEN = re.compile(r"entitlement|provision|principal|\bJIT\b|\bSoD\b|\bUAR\b|certif|successfully|!", re.IGNORECASE)


def said(kind: str, facts: dict[str, object], *, leaves: bool = False) -> words.Said:
    return words.said(Notice(kind=kind, facts=facts), BERLIN, leaves_the_house=leaves)


def test_every_kind_has_its_file_and_every_file_its_kind() -> None:
    files = {path.stem for path in (settings.BASE_DIR / "templates" / "notices" / "words").iterdir()}

    assert files == {kind.replace(".", "_") for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_a_kind_are_plain_and_whole(kind: str) -> None:
    found = said(kind, FACTS)

    assert found.title
    assert "\n" not in found.title
    assert "{" not in found.title + found.body
    assert "  " not in found.title + found.body
    assert not FORBIDDEN.search(found.title + found.body)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_name_stays_a_name(kind: str) -> None:
    hostile: dict[str, object] = {
        name: HOSTILE if name in ("person", "actor", "application", "role", "reason") else fact
        for name, fact in FACTS.items()
    }

    found = said(kind, hostile)

    assert "\n" not in found.title
    assert "\r" not in found.title + found.body
    assert len(found.title) <= 200
    assert not re.search(r"^Bcc:", found.body, re.MULTILINE)
    assert "14" not in (found.title + found.body).replace("R-2041", "").replace("2026", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_can_be_said_when_facts_are_missing(kind: str) -> None:
    assert said(kind, {}).path.startswith("/")


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_leads_to_a_page_of_the_house(kind: str) -> None:
    path = path_of(kind, FACTS)

    assert resolve(path.partition("?")[0])
    assert path_of(kind, {}) == "/notices/" or "{" not in KINDS[kind].path


def test_reasons_stay_in_the_house() -> None:
    assert "Use the report." in said("request.denied", FACTS).body
    assert "Use the report." not in said("request.denied", FACTS, leaves=True).body


def test_an_instant_is_written_out_in_the_zone_of_the_reader() -> None:
    assert said("access.ending", FACTS).title == "Analyst in Snowflake ends on Tue 3 Mar 2026 at 13:00 CET"


def test_a_kind_that_is_no_longer_known_leads_to_the_list() -> None:
    assert path_of("gone.kind", FACTS) == "/notices/"
