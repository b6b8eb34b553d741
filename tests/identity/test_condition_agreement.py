"""The SQL compiler, the predicate and scim2-models' own evaluator select the same people and groups."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import ScimFilter, ScimPolicy

from governance.identity.conditions.folding import folded
from governance.identity.conditions.language import InvalidCondition, about_both, about_groups, about_people
from governance.identity.conditions.predicate import holds
from governance.identity.conditions.schemas import ENTERPRISE_USER, USER, GroupModel, UserModel
from governance.identity.conditions.sql import matching
from governance.identity.conditions.terms import About
from governance.identity.models import Group, Membership, Person, Status
from governance.identity.profiles import key, normalised

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)
TEXTS = ["", "a", "A", "ab", "Straße", "STRASSE", "50%_off", 'quo"te', "it's", "back\\slash", "é", "{id}", "%s", "$[*]"]
URIS = ["https://a.example/x", "https://A.example/X", "https://a.example/x'y"]
#: Values compare folded in our policy, as the copy in the database does.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.keep,
    comparison_key=lambda binding, text: text if binding.case_exact else folded(text),
)


def _texts(chance: random.Random, name: str, texts: list[str] = TEXTS) -> dict[str, Any]:
    return {name: chance.choice(texts)} if chance.random() < 0.7 else {}


def _element(chance: random.Random, values: list[str]) -> dict[str, Any]:
    element = {**_texts(chance, "value", values), **_texts(chance, "type")}
    if chance.random() < 0.4:
        element["primary"] = chance.random() < 0.5
    return element


def _document(chance: random.Random, number: int) -> dict[str, Any]:
    enterprise: dict[str, Any] = {**_texts(chance, "department"), **_texts(chance, "employeeNumber")}
    if chance.random() < 0.5:
        enterprise["manager"] = {"value": chance.choice(["m1", "M1", "m2"])}
    document: dict[str, Any] = {
        "schemas": [USER, ENTERPRISE_USER] if enterprise else [USER],
        "userName": f"{chance.choice(['ada', 'Grace', 'LINUS', 'straße'])}{number}",
        "active": chance.random() < 0.7,
        **_texts(chance, "title"),
        **_texts(chance, "displayName"),
        **_texts(chance, "profileUrl", URIS),
    }
    if chance.random() < 0.5:
        document["externalId"] = chance.choice(["e1", "E1", f"x{number}"])
    if name := {**_texts(chance, "givenName"), **_texts(chance, "familyName")}:
        document["name"] = name
    for name_of_list, values in (("emails", TEXTS), ("photos", URIS)):
        elements = [element for _ in range(chance.randrange(3)) if (element := _element(chance, values))]
        if elements:
            document[name_of_list] = elements
    if enterprise:
        document[ENTERPRISE_USER] = enterprise
    return document


@pytest.fixture
def groups() -> list[Group]:
    return Group.objects.bulk_create(
        Group(
            display_name=name,
            display_name_key=key(name),
            external_id=external_id,
            source="test",
            document={"displayName": name, **({"externalId": external_id} if external_id else {})},
            document_key=normalised({"displayName": name}),
            created_at=START,
            modified_at=START,
        )
        for name, external_id in (("Engineers", "g1"), ("engineers of Köln", "G1"), ("Empty", ""))
    )


@pytest.fixture
def people(groups: list[Group]) -> dict[int, dict[str, Any]]:
    """Forty people of every shape; their SCIM views by primary key."""
    chance = random.Random(7)
    rows = []
    for number in range(40):
        document = _document(chance, number)
        rows.append(
            Person(
                scim_id=uuid.UUID(int=number + 1),
                user_name=document["userName"],
                user_name_key=key(document["userName"]),
                display_name="shown",
                external_id=document.get("externalId", ""),
                status=Status.ACTIVE if document["active"] else Status.LEFT,
                left_at=None if document["active"] else START,
                source="test",
                document=document,
                document_key=normalised(document),
                version=number % 3 + 1,
                joined_at=START,
                created_at=START + timedelta(days=number),
                modified_at=START + timedelta(days=number * 2),
            )
        )
    Person.objects.bulk_create(rows)
    Membership.objects.bulk_create(
        Membership(group=group, person=person, since=START)
        for person in rows
        for group in groups[:2]
        if chance.random() < 0.4
    )
    return {person.pk: _view(person) for person in Person.objects.prefetch_related("memberships__group")}


def _view(person: Person) -> dict[str, Any]:
    groups = [
        {"value": str(each.group.scim_id), "display": each.group.display_name} for each in person.memberships.all()
    ]
    return {
        **person.document,
        "id": str(person.scim_id),
        "meta": {
            "resourceType": "User",
            "created": person.created_at.isoformat(),
            "lastModified": person.modified_at.isoformat(),
            "version": f'W/"{person.version}"',
        },
        **({"groups": groups} if groups else {}),
    }


def _quoted(text: str) -> str:
    return ScimFilter.quote(text)


_text_values = st.sampled_from([*TEXTS, *URIS, "m1", "M1", "ada3", "e1", "E1", "x5", "Engineers", "Köln"]).map(_quoted)
_text_names = st.sampled_from(
    [
        "userName", "title", "displayName", "externalId", "profileUrl", "name.givenName", "name.familyName", "emails",
        "emails.value", "emails.type", "photos.value", "schemas", "groups.display", "meta.version",
        "meta.resourceType", f"{ENTERPRISE_USER}:department", f"{ENTERPRISE_USER}:manager.value",
    ]
)  # fmt: skip
_operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
_instants = st.integers(0, 90).map(lambda days: _quoted((START + timedelta(days=days)).isoformat()))


def _spelled(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


_inside = st.one_of(
    _spelled(st.sampled_from(["value", "type"]), _operators, _text_values),
    _spelled(st.just("primary"), st.sampled_from(["eq", "ne"]), st.sampled_from(["true", "false"])),
    _spelled(st.sampled_from(["value", "type", "primary"]), st.sampled_from(["pr", "eq null", "ne null"])),
)
_brackets = st.recursive(
    _inside,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(" and ".join),
        st.tuples(inner, inner).map(" or ".join),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=4,
)
_leaves = st.one_of(
    _spelled(_text_names, _operators, _text_values),
    _spelled(_text_names, st.sampled_from(["pr", "eq null", "ne null"])),
    _spelled(st.sampled_from(["name", "emails", "groups", "meta", "active", "emails.primary", "id"]), st.just("pr")),
    _spelled(st.sampled_from(["active", "emails.primary"]), st.sampled_from(["eq", "ne"]), st.just("true")),
    _spelled(st.just("meta.created"), st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]), _instants),
    _spelled(st.just("id"), _operators, st.integers(0, 41).map(lambda number: _quoted(str(uuid.UUID(int=number))))),
    st.tuples(st.sampled_from(["emails", "photos"]), _brackets).map(lambda both: f"{both[0]}[{both[1]}]"),
)
filters = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda both: f"({both[0]}) and ({both[1]})"),
        st.tuples(inner, inner).map(lambda both: f"({both[0]}) or ({both[1]})"),
        inner.map(lambda text: f"not ({text})"),
    ),
    max_leaves=5,
)


def test_sql_predicate_and_reference_select_the_same_people(people: dict[int, dict[str, Any]]) -> None:
    models = {pk: UserModel.model_validate(view, scim_policy=POLICY) for pk, view in people.items()}
    reference_filter = ScimFilter.__class_getitem__(UserModel)

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(filters)
    def agree(text: str) -> None:
        try:
            condition = about_people(text)
        except InvalidCondition:
            return

        by_sql = set(Person.objects.filter(matching(condition)).values_list("pk", flat=True))
        by_sql_negated = set(Person.objects.exclude(matching(condition)).values_list("pk", flat=True))
        by_predicate = {pk for pk, view in people.items() if holds(condition, view)}
        with POLICY:
            by_reference = {pk for pk, model in models.items() if reference_filter(text).match(model)}

        assert by_sql == by_predicate
        assert by_sql == by_reference
        assert by_sql_negated == people.keys() - by_sql

    agree()


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "x"; DROP TABLE identity_person; --"',
        'title eq "\\") || true || (\\""',
        'title eq "\' OR 1=1 --"',
        'title eq "{status} = {status}"',
        "title co \"%' OR '1'='1\"",
        'emails[value eq "\\" || @.type == \\"work"]',
        f'{ENTERPRISE_USER}:department eq "$.** ? (1 == 1)"',
    ],
)
def test_text_in_a_literal_stays_a_literal(people: dict[int, dict[str, Any]], text: str) -> None:
    try:
        condition = about_people(text)
    except InvalidCondition:
        return

    assert not Person.objects.filter(matching(condition)).exists()
    assert Person.objects.count() == len(people)


def test_conditions_about_groups_agree(people: dict[int, dict[str, Any]], groups: list[Group]) -> None:
    members = {
        group.pk: [{"value": str(each.person.scim_id)} for each in group.memberships.select_related("person")]
        for group in groups
    }
    views = {
        group.pk: {
            **group.document,
            "id": str(group.scim_id),
            "meta": {"created": START.isoformat(), "resourceType": "Group"},
            **({"members": members[group.pk]} if members[group.pk] else {}),
        }
        for group in groups
    }
    somebody = members[groups[0].pk][0]["value"]

    for text in (
        'displayName eq "ENGINEERS"',
        'displayName co "köln"',
        'externalId eq "g1"',
        "externalId pr",
        "externalId eq null",
        "members pr",
        "not (members pr)",
        f'members eq "{somebody}"',
        f'members[value eq "{somebody}"]',
        f'members ne "{somebody}"',
        f'id eq "{groups[0].scim_id}" and members.value eq "{somebody}"',
        'members eq "not a uuid"',
    ):
        condition = about_groups(text)
        by_sql = set(Group.objects.filter(matching(condition)).values_list("pk", flat=True))
        by_predicate = {pk for pk, view in views.items() if holds(condition, view)}
        by_reference = {
            pk
            for pk, view in views.items()
            if ScimFilter.__class_getitem__(GroupModel)(text).match(GroupModel.model_validate(view))
        }

        assert by_sql == by_predicate == by_reference, text


def test_an_attribute_of_the_other_type_never_widens_a_search_over_both(groups: list[Group]) -> None:
    for text in ("userName pr", "not (userName pr)", 'userName ne "x"', 'not (userName eq "x" and displayName pr)'):
        condition = about_both(text)[About.GROUPS]

        assert not Group.objects.filter(matching(condition)).exists()


def test_equality_on_a_column_and_on_the_document_can_use_their_indexes(people: dict[int, dict[str, Any]]) -> None:
    for text, wanted in (
        ('userName eq "ada3"', '"user_name_key" = ada3'),
        ('externalId eq "e1"', '"external_id" = e1'),
        ('emails[type eq "work" and value eq "a"]', '@> {"emails": [{"type": "work", "value": "a"}]}::jsonb'),
        ('title eq "A"', '@> {"title": "a"}::jsonb'),
    ):
        where = str(Person.objects.filter(matching(about_people(text))).query).split("WHERE")[1]

        assert wanted in where
        assert "COALESCE" not in where
        assert "EXISTS" not in where
