"""Random bytes as bodies, media types, headers, addresses and query strings: every answer is a SCIM document."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from urllib.parse import quote as percent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from governance.identity.models import ConnectionExchange
from scim_bridge.exchanges import RECORDER
from tests.scim_bridge.conftest import GROUP, PATCH, USER, Provider
from tests.scim_bridge.fuzzing import World, bounded, rows, undone, well_formed


@pytest.fixture
def world(connected: Callable[..., Provider]) -> World:
    return World(connected("default"), "default")


_GOOD = [
    json.dumps(body).encode()
    for body in (
        {"schemas": [USER], "userName": "new@halden.example", "emails": [{"value": "é", "type": "work"}]},
        {"schemas": [GROUP], "displayName": "Fresh", "members": []},
        {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "x"}]},
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": "userName pr", "count": 1},
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [{"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [USER]}}],
        },
    )
]


def _bent(body: bytes, at: int, more: bytes, drop: int) -> bytes:
    place = at % (len(body) + 1)
    return body[:place] + more + body[place + drop :]


_pieces = st.sampled_from(
    [b"", b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b'"', b"\\", b"\\ud800", b"{", b"}", b"[", b"]", b",",
     b":", b"null",
     b"NaN", b"Infinity", b"-0", b"1e999", b"9" * 400, b"\xef\xbb\xbf", b"//", b"\r\n\r\n", b"[" * 2000,
     b'{"a":' * 2000]
)  # fmt: skip
_bodies = st.one_of(
    st.binary(max_size=60),
    st.builds(_bent, st.sampled_from(_GOOD), st.integers(0, 300), _pieces, st.integers(0, 4)),
    st.sampled_from(_GOOD).map(lambda body: body.decode().encode("utf-16")),
    st.sampled_from(_GOOD).map(lambda body: b"\xef\xbb\xbf" + body),
    st.sampled_from(_GOOD).map(gzip.compress),
    st.sampled_from(_GOOD),
)
_types = st.sampled_from(
    ["application/scim+json", "application/json", "application/scim+json; charset=utf-8",
     "application/json;charset=UTF-16",
     "application/json; charset=\xff", "text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data",
     "multipart/form-data; boundary=x", "application/scim+json, text/html", "application/" + "x" * 3000, ";", "é"]
)  # fmt: skip
_header_names = st.sampled_from(
    ["If-Match", "If-None-Match", "Accept", "Accept-Encoding", "Content-Encoding", "Transfer-Encoding", "Prefer",
     "Range",
     "X-HTTP-Method-Override", "X-Forwarded-Host", "Origin", "Cookie", "Expect", "Accept-Language", "X-Correlation-ID"]
)  # fmt: skip
_header_values = st.sampled_from(
    ["*", 'W/"1"', '"1"', "W/1", 'W/"1", "2"', "é", "\x7f", "gzip", "identity", "x" * 3000, "en;q=é", "bytes=0-1",
     "evil.example"]
) | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20)  # fmt: skip
_headers = st.dictionaries(_header_names, _header_values, max_size=3)
_methods = st.sampled_from(
    ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "get", "X"]
)
_segments = st.one_of(
    st.sampled_from(
        ["Users", "users", "Groups", ".search", "Bulk", "Me", "Schemas", "ResourceTypes", "ServiceProviderConfig", "..",
         ".", "", USER, "Roles", "Entitlements", "%2e%2e", "a%2fb", "%00", "%0a", "%0d%0aX: y", "%ff", "%u0041", "{id}",
         "0b4a1f3e-0000-4000-8000-000000000001", "a" * 3000, "é", "🙂", "Users;x=1", "@@", "\\", "?"]
    ),
    st.binary(max_size=8).map(percent),
)  # fmt: skip
_paths = st.lists(_segments, min_size=1, max_size=4).map("/".join)
_parameters = st.sampled_from(
    ["filter", "attributes", "excludedAttributes", "sortBy", "sortOrder", "startIndex", "count", "cursor", "x", "",
     "FILTER"]
)  # fmt: skip
_parameter_values = st.one_of(
    st.sampled_from(
        ["1", "0", "-1", "9" * 400, "1.5", "1e3", "é", "%ff", "%00", "%ed%a0%80", "userName", "userName,,,",
         "emails[", "*",
         "," * 2000, "a." * 200, "password", "descending", "up", "%22", "%0d%0a", "userName+pr", "null", "members",
         "groups",
         "urn:ietf:params:scim:schemas:core:2.0:User:userName", "meta", "id,id,ID", "eyJ", "%F0%9F%99%82"]
    ),
    st.binary(max_size=12).map(percent),
)  # fmt: skip
_queries = st.lists(st.tuples(_parameters, _parameter_values).map("=".join), max_size=4).map(
    "&".join
) | st.sampled_from(["&" * 3000, "a=1&" * 1500, "=", "filter", "filter=" + "(" * 4000, "filter=" + "x" * 9000])


def _holds(world: World, method: str, path: str, body: bytes, **more: object) -> None:
    with undone():
        before = rows()
        answer = world.provider.client.generic(
            method, f"/scim/v2/{path}", body, headers={"Authorization": f"Bearer {world.provider.token}"}, **more
        )
        if method != "HEAD":
            well_formed(answer)
        assert answer.status_code < 500 or answer.status_code == 501
        assert not [name for name, value in answer.items() if {"\r", "\n"} & {*name, *value}]
        if answer.status_code >= 400 or method in ("GET", "HEAD", "OPTIONS"):
            assert rows() == before


def test_any_body_of_any_type_is_answered(world: World) -> None:
    addresses = [("POST", "Users"), ("POST", "Groups"), ("PUT", f"Users/{world.ada}"), ("PATCH", f"Users/{world.ada}"),
                 ("PATCH", f"Groups/{world.crew}"), ("POST", ".search"), ("POST", "Users/.search"), ("POST", "Bulk"),
                 ("GET", "Users"), ("DELETE", f"Groups/{world.crew}")]  # fmt: skip

    @settings(bounded, max_examples=400)
    @given(st.sampled_from(addresses), _bodies, _types)
    def hold(address: tuple[str, str], body: bytes, content_type: str) -> None:
        _holds(world, *address, body, content_type=content_type)

    hold()


def test_any_header_is_answered(world: World) -> None:
    addresses = [("GET", "Users"), ("GET", f"Users/{world.ada}"), ("PATCH", f"Users/{world.ada}"), ("POST", "Users")]

    @settings(bounded, max_examples=400)
    @given(st.sampled_from(addresses), _headers)
    def hold(address: tuple[str, str], headers: dict[str, str]) -> None:
        with undone():
            answer = world.provider.ask(*address, None if address[0] == "GET" else _GOOD[0], **headers)
            well_formed(answer)

    hold()


def test_any_address_is_answered(world: World) -> None:
    @settings(bounded, max_examples=400)
    @example("GET", "Users/a%0Ab", "")
    @example("GET", "a%0Ab", "")
    @example("GET", "%0A", "")
    @example("GET", "Users", "a=1&" * 1500)
    @given(_methods, _paths | st.just(f"Users/{world.ada}"), _queries)
    def hold(method: str, path: str, query: str) -> None:
        _holds(world, method, f"{path}?{query}", b"")

    hold()


def test_any_query_is_answered(world: World) -> None:
    @settings(bounded, max_examples=400)
    @given(st.sampled_from(["Users", "Groups", "", f"Users/{world.ada}", "Schemas", "ResourceTypes"]), _queries)
    def hold(path: str, query: str) -> None:
        _holds(world, "GET", f"{path}?{query}", b"")

    hold()


def test_whatever_is_asked_is_noted_without_its_secrets(world: World) -> None:
    RECORDER.flush()
    bodies = _bodies | st.sampled_from(
        [b'{"password":"Hunter2-in-plain", broken', b'{"password":"Hunter2-in-plain"}', b'{"a":"\\ud800\\u0000"}',
         b'{"\\u0000":{"password":["Hunter2-in-plain"]}}', b'{"a":1e999,"b":%s}' % (b"9" * 400),
         b'"' + b"x" * 100_000 + b'"']
    )  # fmt: skip

    @settings(bounded, max_examples=400)
    @example("X" * 200, "Users", "a=1", b"", {"User-Agent": "x" * 5000})
    @example(
        "PATCH",
        f"Users/{world.ada}",
        "",
        b'{"Operations":[{"op":"replace","path":"password","value":"Hunter2-in-plain"}]}',
        {},
    )
    @example("GET", "Users", "filter=password+eq+%22Hunter2-in-plain%22", b"", {})
    @example("POST", "Users/Hunter2-in-plain", "x=%00%ffHunter2-in-plain", b"", {"User-Agent": "\xff"})
    @given(_methods, _paths | st.just(f"Users/{world.ada}"), _queries, bodies, _headers)
    def hold(method: str, path: str, query: str, body: bytes, headers: dict[str, str]) -> None:
        with undone():
            headers = {**headers, "Authorization": f"Bearer {world.provider.token}"}
            world.provider.client.generic(
                method, f"/scim/v2/{path}?{query}", body, content_type="application/json", headers=headers
            )
            RECORDER.flush()
            kept = ConnectionExchange.objects.order_by("-id")[:1]

            assert len(kept) == 1
            written = str(list(kept.values()))
            assert "Hunter2-in-plain" not in written
            assert world.provider.token not in written

    hold()
