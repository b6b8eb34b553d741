"""Streams at the REST door: destinations, and the ledger to fetch from."""

from __future__ import annotations

import pytest

from governance.catalog.models import Entitlement
from governance.identity.models import Person
from governance.ledger.models import Entry, Pending
from governance.ledger.notes import Signer
from tests.api.conftest import As
from tests.privacy.old_ledger import LATER, old_ledger, pruned, size_at
from tests.streams.conftest import seal
from tests.web import stories

pytestmark = pytest.mark.django_db
WATCH = {"kind": "webhook", "name": "Watch", "address": "https://siem.example/collect"}


def test_an_administrator_adds_changes_tries_and_ends_a_stream_and_an_auditor_reads(
    sam: Person, audrey: Person, as_: As
) -> None:
    script = as_(sam)

    made = script.post("streams/", WATCH).json()
    address = f"streams/{made['ref']}/"
    changed = script.patch(address, {"is_paused": True, "shape": "entry"})

    assert made["secret"].startswith("whsec_")
    assert changed.status_code == 200
    assert (changed.json()["shape"], changed.json()["name"]) == ("entry", "Watch")
    assert "secret" not in changed.json()
    assert script.post(f"{address}test/").status_code == 409
    assert script.patch(address, {"is_paused": False}).status_code == 200
    assert script.post(f"{address}test/").status_code == 202
    assert script.post(f"{address}secret/").json()["secret"] != made["secret"]
    assert [one["name"] for one in as_(audrey).get("streams/").json()["results"]] == ["Watch"]
    assert script.delete(address).status_code == 204
    assert script.get("streams/").json()["results"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"address": "ftp://x"}, "address"),
        ({"kind": "pigeon"}, "kind"),
        ({"shape": "cef"}, "shape"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, str], field: str, sam: Person, as_: As) -> None:
    answer = as_(sam).post("streams/", {**WATCH, **changes})

    assert answer.status_code == 422
    assert field in answer.content.decode()


def test_the_ledger_is_fetched_page_by_page_without_gaps(
    ada: Person, audrey: Person, analyst: Entitlement, as_: As
) -> None:
    for _ in range(5):
        stories.give(ada, analyst)
    seal()
    script, after, seen = as_(audrey), -1, []
    seal()

    while True:
        page = script.get("ledger/stream/", after=after, limit=7, shape="entry", rows="yes").json()
        seen += [one["index"] for one in page["entries"]]
        after = page["last"]
        if not page["has_more"]:
            break

    assert seen == list(range(Entry.objects.count()))
    assert script.get("ledger/stream/", after=after).json()["entries"] == []
    assert script.get("ledger/stream/", after=after).json()["last"] == after


def test_names_are_fetched_only_when_asked_for(ada: Person, audrey: Person, analyst: Entitlement, as_: As) -> None:
    stories.give(ada, analyst)
    seal()
    script = as_(audrey)

    assert "Ada Lovelace" not in script.get("ledger/stream/").content.decode()
    assert "Ada Lovelace" in script.get("ledger/stream/", names="yes").content.decode()


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-2"}, {"limit": "0"}, {"limit": "9999"}, {"shape": "cef"}, {"names": "maybe"}]
)
def test_a_query_that_cannot_be_read_is_named(query: dict[str, str], audrey: Person, as_: As) -> None:
    answer = as_(audrey).get("ledger/stream/", **query)

    assert answer.status_code == 422
    assert next(iter(query)) in answer.content.decode()


def test_fetching_is_recorded_once_an_hour_for_each_reader_and_does_not_feed_itself(
    audrey: Person, sam: Person, as_: As
) -> None:
    seal()
    script = as_(audrey)
    for _ in range(3):
        script.get("ledger/stream/", after=0)
    script.get("ledger/stream/", after=0, names="yes")
    as_(sam).get("ledger/stream/")

    told = Pending.objects.filter(body__event="log.fetched").order_by("id").values_list("body", flat=True)
    assert [(one["actor"]["ref"], one["data"]["with_names"]) for one in told] == [
        (str(audrey.ref), False),
        (str(audrey.ref), True),
        (str(sam.ref), False),
    ]


def test_who_fetches_from_before_what_was_disposed_of_is_told_where_to_go_on(audrey: Person, as_: As) -> None:
    old_ledger(Signer.generate("example.com/ledger"))
    pruned()
    script = as_(audrey)

    answer = script.get("ledger/stream/")

    assert answer.status_code == 410
    assert f"Go on with after={size_at(LATER) - 1}." in answer.json()["detail"]
    assert script.get(f"ledger/stream/?after={size_at(LATER) - 1}").status_code == 200
