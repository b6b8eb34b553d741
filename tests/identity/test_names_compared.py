"""Names are the same whatever their letter case and however their accents are composed (RFC 7644 §5)."""

from __future__ import annotations

import json
from importlib import import_module
from unicodedata import normalize

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.identity.people import check_profile
from governance.identity.profiles import Profile, caseless
from tests import cast


@given(st.text())
def test_the_compared_form_of_the_compared_form_is_itself(text: str) -> None:
    assert caseless(caseless(text)) == caseless(text)


@pytest.mark.parametrize(
    ("one", "other"), [("Ada", "aDA"), ("\u00c9ve", "e\u0301ve"), ("Straße", "STRASSE"), ("\u0130da", "i\u0307da")]
)
def test_names_that_read_the_same_are_the_same(one: str, other: str) -> None:
    assert caseless(one) == caseless(other)


@pytest.mark.parametrize(("one", "other"), [("eve", "\u00e9ve"), ("ida", "\u0131da"), ("a", "\u0430")])
def test_names_that_only_look_alike_are_not(one: str, other: str) -> None:
    assert caseless(one) != caseless(other)


@pytest.mark.django_db
def test_a_user_name_is_taken_however_its_accents_are_composed() -> None:
    cast.hire("\u00c9ve Marchand", user_name="\u00e9ve@halden.example")

    with pytest.raises(Conflict):
        cast.hire("Eve Other", user_name="E\u0301VE@halden.example")


def test_a_name_that_grows_beyond_its_column_without_letter_case_is_refused() -> None:
    check_profile(Profile(user_name="ß" * 160))

    with pytest.raises(Invalid, match="320"):
        check_profile(Profile(user_name="ß" * 161))


@pytest.mark.django_db
def test_the_migration_composes_what_was_stored_before() -> None:
    person = cast.hire("\u00c9ve Marchand", user_name="\u00e9ve@halden.example", title="\u00c9diteur")
    composed = (person.user_name_key, person.document_key)
    apart = json.loads(normalize("NFD", json.dumps(person.document_key, ensure_ascii=False)))
    Person.objects.filter(pk=person.pk).update(user_name_key=normalize("NFD", person.user_name_key), document_key=apart)
    assert apart != person.document_key
    migration = import_module("governance.identity.migrations.0004_canonical_keys")

    with connection.cursor() as cursor:
        cursor.execute(migration._COMPOSE)

    person.refresh_from_db()
    assert (person.user_name_key, person.document_key) == composed
