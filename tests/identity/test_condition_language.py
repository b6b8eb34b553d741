"""What the condition language accepts, and what it refuses with which sentence."""

from __future__ import annotations

import pytest

from governance.identity.conditions.language import (
    MAX_LENGTH,
    InvalidCondition,
    UnknownAttribute,
    about_both,
    about_groups,
    about_people,
)
from governance.identity.conditions.predicate import holds
from governance.identity.conditions.schemas import ENTERPRISE_USER
from governance.identity.conditions.terms import About

ADA = {
    "id": "0b4a1f3e-0000-4000-8000-000000000001",
    "userName": "Ada@example.com",
    "active": True,
    "title": "Engineer",
    "userType": "Employee",
    "emails": [
        {"value": "ada@example.com", "type": "work", "primary": True},
        {"value": "ada@home.example", "type": "home"},
    ],
    ENTERPRISE_USER: {"department": "Finance", "manager": {"value": "M-7"}},
    "meta": {"created": "2026-03-01T09:00:00Z", "resourceType": "User"},
}


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ADA@EXAMPLE.COM"',
        'username Eq "ada@example.com"',
        'department eq "finance" and not (userType eq "Contractor")',
        f'{ENTERPRISE_USER}:department eq "Finance"',
        'urn:ietf:params:scim:schemas:core:2.0:User:title sw "Eng"',
        'manager.value eq "M-7"',
        'emails[type eq "work" and value co "@example"]',
        'emails[type eq "work"].value eq "ada@example.com"',
        'emails co "home.example"',
        'emails.type ne "other"',
        'active eq true and emails[primary eq "True"]',
        'meta.created lt "2026-03-01T09:00:00.1234567Z"',
        'title eq "x" or title pr and userName pr',
        "nickName eq null",
        "not (nickName pr)",
        'userName gt "ada"',
    ],
)
def test_a_condition_selects_ada(text: str) -> None:
    assert holds(about_people(text), ADA)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "grace@example.com"',
        'manager.value eq "m-7"',
        'emails[type eq "home" and value co "@example.com"]',
        'nickName eq ""',
        'title eq "x" and title pr or userName eq "y"',
        'emails ne "ada@home.example"',
        'nickName gt "a"',
    ],
)
def test_a_condition_does_not_select_ada(text: str) -> None:
    assert not holds(about_people(text), ADA)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('favouriteColour eq "red"', "no attribute 'favouriteColour'"),
        ('not (favouriteColour eq "red")', "no attribute 'favouriteColour'"),
        ("favouriteColour pr", "no attribute 'favouriteColour'"),
        ('emails[colour eq "red"]', "no attribute 'emails.colour'"),
        ('members eq "x"', "no attribute 'members'"),
        ('urn:example:1.0:User:department eq "x"', "no attribute"),
        ("userName eq", "cannot be read"),
        ('userName eq "open', "cannot be read"),
        ("(" * 2100 + 'userName eq "x"' + ")" * 2100, "longer than"),
        ("(" * 900 + 'userName eq "x"', "cannot be read"),
        (" or ".join(['title eq "x"'] * 101), "more than 100 comparisons"),
        ("not (" * 20 + "title pr" + ")" * 20, "nests more than 16"),
        ('title eq "' + "x" * MAX_LENGTH + '"', "longer than"),
        ("title eq 5", "title is text"),
        ("title co true", "title is text"),
        ("title gt null", "can never hold"),
        ("active gt true", "gt does not apply to active"),
        ('active co "t"', "co does not apply to active"),
        ('active eq "perhaps"', "not a value for active"),
        ('meta.created co "2026"', "co does not apply to meta.created"),
        ('meta.created gt "yesterday"', "not a value for meta.created"),
        ('meta.created gt "2026-01-01T00:00:00"', "time zone"),
        ('name eq "Ada"', "eq does not apply to name"),
        ('addresses eq "Paris"', "eq does not apply to addresses"),
        ('manager[value eq "x"]', "not a list"),
        ('schemas[value eq "x"]', "not a list of complex values"),
        ('password eq "hunter2"', "cannot be used"),
        ('meta.location eq "x"', "cannot be used"),
        ('title eq "a\\u0000b"', "cannot hold"),
        ('title eq "\\ud800"', "cannot hold"),
        ('emails[not (value[type eq "x"])]', "cannot be read"),
    ],
)
def test_a_condition_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InvalidCondition) as refused:
        about_people(text)

    assert words in refused.value.sentence
    assert refused.value.fields == {"condition": [refused.value.sentence]}


def test_an_attribute_of_the_other_type_never_selects_there_negated_or_not() -> None:
    group = {"displayName": "Engineers"}

    for text in ("userName pr", "not (userName pr)", 'userName ne "x"', 'not (userName eq "x" and displayName pr)'):
        assert not holds(about_both(text)[About.GROUPS], group)
    assert holds(about_both('userName eq "x" or displayName eq "engineers"')[About.GROUPS], group)


def test_an_attribute_that_no_type_has_is_refused_in_a_search_over_both() -> None:
    with pytest.raises(UnknownAttribute):
        about_both('favouriteColour eq "red" or userName pr')


def test_groups_have_their_own_attributes() -> None:
    group = {"displayName": "Engineers", "members": [{"value": "p1"}]}

    assert holds(about_groups('displayName eq "ENGINEERS" and members eq "p1"'), group)
    with pytest.raises(UnknownAttribute):
        about_groups('department eq "Finance"')
