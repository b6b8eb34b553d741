"""What other rooms may ask, and what machines may fetch."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import include, path

from governance.core.actor import Actor
from governance.core.errors import NotFound
from governance.ledger import queries, standalone
from governance.ledger.merkle import TILE_WIDTH
from governance.ledger.notes import Signer
from governance.ledger.recording import Record, Subject, record, record_many
from governance.ledger.sequencer import seal_everything
from governance.ledger.serving import tile_path
from tests.ledger.conftest import ADA, GRACE

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
urlpatterns = [path("ledger/log/", include("governance.ledger.urls"))]

START = datetime(2026, 3, 3, 9, 0, tzinfo=UTC)


@pytest.fixture
def week(grace: Actor, signer: Signer) -> None:
    """Seven days of grants, each started and ended; Ada has the even ones."""
    system = Actor.system("expiry", correlation_id="c" * 32)
    for day in range(7):
        person = Subject("person", ADA if day % 2 == 0 else "somebody-else")
        with time_machine.travel(START + timedelta(days=day), tick=False):
            record("grant.started", actor=grace, subjects=[person, Subject("entitlement", "e1")], data={"day": day})
            record("grant.ended", actor=system, subjects=[person], data={"day": day})
    seal_everything(signer=signer)


def days(page: queries.Page) -> list[int]:
    return [entry.data["day"] for entry in page.entries if "day" in entry.data]


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({"about": Subject("person", ADA), "event": "grant.started"}, [6, 4, 2, 0], id="about one person"),
        pytest.param({"about": Subject("entitlement", "e1")}, [6, 5, 4, 3, 2, 1, 0], id="about an entitlement"),
        pytest.param({"about": Subject("person", "nobody")}, [], id="about nobody"),
        pytest.param({"actor_ref": GRACE, "event": "grant"}, [6, 5, 4, 3, 2, 1, 0], id="noun and actor"),
        pytest.param({"event": "gran"}, [], id="not a noun"),
        pytest.param({"correlation_id": "c" * 32}, [6, 5, 4, 3, 2, 1, 0], id="correlation"),
        pytest.param(
            {"event": "grant.ended", "since": START + timedelta(days=2), "until": START + timedelta(days=4)},
            [3, 2],
            id="half-open window",
        ),
    ],
)
def test_entries_are_found_by_what_they_say(wanted: dict[str, object], found: list[int]) -> None:
    assert days(queries.entries(**wanted)) == found  # type: ignore[arg-type]


@pytest.mark.usefixtures("week")
def test_pages_go_back_to_the_first_entry_and_stay_while_the_ledger_grows(grace: Actor, signer: Signer) -> None:
    page = queries.entries(limit=4)
    indexes = [entry.index for entry in page.entries]
    record("grant.started", actor=grace, subjects=[])
    seal_everything(signer=signer)

    while page.before is not None:
        page = queries.entries(limit=4, before=page.before)
        indexes += [entry.index for entry in page.entries]

    assert indexes == list(range(14, -1, -1))


@pytest.mark.usefixtures("week")
def test_a_page_costs_one_query_and_reads_the_sealed_text(django_assert_num_queries: Callable[..., object]) -> None:
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        page = queries.entries(about=Subject("person", ADA))

    assert page.entries[-1].subjects == (Subject("person", ADA), Subject("entitlement", "e1"))
    assert page.entries[-1].at == START


@pytest.mark.usefixtures("week")
def test_one_entry_comes_with_a_proof_that_verifies_offline(signer: Signer) -> None:
    proven = queries.entry(5)

    key = standalone.parse_verifier_key(signer.verifier_key)
    assert standalone.check_proof(proven.entry.body.encode(), proven.proof_file, key) == (
        5,
        ("example.com/ledger", 15, proven.head.root),
    )


@pytest.mark.parametrize("index", [-1, 15, 10**12])
@pytest.mark.usefixtures("week")
def test_there_is_no_entry_outside_of_the_ledger(index: int) -> None:
    with pytest.raises(NotFound):
        queries.entry(index)
    with pytest.raises(NotFound):
        queries.inclusion_proof(index, 15)


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (5, 16)])
def test_there_is_no_consistency_outside_of_the_ledger(old: int, new: int) -> None:
    with pytest.raises(NotFound):
        queries.consistency_proof(old, new)


def test_an_empty_ledger_has_no_head_and_no_lag() -> None:
    assert queries.latest_checkpoint() is None
    assert queries.verifier_key() is None
    assert queries.checkpoint_at(1) is None
    assert queries.entries() == queries.Page((), None)
    assert queries.sealing_lag_seconds() == 0
    with pytest.raises(NotFound):
        queries.entry(0)


@pytest.fixture
def many(grace: Actor, signer: Signer) -> bytes:
    """700 entries; the root."""
    record_many(Record("thing.noted", grace, [], {"n": n}) for n in range(699))
    seal_everything(signer=signer)
    head = queries.latest_checkpoint()
    assert head is not None
    return head.root


@pytest.mark.usefixtures("many")
def test_the_checkpoint_is_served_and_not_kept(client: Client, signer: Signer) -> None:
    response = client.get("/ledger/log/checkpoint")

    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "no-cache"
    signed = standalone.open_checkpoint(response.content.decode(), standalone.parse_verifier_key(signer.verifier_key))
    assert signed.size == 700


def test_a_client_rebuilds_the_root_from_the_tiles(client: Client, many: bytes) -> None:
    leaves = b"".join(client.get(f"/ledger/log/tile/0/{name}").content for name in ("000", "001", "002.p/188"))
    root = standalone.RootBuilder()
    for place in range(0, len(leaves), 32):
        root.add(leaves[place : place + 32])

    assert (root.size, root.root()) == (700, many)
    upper = client.get("/ledger/log/tile/1/000.p/2")
    assert upper["Cache-Control"] == "public, max-age=31536000, immutable"
    tile = standalone.RootBuilder()
    for place in range(0, 256 * 32, 32):
        tile.add(leaves[place : place + 32])
    assert upper.content[:32] == tile.root()


def test_an_earlier_partial_tile_is_still_served(client: Client, many: bytes) -> None:
    whole = client.get("/ledger/log/tile/0/001").content

    assert client.get("/ledger/log/tile/0/001.p/7").content == whole[: 7 * 32]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "path",
    [
        "0/002",
        "0/002.p/189",
        "0/002.p/0",
        "0/002.p/256",
        "0/002.p/08",
        "0/003.p/1",
        "1/000",
        "1/000.p/3",
        "2/000.p/1",
        "8/000.p/1",
        "0/0",
        "0/x000/000",
        "0/001.p/",
        "0/001/../000",
        "entries/000",
        "0/x999/x999/x999/x999/999",
    ],
)
def test_what_is_not_a_tile_is_not_found(client: Client, path: str) -> None:
    assert client.get(f"/ledger/log/tile/{path}").status_code == 404


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000"])
def test_the_log_is_only_read(client: Client, name: str) -> None:
    for method in (client.post, client.put, client.delete, client.patch):
        assert method(f"/ledger/log/{name}").status_code == 405


def test_before_the_first_entry_there_is_no_checkpoint(client: Client) -> None:
    assert client.get("/ledger/log/checkpoint").status_code == 404
    assert client.get("/ledger/log/tile/0/000.p/1").status_code == 404


@pytest.mark.parametrize(
    ("number", "width", "name"),
    [(0, TILE_WIDTH, "000"), (999, 5, "999.p/5"), (1000, TILE_WIDTH, "x001/000"), (1234067, 1, "x001/x234/067.p/1")],
)
def test_tile_numbers_are_groups_of_three_digits(number: int, width: int, name: str) -> None:
    assert tile_path(number, width) == name


def test_proof_files_are_read_back(many: bytes) -> None:
    head = queries.latest_checkpoint()
    assert head is not None
    (proven,) = queries.proven_entries([699], head)

    parsed = standalone.parse_proof(proven.proof_file)

    assert (parsed.entry, parsed.path, parsed.checkpoint) == (699, list(proven.path), head.note)
    assert base64.b64encode(many).decode() in parsed.checkpoint


def test_pages_of_a_time_range_go_by_time_and_lose_nothing(signer: Signer, grace: Actor) -> None:
    noon = datetime(2026, 3, 3, 12, tzinfo=UTC)
    # Recorded in an order that is not that of their time, some at the same instant.
    minutes = [5, 3, 3, 9, 1, 7, 3, 0, 8, 2]
    record_many(
        Record("thing.noted", grace, [Subject("person", ADA)], {"minute": one}, at=noon + timedelta(minutes=one))
        for one in minutes
    )
    seal_everything(signer=signer)

    seen: list[queries.SealedEntry] = []
    before = None
    while True:
        page = queries.entries(since=noon, until=noon + timedelta(minutes=9), before=before, limit=2)
        seen += page.entries
        before = page.before
        if before is None:
            break

    assert [one.data["minute"] for one in seen] == [8, 7, 5, 3, 3, 3, 2, 1, 0]
    assert len({one.index for one in seen}) == 9
