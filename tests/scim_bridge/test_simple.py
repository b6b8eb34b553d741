"""The short way for simple users returns what the engine returns, under every dialect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import Context, SCIMException
from scim2_server.requests import ScimRequest
from scim2_server.routing import Operation

from governance.identity.conditions.language import about_groups, about_people, is_plain_equality
from governance.identity.conditions.schemas import ENTERPRISE_USER, USER
from governance.identity.conditions.terms import About
from scim_bridge.adapters import stored_form
from scim_bridge.dialects.policies import DIALECTS
from scim_bridge.engine.service import service_for
from scim_bridge.engine.simple import PATCH_OP, changed, is_simple_user, simple_changes, simple_page
from scim_bridge.storage.directory import document, resource

TEXT = st.one_of(
    st.sampled_from(["a", "Ada", "ada@example.com", "true", "False", " x ", "", " ", "[]", "{}", "ß", "null", "tel:1"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6),
)
MOSTLY_TEXT = st.one_of(TEXT, TEXT, TEXT, TEXT, st.none(), st.booleans(), st.integers(), st.just([]), st.just({}))
FLAG = st.one_of(st.booleans(), st.booleans(), st.sampled_from(["True", "false", None, 1, ""]))
TEXTS = ["externalId", "displayName", "nickName", "title", "userType", "preferredLanguage", "locale", "timezone"]
NAMES = ["formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"]
DIVISIONS = ["employeeNumber", "costCenter", "organization", "division", "department"]


def some(values: st.SearchStrategy[Any], *names: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values, max_size=4)


ELEMENT = st.fixed_dictionaries({}, optional={"value": TEXT, "type": TEXT, "display": TEXT, "primary": FLAG})
LIST = st.lists(ELEMENT, max_size=3)
SCHEMAS = st.sampled_from([[USER], [USER, ENTERPRISE_USER], [ENTERPRISE_USER, USER], [USER, USER], [], None, USER])


@st.composite
def users(draw: st.DrawFn) -> dict[str, Any]:
    """Return a document that is mostly in order."""
    parts = {
        "name": st.one_of(some(TEXT, *NAMES), MOSTLY_TEXT),
        "emails": LIST,
        "phoneNumbers": LIST,
        "active": FLAG,
        "roles": LIST,
        "Title": TEXT,
        "custom": MOSTLY_TEXT,
        "id": TEXT,
        ENTERPRISE_USER: st.builds(
            lambda texts, manager: {**texts, **manager},
            some(TEXT, *DIVISIONS),
            st.one_of(st.just({}), st.fixed_dictionaries({"manager": st.one_of(some(TEXT, "value"), TEXT)})),
        ),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(parts)), max_size=4, unique=True))
    user = {"userName": draw(TEXT), **draw(some(MOSTLY_TEXT, *TEXTS)), **{name: draw(parts[name]) for name in chosen}}
    orderly = [USER, ENTERPRISE_USER] if ENTERPRISE_USER in user else [USER]
    return {"schemas": draw(st.one_of(st.just(orderly), st.just(orderly), SCHEMAS)), **user}


OPERATION = st.one_of(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "replace", "Replace", "Add", "remove", "ADD"]),
            "path": st.sampled_from(
                [
                    *TEXTS,
                    "userName",
                    "active",
                    "name.familyName",
                    "name.formatted",
                    f"{ENTERPRISE_USER}:department",
                    f"{ENTERPRISE_USER}:manager",
                    "emails",
                    "Title",
                ]
            ),
            "value": st.one_of(TEXT, TEXT, FLAG, MOSTLY_TEXT),
        }
    ),
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "replace", "Replace"]),
            "value": st.builds(
                lambda texts, more: {**texts, **more},
                some(MOSTLY_TEXT, *TEXTS),
                st.fixed_dictionaries({}, optional={"active": FLAG, "name.familyName": TEXT}),
            ),
        }
    ),
)
PATCHES = st.fixed_dictionaries(
    {"schemas": st.sampled_from([[PATCH_OP], [PATCH_OP], []]), "Operations": st.lists(OPERATION, max_size=3)}
)


def by_the_engine(dialect: str, raw: Any, context: Context) -> dict[str, Any]:
    """Return the document the long way."""
    service = service_for(dialect)
    with service.provider:
        user = service.resource_type_at("Users")
        normal = DIALECTS[dialect].document("User", raw)
        return document(service.validated(service.get_model(user), normal, context))


def patched_by_the_engine(dialect: str, stored: dict[str, Any], raw: Any) -> dict[str, Any]:
    """Return a stored document after a PATCH, the long way."""
    service, spoken = service_for(dialect), DIALECTS[dialect]
    with service.provider:
        user = service.resource_type_at("Users")
        normal = spoken.patch("User", raw, "1")
        if normal is None:
            return stored
        current = resource(user, {**stored, "id": "1"})
        service.patch_op(user, normal).patch(current)
        return stored_form(spoken.kept("User", normal, document(current)))


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("context", [Context.RESOURCE_CREATION_REQUEST, Context.RESOURCE_REPLACEMENT_REQUEST])
@given(raw=users())
@settings(max_examples=60, deadline=None)
def test_a_simple_user_is_what_the_engine_makes_of_it(dialect: str, context: Context, raw: dict[str, Any]) -> None:
    if is_simple_user(raw):
        assert by_the_engine(dialect, raw, context) == raw


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@given(stored=users(), raw=PATCHES)
@settings(max_examples=150, deadline=None)
def test_simple_changes_are_what_the_engine_makes_of_a_patch(
    dialect: str, stored: dict[str, Any], raw: dict[str, Any]
) -> None:
    changes = simple_changes(raw)
    new = None if changes is None else changed(stored, changes)
    if new is None:
        return

    assert new == patched_by_the_engine(dialect, stored, raw)


def test_what_providers_send_all_day_is_simple() -> None:
    user = {
        "schemas": [USER, ENTERPRISE_USER],
        "userName": "ada@example.com",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"value": "ada@example.com", "type": "work", "primary": True}],
        "active": True,
        ENTERPRISE_USER: {"department": "Engineering", "manager": {"value": "26"}},
    }

    assert is_simple_user(user)
    for operations in (
        [{"op": "replace", "value": {"active": False}}],
        [{"op": "Replace", "path": "active", "value": False}],
        [{"op": "add", "path": "name.familyName", "value": "King"}],
        [{"op": "replace", "path": f"{ENTERPRISE_USER}:department", "value": "Finance"}],
    ):
        changes = simple_changes({"schemas": [PATCH_OP], "Operations": operations})
        assert changes is not None
        assert changed(user, changes) is not None


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@given(
    attribute=st.sampled_from(["userName", "externalId", "displayName", "id"]),
    value=st.one_of(TEXT, st.sampled_from(["True", "false", "null", "a b", "[x]", "%", "a and b", "(a)"])),
)
@settings(max_examples=80, deadline=None)
def test_a_plain_equality_means_the_same_in_every_dialect(dialect: str, attribute: str, value: str) -> None:
    text = f'{attribute} eq "{value}"'
    if not is_plain_equality(text):
        return

    assert DIALECTS[dialect].filter(("User", "Group"), text) == text
    for about, read in ((About.PEOPLE, about_people), (About.GROUPS, about_groups)):
        if (about, attribute) != (About.GROUPS, "userName"):
            # Written otherwise, the same condition is parsed.
            parsed = read(f"({text})")
            assert read(text).term == parsed.term


@pytest.mark.parametrize(
    ("raw", "page"),
    [
        ({}, (1, None)),
        ({"filter": "x"}, (1, None)),
        ({"startIndex": "0", "count": "5"}, (1, 5)),
        ({"startIndex": "101", "count": "0"}, (101, 0)),
        ({"count": "-1"}, None),
        ({"count": "ten"}, None),
        ({"count": "٣"}, None),
        ({"sortBy": "userName"}, None),
        ({"cursor": ""}, None),
        ({"attributes": "id"}, None),
    ],
)
def test_a_simple_page_is_a_number_and_a_count(raw: dict[str, str], page: tuple[int, int | None] | None) -> None:
    assert simple_page(raw) == page


def test_a_simple_search_asks_what_the_models_read() -> None:
    service = service_for("strict")
    for query in ({}, {"count": "7"}, {"startIndex": "3", "count": "99999"}, {"count": "0"}, {"startIndex": "0"}):
        request = ScimRequest("GET", "http://scim.example", "/Users", query)
        with service.provider:
            simply = service.asked(request, Operation.search)
            read, _ = service.read_search(simply.types, dict(query))

        assert (simply.search.start_index, simply.search.count) == (read.start_index, read.count)
        assert simply.search.model_dump() == read.model_dump()


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"schemas": [USER]}, {"schemas": [USER], "userName": ["a"]}])
def test_what_is_no_user_is_not_simple(raw: Any) -> None:
    assert not is_simple_user(raw)
    with pytest.raises(SCIMException):
        by_the_engine("strict", raw, Context.RESOURCE_CREATION_REQUEST)
