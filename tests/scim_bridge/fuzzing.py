"""What the fuzz tests share: a small world, what must hold of every answer, and what must not change with a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.scim_bridge.conftest import ENTERPRISE, ERROR, GROUP, USER, Provider

#: The same examples in every run, few enough that a file ends well within a minute.
bounded = settings(
    max_examples=120,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

#: Everything a write through this door may touch.
TABLES = (
    "identity_person", "identity_personrevision", "identity_group", "identity_membership", "access_grant",
    "access_grantrevision", "provisioning_operation", "ledger_pending",
)  # fmt: skip
#: What no client may ever read: names of our tools, of our tables, and of our code.
OUR_OWN = (
    "psycopg",
    "traceback",
    "django",
    "pydantic",
    "identity_person",
    "identity_group",
    "site-packages",
    "select ",
)

CUSTOM = "urn:okta:custom:1.0:user:custom"


class World:
    """What one connection owns: two users, and a group with one of them."""

    def __init__(self, provider: Provider, dialect: str) -> None:
        self.provider = provider
        self.dialect = dialect
        self.ada = str(provider.create_user(f"ada@{dialect}.example", **_full("Ada"))["id"])
        self.grace = str(provider.create_user(f"grace@{dialect}.example", externalId="g-1")["id"])
        self.crew = str(provider.create_group(f"Crew of {dialect}", [self.ada])["id"])


@contextmanager
def undone() -> Iterator[None]:
    """Take back whatever happens inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _full(name: str) -> dict[str, Any]:
    return {
        "schemas": [USER, ENTERPRISE],
        "name": {"givenName": name, "familyName": "Lovelace"},
        "emails": [
            {"value": f"{name.lower()}@halden.example", "type": "work", "primary": True},
            {"value": f"{name.lower()}@home.example", "type": "home"},
        ],
        "title": "Engineer",
        "active": True,
        ENTERPRISE: {"department": "Finance", "manager": {"value": "g-1"}},
    }


def rows() -> dict[str, list[Any]]:
    """Return every row of every table a write may touch."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" AS t ORDER BY 1')
            found[table] = [text for (text,) in cursor.fetchall()]
    return found


def well_formed(answer: HttpResponse) -> Any:
    """Return the body of an answer, which must keep every promise that holds for all answers."""
    assert answer.status_code != 429, "the test outran the rate limit"
    assert answer.status_code < 500 or answer.status_code == 501, answer.content
    body = json.loads(answer.content, parse_constant=_refuse_constant) if answer.content else None
    assert answer.status_code == 204 or answer.status_code == 304 or body is not None
    if answer.status_code >= 400:
        assert body["schemas"] == [ERROR]
        assert body["status"] == str(answer.status_code)
        assert answer["Content-Type"] in ("application/scim+json", "application/json")
        assert len(body["detail"]) > 5
        assert not [word for word in OUR_OWN if word in body["detail"].lower()], body
    return body


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


#: Texts that break things: empty, blank, NUL, half a surrogate pair, marks, controls, long ones, and other languages.
odd_texts = st.sampled_from(
    ["", " ", "a", "Ada", "ADA@halden.example", "x y", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "e\u0301", "ß" * 170,
     "x" * 321, "x" * 5000, "\r\nSet-Cookie: a=b", "../../etc/passwd", "%00", "'; DROP TABLE identity_person; --", '"',
     "\\", "{id}", "%s", "$.**", "\u202eadA", "True", "false", "null", "1e400", USER, ENTERPRISE, "https://a.example/x",
     "2026-03-01T09:00:00Z", "g-1", "YQ=="]
) | st.text(max_size=12)  # fmt: skip
numbers = st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, -(2**70), 10**400, 0.5, 1e308, -0.0])
scalars = st.one_of(st.none(), st.booleans(), numbers, odd_texts, odd_texts)

#: Names of attributes in every spelling that is seen, and some that nobody has.
NAMES = (
    "userName", "USERNAME", "username", "externalId", "active", "Active", "title", "displayName", "nickName", "name",
    "name.givenName", "emails", "emails.value", 'emails[type eq "work"].value', "phoneNumbers", "addresses", "photos",
    "roles", "entitlements", "x509Certificates", "profileUrl", "locale", "timezone", "preferredLanguage", "userType",
    "password", "groups", "members", "Members", "id", "meta", "schemas", ENTERPRISE, ENTERPRISE.upper(), CUSTOM,
    f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager", f"{USER}:title", f"{USER}:name.familyName",
    f"{GROUP}:displayName", f"{GROUP}:members", "shoeSize", "", " ", "$ref", "urn:", "a.b.c", "é", "\x00", "\ud800",
)  # fmt: skip
names = st.sampled_from(NAMES)
PARTS = ("value", "type", "primary", "display", "$ref", "givenName", "familyName", "formatted", "locality",
         "department",
         "manager", "employeeNumber", "Value", "shoeSize", "", "\x00")  # fmt: skip


def json_values(*likely: Any) -> st.SearchStrategy[Any]:
    """Return any JSON value, of these or alike."""
    leaves = st.one_of(scalars, st.sampled_from(likely)) if likely else scalars
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(PARTS) | odd_texts, inner, max_size=3)
        ),
        max_leaves=5,
    )


def documents(base: dict[str, Any], *likely: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents that are right but for some attributes, or right."""
    changes = st.dictionaries(names, json_values(*likely), max_size=4)
    dropped = st.lists(st.sampled_from(sorted(base)), max_size=1)
    return st.builds(
        lambda more, without: {**{name: value for name, value in base.items() if name not in without}, **more},
        changes,
        dropped,
    )
