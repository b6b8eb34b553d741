"""Anchors at the REST door."""

from __future__ import annotations

import pytest

from governance.anchors.models import Anchor
from governance.identity.models import Person
from tests.api.conftest import As

pytestmark = pytest.mark.django_db
GIT = {"kind": "git", "name": "Elsewhere", "settings": {"url": "https://git.example/heads"}, "secret": "s3cret"}


def test_an_administrator_adds_changes_and_ends_an_anchor_and_an_auditor_reads(
    sam: Person, audrey: Person, as_: As
) -> None:
    script = as_(sam)

    made = script.post("anchors/", GIT)
    ref = made.json()["ref"]
    changed = script.patch(f"anchors/{ref}/", {"is_paused": True, "every_seconds": 900})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert "s3cret" not in made.content.decode() + changed.content.decode()
    assert changed.json()["settings"] == {"url": "https://git.example/heads", "branch": "", "user": ""}
    assert script.post(f"anchors/{ref}/now/").status_code == 202
    assert [one["name"] for one in as_(audrey).get("anchors/").json()["results"]] == ["Elsewhere"]
    assert as_(audrey).get(f"anchors/{ref}/receipts/").json()["results"] == []
    assert script.delete(f"anchors/{ref}/").status_code == 204
    assert script.get("anchors/").json()["results"] == []


def test_who_may_not_is_refused_and_what_is_wrong_is_named(sam: Person, audrey: Person, linus: Person, as_: As) -> None:
    assert as_(audrey).post("anchors/", GIT).status_code == 403
    assert as_(linus).get("anchors/").status_code == 403

    answer = as_(sam).post("anchors/", {**GIT, "settings": {"url": "ftp://x"}})

    assert answer.status_code == 422
    assert "url" in answer.content.decode()
    assert not Anchor.objects.exists()
