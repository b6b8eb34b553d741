"""Cursors (RFC 9865): a walk through a list that neither skips nor repeats, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from governance.core.clock import now
from scim_bridge.engine.offers import CURSOR_TIMEOUT
from tests.scim_bridge.conftest import Provider

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
ORDERS = ["", "&sortBy=title", "&sortBy=title&sortOrder=descending", "&sortBy=meta.created", "&sortBy=nickName"]


@pytest.fixture
def five(strict: Provider) -> list[str]:
    titles = ("B", None, "A", "B", None)
    return [str(strict.create_user(f"user{n}", title=title)["userName"]) for n, title in enumerate(titles)]


def _names(page: dict[str, Any]) -> list[str]:
    return [each.get("userName") or each["displayName"] for each in page["Resources"]]


def _walk(provider: Provider, path: str, *, name: str = "nextCursor", cursor: str = "") -> list[dict[str, Any]]:
    pages = [provider.get(f"{path}&cursor={cursor}")]
    while name in pages[-1]:
        pages.append(provider.get(f"{path}&cursor={pages[-1][name]}"))
    return pages


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_a_walk_forwards_and_back_meets_everybody_once_in_the_order_of_the_index(
    strict: Provider, five: list[str], order: str, size: int
) -> None:
    path = f"Users?count={size}{order}"

    pages = _walk(strict, path)

    assert [name for page in pages for name in _names(page)] == _names(strict.get(f"Users?count=9{order}"))
    assert {name for page in pages for name in _names(page)} == set(five)
    assert pages[0]["totalResults"] == 5
    assert "previousCursor" not in pages[0]
    assert all("startIndex" not in page and page["itemsPerPage"] == len(page["Resources"]) for page in pages)
    if len(pages) > 1:
        back = _walk(strict, path, name="previousCursor", cursor=pages[-1]["previousCursor"])
        assert [_names(page) for page in reversed(back)] == [_names(page) for page in pages[:-1]]


def test_who_is_deleted_or_created_meanwhile_makes_nobody_skipped_or_repeated(
    strict: Provider, five: list[str]
) -> None:
    first = strict.get("Users?count=2&cursor=")
    for user in first["Resources"]:
        strict.ask("DELETE", f"Users/{user['id']}")
    strict.create_user("newcomer")

    rest = _walk(strict, "Users?count=2", cursor=first["nextCursor"])

    assert [name for page in rest for name in _names(page)] == [*five[2:], "newcomer"]


def test_a_page_that_lost_all_its_rows_is_empty_and_ends_the_walk(strict: Provider, five: list[str]) -> None:
    first = strict.get("Users?count=4&cursor=")
    strict.ask("DELETE", f"Users/{strict.find('Users', f'userName eq {chr(34)}{five[4]}{chr(34)}')[0]['id']}")

    page = strict.get(f"Users?count=4&cursor={first['nextCursor']}")

    assert (page["Resources"], page["itemsPerPage"], page["totalResults"]) == ([], 0, 4)
    assert not {"nextCursor", "previousCursor"} & page.keys()


@pytest.mark.parametrize("dialect", ["strict", "default"])
@pytest.mark.parametrize("order", ["", "&sortBy=displayName", "&sortBy=displayName&sortOrder=descending", ORDERS[1]])
def test_a_walk_through_every_type_is_one_walk(connected: Callable[..., Provider], dialect: str, order: str) -> None:
    provider = connected(dialect)
    for name in ("Delta", "Alfa"):
        provider.create_user(name, displayName=name, title=f"T{name}")
        provider.create_group(f"{name} group")
    everything = _names(provider.get(f"?count=50{order}"))

    for size in (1, 2, 3):
        pages = _walk(provider, f"?count={size}{order}")
        assert [name for page in pages for name in _names(page)] == everything
        back = _walk(provider, f"?count={size}{order}", name="previousCursor", cursor=pages[-1]["previousCursor"])
        assert [name for page in reversed(back) for name in _names(page)] == _names(
            {"Resources": [each for page in pages[:-1] for each in page["Resources"]]}
        )


def test_a_search_with_a_body_pages_by_cursor_too(strict: Provider, five: list[str]) -> None:
    body: dict[str, Any] = {"schemas": [SEARCH], "filter": "userName pr", "count": 3, "cursor": ""}
    first = strict.done(strict.ask("POST", "Users/.search", body), 200)

    second = strict.done(strict.ask("POST", "Users/.search", {**body, "cursor": first["nextCursor"]}), 200)

    assert [*_names(first), *_names(second)] == five
    assert "nextCursor" not in second


@pytest.mark.parametrize(
    ("change", "scim_type"),
    [
        ("&filter=userName%20pr", "invalidCursor"),
        ("&sortBy=title", "invalidCursor"),
        ("&attributes=title", "invalidCursor"),
        ("&count=3", "invalidCount"),
    ],
)
def test_a_cursor_serves_the_search_it_was_given_for(
    strict: Provider, five: list[str], change: str, scim_type: str
) -> None:
    cursor = strict.get("Users?count=2&cursor=")["nextCursor"]
    count = "" if "count" in change else "&count=2"

    Provider.refused(strict.ask("GET", f"Users?cursor={cursor}{count}{change}"), 400, scim_type)
    assert strict.get(f"Users?cursor={cursor}&count=2")["Resources"]


@pytest.mark.parametrize("cursor", ["x", "AAAA", "%00", "a" * 5000, "$.**", "\u00e9"])
def test_a_cursor_that_was_not_issued_here_is_refused(strict: Provider, five: list[str], cursor: str) -> None:
    Provider.refused(strict.ask("GET", f"Users?count=2&cursor={cursor}"), 400, "invalidCursor")


def test_a_cursor_of_another_list_or_with_a_changed_letter_is_refused(strict: Provider, five: list[str]) -> None:
    cursor = strict.get("Users?count=2&cursor=")["nextCursor"]
    changed = f"{cursor[:40]}{'A' if cursor[40] != 'A' else 'B'}{cursor[41:]}"

    for path in (f"Groups?count=2&cursor={cursor}", f"Users?count=2&cursor={changed}"):
        Provider.refused(strict.ask("GET", path), 400, "invalidCursor")
    body = {"schemas": [SEARCH], "count": 2, "cursor": 7}
    Provider.refused(strict.ask("POST", "Users/.search", body), 400, "invalidCursor")


def test_a_cursor_expires_no_sooner_than_published(strict: Provider, five: list[str]) -> None:
    published = strict.get("ServiceProviderConfig")["pagination"]["cursorTimeout"]
    assert published == CURSOR_TIMEOUT
    path = f"Users?count=2&cursor={strict.get('Users?count=2&cursor=')['nextCursor']}"

    with time_machine.travel(now() + timedelta(seconds=published - 5), tick=False):
        assert strict.get(path)["Resources"]
    with time_machine.travel(now() + timedelta(seconds=published + 5), tick=False):
        Provider.refused(strict.ask("GET", path), 400, "expiredCursor")


def test_cursor_and_index_exclude_each_other(strict: Provider) -> None:
    Provider.refused(strict.ask("GET", "Users?cursor=&startIndex=1"), 400, "invalidValue")


def test_a_count_of_nothing_gives_no_cursor(strict: Provider, five: list[str]) -> None:
    page = strict.get("Users?count=0&cursor=")

    assert (page["Resources"], page["totalResults"]) == ([], 5)
    assert "nextCursor" not in page


def test_a_page_by_cursor_costs_the_token_the_page_and_its_groups(strict: Provider, five: list[str]) -> None:
    cursor = strict.get("Users?count=2&cursor=")["nextCursor"]

    with CaptureQueriesContext(connection) as captured:
        strict.get(f"Users?count=2&cursor={cursor}")

    assert len(captured) <= 3
