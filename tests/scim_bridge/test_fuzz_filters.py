"""Random filters at the door: an answer that is right, or a refusal; never more people than the filter selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote as percent

import pytest
from django.http import HttpResponse
from hypothesis import given
from hypothesis import strategies as st

from governance.identity.conditions import terms
from governance.identity.conditions.language import InvalidCondition, _condition
from governance.identity.conditions.predicate import holds
from governance.identity.conditions.terms import About
from tests.identity.conditions import strategies
from tests.scim_bridge.conftest import ENTERPRISE, USER, Provider
from tests.scim_bridge.fuzzing import CUSTOM, bounded, odd_texts, well_formed

DIALECTS = ("entra", "ping", "default", "strict")

PEOPLE: tuple[dict[str, Any], ...] = (
    {"userName": "ada", "title": "a", "externalId": "e1", ENTERPRISE: {"department": "ab"}},
    {"userName": "Straße", "title": "ß", "emails": [{"value": "a", "type": "work", "primary": True}], "active": False},
    {"userName": "e\u0301ve", "name": {"givenName": "É", "familyName": "50%_off"}, "roles": [{"value": "ss"}]},
    {"userName": "linus", "emails": [{"value": "A", "type": "home"}, {"value": "b", "type": "work"}], "title": ""},
)

_TOKENS = (
    "userName", "title", "emails", "emails.value", "shoeSize", f"{ENTERPRISE}:department", f"{USER}:title", CUSTOM,
    "active", "eq", "ne", "co", "sw", "ew", "pr", "gt", "le", "and", "or", "not", "not (", "(", ")", "[", "]", ".", ":",
    '"a"', '"', '"ada"', '"\\"', '"\\u0000"', '"\\ud800"', "true", "false", "null", "5", "1e400",
    "-", "'a'", "\t", "\n",
    "+",
    "=", "==", ";", "--", "/*", "{id}", "%s", "$", "urn:", "é", "🙂", "\x00", "members", "password", "meta.created",
)  # fmt: skip
#: Words of the grammar in any order, which is seldom a filter, and filters with one place changed, which often are.
_words = st.lists(st.sampled_from(_TOKENS), max_size=9).map(" ".join)
_good = strategies.conditions.map(str)


def _bent(text: str, at: int, word: str, drop: int) -> str:
    place = at % (len(text) + 1)
    return f"{text[:place]}{word}{text[place + drop :]}"


_changed = st.builds(
    _bent,
    _good,
    st.integers(0, 400),
    st.sampled_from(["", " ", "(", ")", '"', "not ", " or title pr", "x", "\x00", "]"]),
    st.integers(0, 3),
)  # fmt: skip
_with_unknown = st.builds(
    lambda text, name, joint: joint.format(text=text, name=name),
    _good.filter(lambda text: "{" not in text),
    st.sampled_from(["shoeSize", "emails.shoeSize", f"{CUSTOM}:badge", "urn:x:y:userName", "members", "name.shoeSize"]),
    st.sampled_from(
        ['{text} or {name} eq "x"', '{text} or not ({name} eq "x")', '{name} ne "x"', "not ({name} pr)",
         '{text} and not ({name} eq "x")', "not ({text} and {name} pr)", '{name}[value eq "x"] or {text}']
    ),
)  # fmt: skip
filters = st.one_of(_good, _changed, _with_unknown, _words, odd_texts)


def _asked(provider: Provider, text: str) -> HttpResponse:
    return provider.ask("GET", f"Users?filter={percent(text.encode('utf-8', 'surrogatepass'))}")


def _selected(text: str, view: dict[str, Any]) -> bool:
    """Tell whether the filter selects somebody, an attribute that nobody has being neither true nor false."""
    return holds(_condition(About.PEOPLE, text, terms.Undeclared), view)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_filter_is_answered_rightly_or_refused(connected: Callable[..., Provider], dialect: str) -> None:
    provider = connected(dialect)
    for person in PEOPLE:
        provider.create_user(str(person["userName"]), **{**person, "schemas": [USER, ENTERPRISE]})
    views = {view["id"]: view for view in provider.get("Users")["Resources"]}

    @bounded
    @given(filters)
    def hold(text: str) -> None:
        answer = _asked(provider, text)
        body = well_formed(answer)
        if answer.status_code >= 400:
            assert (answer.status_code, body["scimType"]) == (400, "invalidFilter"), body
            return
        found = {each["id"] for each in body["Resources"]}
        assert body["totalResults"] == len(found)
        try:
            expected = {id_ for id_, view in views.items() if _selected(text, view)}
        except InvalidCondition:
            assert dialect != "strict"  # only a rule of a dialect can make sense of it
            assert found < set(views)
            return
        assert found <= expected
        assert found == expected or "shoeSize" in text or CUSTOM in text or "urn:x" in text

    hold()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_search_over_everything_selects_no_more_than_one_over_users(
    connected: Callable[..., Provider], dialect: str
) -> None:
    provider = connected(dialect)
    for person in PEOPLE:
        provider.create_user(str(person["userName"]), **{**person, "schemas": [USER, ENTERPRISE]})
    provider.create_group("a")

    @bounded
    @given(filters)
    def hold(text: str) -> None:
        search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": text}
        everywhere = provider.ask("POST", ".search", search)
        body = well_formed(everywhere)
        if everywhere.status_code >= 400:
            assert everywhere.status_code == 400, body
            return
        users = [each["id"] for each in body["Resources"] if each["meta"]["resourceType"] == "User"]
        try:
            expected = {each["id"] for each in provider.get("Users")["Resources"] if _selected(text, each)}
        except InvalidCondition:
            return
        assert set(users) <= expected

    hold()
