"""Our filters beside scim2-models' own evaluator, and beside our predicate, on random people and random filters.

Where we differ from the evaluator on purpose, a test of that name says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter, ScimPolicy

from governance.identity.conditions.folding import folded
from governance.identity.conditions.language import InvalidCondition, UnknownAttribute, about_people
from governance.identity.conditions.predicate import holds
from governance.identity.conditions.schemas import ENTERPRISE_USER, USER, UserModel
from governance.identity.conditions.sql import matching
from governance.identity.models import Group, Membership, Person, Status
from governance.identity.profiles import key, normalised
from tests.identity.conditions import strategies
from tests.identity.conditions.strategies import START, Drawn, Tree, quote, selected

pytestmark = pytest.mark.django_db

#: Unknown parts are kept, and texts compare in the form the copy in the database has.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.keep,
    comparison_key=lambda binding, text: text if binding.case_exact else folded(text),
)
GROUP_NAMES = ("Engineers", "Straße", "e\u0301ve's 50%")
bounded = settings(
    max_examples=250,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def groups() -> list[Group]:
    return Group.objects.bulk_create(
        Group(
            scim_id=uuid.UUID(int=100 + number),
            display_name=name,
            display_name_key=key(name),
            source="test",
            document={"displayName": name},
            document_key=normalised({"displayName": name}),
            created_at=START,
            modified_at=START,
        )
        for number, name in enumerate(GROUP_NAMES)
    )


@contextmanager
def _kept(drawn: list[Drawn], groups: list[Group]) -> Iterator[dict[int, dict[str, Any]]]:
    """Have these people in the database for a moment; return their SCIM views by primary key."""
    with transaction.atomic():
        rows = Person.objects.bulk_create(_row(number, each) for number, each in enumerate(drawn, 1))
        Membership.objects.bulk_create(
            Membership(group=groups[number], person=row, since=START)
            for row, each in zip(rows, drawn, strict=True)
            for number in each.group_numbers
        )
        yield {row.pk: _view(row, each, groups) for row, each in zip(rows, drawn, strict=True)}
        transaction.set_rollback(True)


def _row(number: int, drawn: Drawn) -> Person:
    document = {**drawn.document, "userName": f"{drawn.document['userName']}{number}"}
    is_active = drawn.document["active"]
    return Person(
        scim_id=uuid.UUID(int=number),
        user_name=document["userName"],
        user_name_key=key(document["userName"]),
        display_name="shown",
        external_id=document.get("externalId", ""),
        status=Status.ACTIVE if is_active else Status.LEFT,
        left_at=None if is_active else START,
        source="test",
        document=document,
        document_key=normalised(document),
        version=drawn.version,
        joined_at=START,
        created_at=drawn.created_at,
        modified_at=drawn.modified_at,
    )


def _view(row: Person, drawn: Drawn, groups: list[Group]) -> dict[str, Any]:
    members = [
        {"value": str(groups[number].scim_id), "display": groups[number].display_name}
        for number in sorted(drawn.group_numbers)
    ]
    meta = {
        "resourceType": "User",
        "created": row.created_at.isoformat(),
        "lastModified": row.modified_at.isoformat(),
        "version": f'W/"{row.version}"',
    }
    return {**row.document, "id": str(row.scim_id), "meta": meta, **({"groups": members} if members else {})}


def _by_sql(text: str) -> set[int]:
    return set(Person.objects.filter(matching(about_people(text))).values_list("pk", flat=True))


def _by_reference(text: str, views: dict[int, dict[str, Any]], policy: ScimPolicy = POLICY) -> set[int]:
    wanted = ScimFilter.__class_getitem__(UserModel)(text)
    with policy:
        return {pk for pk, view in views.items() if wanted.match(UserModel.model_validate(view, scim_policy=policy))}


def _is_refused(text: str) -> bool:
    try:
        about_people(text)
    except InvalidCondition:
        return True
    return False


def test_sql_predicate_and_reference_agree_on_random_people_and_filters(groups: list[Group]) -> None:
    @bounded
    @given(strategies.people, st.lists(strategies.conditions.map(str), min_size=1, max_size=4))
    def agree(drawn: list[Drawn], texts: list[str]) -> None:
        with _kept(drawn, groups) as views:
            for text in texts:
                if _is_refused(text):
                    continue
                by_sql = _by_sql(text)

                assert by_sql == {pk for pk, view in views.items() if holds(about_people(text), view)}, text
                assert by_sql == _by_reference(text, views), text

    agree()


def test_and_binds_tighter_than_or_and_not_tightest(groups: list[Group]) -> None:
    @bounded
    @given(strategies.people, strategies.conditions)
    def agree(drawn: list[Drawn], tree: Tree | str) -> None:
        with _kept(drawn, groups) as views:
            if _is_refused(str(tree)):
                return

            assert _by_sql(str(tree)) == selected(tree, _by_sql, set(views)), str(tree)

    agree()


def test_a_filter_and_its_negation_share_everybody_between_them(groups: list[Group]) -> None:
    @bounded
    @given(strategies.people, strategies.conditions.map(str))
    def agree(drawn: list[Drawn], text: str) -> None:
        with _kept(drawn, groups) as views:
            if _is_refused(text):
                return
            matched, unmatched = _by_sql(text), _by_sql(f"not ({text})")

            assert matched | unmatched == set(views), text
            assert not matched & unmatched, text

    agree()


def _unknown_in(text: str) -> str:
    return text.replace("#", "shoeSize")


@pytest.mark.parametrize(
    "frame",
    ['# eq "44"', '# ne "44"', 'not (# eq "44")', "# pr", "not (# pr)", 'userName pr or # eq "44"', "emails[# pr]",
     "emails[not (# pr)]", "not (emails[# pr])", f"{strategies.CUSTOM}:# pr", "#.value pr", "name.# eq null",
     '#[value eq "44"]', 'not (#[value eq "44"])'],
)  # fmt: skip
def test_we_refuse_an_unknown_attribute_where_the_reference_negates_it_into_everybody(
    groups: list[Group], frame: str
) -> None:
    """RFC 7644 §3.4.2.2 lets both be; a typing error under `not` or `ne` must not select the whole directory."""
    with pytest.raises(UnknownAttribute, match=r"(?i)shoeSize"):
        about_people(_unknown_in(frame))


def _one(groups: list[Group], **more: Any) -> Any:
    """Have one person with these attributes for a moment."""
    document = {"schemas": [USER], "userName": "ada", "active": True, **more}
    return _kept([Drawn(document, START, START, 1, frozenset())], groups)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [("Straße", "STRASSE"), ("ΣΟΦΟΣ", "σοφοσ"), ("ﬁle", "FILE"), ("\u0149", "\u02bcn")],
    ids=ascii,
)
def test_we_fold_letter_case_where_the_reference_makes_lower_case(groups: list[Group], stored: str, asked: str) -> None:
    """RFC 7644 §5 points to RFC 7613, whose §3.2.2 prefers full case folding; RFC 8265 came later and makes lower."""
    text = f"title eq {quote(asked)}"
    with _one(groups, title=stored) as views:
        assert _by_sql(text) == set(views)
        assert _by_reference(text, views, ScimPolicy()) == set()


@pytest.mark.parametrize("text", ['title eq "e\u0301ve"', 'title co "\u00c9"', 'title sw "E\u0301"'])
def test_accents_compare_by_what_they_mean_as_in_the_reference(groups: list[Group], text: str) -> None:
    with _one(groups, title="\u00c9ve") as views:
        assert _by_sql(text) == _by_reference(text, views, ScimPolicy()) == set(views)


def test_we_compare_case_exact_texts_by_code_point_where_the_reference_composes_accents(groups: list[Group]) -> None:
    """RFC 7643 §3.1: `externalId` is the client's own and opaque; RFC 7644 §5 asks for composition of names only."""
    with _one(groups, externalId="\u00e9") as views:
        assert _by_sql('externalId eq "\u00e9"') == set(views)
        assert _by_sql('externalId eq "e\u0301"') == set()
        assert _by_reference('externalId eq "e\u0301"', views, ScimPolicy()) == set(views)


@pytest.mark.parametrize("text", ['department eq "Finance"', 'manager.value eq "m1"', "not (department eq null)"])
def test_we_find_enterprise_attributes_without_their_urn_where_the_reference_knows_none(
    groups: list[Group], text: str
) -> None:
    """Beyond RFC 7644 §3.10, for people who write rules; the core schema wins when both have the name."""
    with _one(groups, **{ENTERPRISE_USER: {"department": "Finance", "manager": {"value": "m1"}}}) as views:
        assert _by_sql(text) == set(views)


@pytest.mark.parametrize(
    "text",
    ["title eq 5", "title eq true", "title gt null", "title co null", "active gt true",
     'active co "t"', "emails[value eq 5]",
     'x509Certificates.value co "a"', 'meta.created co "2026"', 'meta.created gt "yesterday"',
     'meta.created gt "2026-03-01T00:00:00"', 'name eq "Ada"', 'addresses eq "x"', 'title[value eq "x"]',
     'password eq "x"',
     "password pr", 'meta.location eq "x"', 'title eq "\\u0000"', 'title eq "\\ud800"'],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_and_selects_nobody(groups: list[Group], text: str) -> None:
    for each in (text, f"not ({text})", f"userName pr or {text}"):
        with pytest.raises(InvalidCondition):
            about_people(each)


@pytest.mark.parametrize(
    "text",
    ["emails[not (type pr)]", "emails.type eq null", "emails eq null", "not (emails pr)", "emails[type eq null]"],
)
@pytest.mark.parametrize(
    "emails", [None, [], [{"value": "a"}], [{"type": "work"}], [{"value": None, "type": None}]], ids=str
)
def test_lists_that_are_null_empty_or_have_holes_select_as_in_the_reference(
    groups: list[Group], text: str, emails: Any
) -> None:
    with _one(groups, emails=emails) as views:
        by_sql = _by_sql(text)

        assert by_sql == _by_reference(text, views)
        assert by_sql == {pk for pk, view in views.items() if holds(about_people(text), view)}
