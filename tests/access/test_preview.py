"""What a draft would change, compared with what it does: the preview against one person after the other."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.access import facts, requests
from governance.access.approvers import deciders
from governance.access.preview import NAMED, everybody, newly_undecidable, preview
from governance.catalog import policies
from governance.catalog.models import Application, Entitlement
from governance.catalog.policy_terms import PolicyTerms, people_asked
from governance.catalog.stages import Approvers, Stage
from governance.identity.models import Person
from tests.cast import TESTING, acting, add_application, add_role, ask, hire, make_security_admin, move

pytestmark = pytest.mark.django_db

SECURITY = Approvers("security")
SAFE = Stage(Approvers("owner"), fallback=SECURITY)


@pytest.fixture
def people(ada: Person, grace: Person, linus: Person, sam: Person, mallory: Person) -> list[Person]:
    """Return a company with two levels of managers, an owner who is a manager too, and two who run security."""
    move(grace, manager_hint=linus.user_name)
    move(mallory, manager_hint=linus.user_name)
    make_security_admin(linus)
    tess = hire("Tess Under", manager=ada, department="Data")
    found = [ada, grace, linus, sam, mallory, tess]
    for one in found:
        one.refresh_from_db()
    return found


@pytest.fixture
def roles(people: list[Person], snowflake: Application) -> list[Entitlement]:
    """Return two roles of one application and one of another, with other owners, under one policy."""
    first = add_role(snowflake, "Analyst", terms={"purposes": ("Work",)})
    gitlab = add_application("GitLab")
    gitlab.ownerships.create(person=people[1], since=gitlab.created_at)
    gitlab.ownerships.create(person=people[2], since=gitlab.created_at)
    return [first, *(add_role(one, "Reader", policy=first.policy) for one in (snowflake, gitlab))]


def named(*people: Person) -> Approvers:
    return Approvers("people", people=tuple(str(one.ref) for one in people))


def approvers(people: Sequence[Person]) -> st.SearchStrategy[Approvers]:
    return st.sampled_from(["manager", "managers_manager", "owner", "security"]).map(Approvers) | st.lists(
        st.sampled_from(people), min_size=1, max_size=3, unique=True
    ).map(lambda some: named(*some))


def stages(people: Sequence[Person]) -> st.SearchStrategy[Stage]:
    return st.builds(Stage, approvers(people), st.integers(1, 2), st.just(None), st.none() | approvers(people))


CONDITIONS = st.sampled_from(
    ["", 'department eq "Engineering"', 'not (userType eq "Contractor")', "title pr", 'department eq "Nowhere"']
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_preview_is_what_happens_to_each_person(
    data: st.DataObject, people: list[Person], roles: list[Entitlement]
) -> None:
    before, draft = (
        PolicyTerms(
            stages=tuple(data.draw(st.lists(stages(people), min_size=1, max_size=3))),
            may_request=data.draw(CONDITIONS),
            auto_deny=data.draw(CONDITIONS.filter(bool) | st.just("")),
        )
        for _ in range(2)
    )

    seen = preview(draft, before, roles[0].policy.slug)

    asks_before, asks = (({one.pk for one in people if may_ask(one, terms, roles[0])}) for terms in (before, draft))
    assert {one.pk for one in seen.may_ask.people} == asks - asks_before
    assert {one.pk for one in seen.no_longer.people} == asks_before - asks
    stuck = [(one.pk, role.pk) for one in people if one.pk in asks for role in roles if is_stuck(one, role, draft)]
    assert seen.lacking_count >= len(stuck)
    if len(draft.stages) == 1:
        assert seen.lacking_count == len(stuck)
        assert {one.person.pk for one in seen.lacking} == {person for person, _ in stuck}
    moved = [
        one.pk
        for one in people
        if one.pk in asks and any(decide(one, role, draft) != decide(one, role, before) for role in roles)
    ]
    assert seen.redirected_count == len(moved)
    assert {one.person.pk for one in seen.redirected} == set(moved)
    listed = Counter(one.change for one in everybody(draft, before, roles[0].policy.slug))
    assert listed == Counter(
        may_ask=seen.may_ask.count,
        no_longer=seen.no_longer.count,
        declined_at_once=seen.declined_at_once.count,
        approved_at_once=seen.approved_at_once.count,
        lacking=seen.lacking_count,
        redirected=seen.redirected_count,
    )
    assert seen.affects_somebody is bool(listed)


def test_everybody_is_listed_beyond_the_first(
    people: list[Person], roles: list[Entitlement], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.access.preview._AT_ONCE", 10)
    crew = {hire(f"Crew{number:02} Member").pk for number in range(NAMED + 5)}  # without managers
    policy = roles[0].policy
    for number in range(NAMED + 2):  # more than are kept of a kind that is nobody to them
        add_role(add_application(f"App{number:02}", owner=people[0]), "Reader", policy=policy)
    draft = PolicyTerms(stages=("manager",), may_request='displayName sw "Crew"')

    seen = preview(draft, PolicyTerms(stages=("owner",)), policy.slug)
    listed = list(everybody(draft, PolicyTerms(stages=("owner",)), policy.slug))

    assert len(seen.lacking) == len(seen.redirected) == NAMED
    lacking = [(one.person.pk, one.role) for one in listed if one.change == "lacking"]
    assert len(lacking) == len(set(lacking)) == seen.lacking_count == len(crew) * (NAMED + 2 + len(roles))
    assert {key for key, _ in lacking} == {one.person.pk for one in listed if one.change == "redirected"} == crew
    assert len([one for one in listed if one.change == "no_longer"]) == seen.no_longer.count == len(people)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_owners_are_in_the_way_of_whom_nobody_could_decide_about_any_more(
    data: st.DataObject, people: list[Person], roles: list[Entitlement]
) -> None:
    terms = PolicyTerms(stages=(data.draw(stages(people)),), may_request=data.draw(CONDITIONS))
    before, after = (data.draw(st.lists(st.sampled_from(people), unique=True)) for _ in range(2))
    role = roles[0]

    own(role, before)
    could = {one.pk for one in people if not is_stuck(one, role, terms)}
    own(role, after)
    count, found = newly_undecidable(terms, [role], {role.application_id: frozenset(one.pk for one in before)})

    asks = [one for one in people if may_ask(one, terms, role)]
    expected = {one.pk for one in asks if one.pk in could and is_stuck(one, role, terms)}
    assert (count, {one.person.pk for one in found}) == (len(expected), expected)


def own(role: Entitlement, people: Sequence[Person]) -> None:
    role.application.ownerships.all().delete()
    for one in people:
        role.application.ownerships.create(person=one, since=role.created_at)


def may_ask(person: Person, terms: PolicyTerms, role: Entitlement) -> bool:
    """Tell what a version with these terms, in force, says about this person."""
    version = policies.save_policy("Trial", replace(terms, stages=(SAFE,)), slug="trial", actor=TESTING)
    said = facts.of_policy(version, person, role, excluded_ids=(person.pk,))
    return said.may_request and not said.auto_denies


def asked_people(asked: Approvers, person: Person, role: Entitlement) -> set[int]:
    if asked.kind in ("people", "security"):
        found = people_asked(asked)
    elif asked.kind == "owner":
        found = [one.person for one in role.application.ownerships.all()]
    else:
        boss = person.manager
        upper = boss.manager if boss and asked.kind == "managers_manager" else boss
        found = [upper] if upper and (asked.kind == "manager" or boss) else []
        found = [] if asked.kind == "managers_manager" and not (boss and boss.manager) else found
    return {one.pk for one in found} - {person.pk}


def is_stuck(person: Person, role: Entitlement, terms: PolicyTerms) -> bool:
    """Tell whether there is a sequence of answers after which a stage has too few to ask, trying all of them."""
    return any(_stuck(list(terms.route), person, role, frozenset()))


def _stuck(route: list[Stage], person: Person, role: Entitlement, said: frozenset[int]) -> Iterator[bool]:
    if not route:
        return
    stage, *later = route
    options = [stage.asked, *([stage.fallback] if stage.fallback else [])]
    found = next((left for one in options if (left := asked_people(one, person, role) - said)), set())
    if len(found) < stage.quorum:
        yield True
    for chosen in combinations(sorted(found), stage.quorum):
        yield from _stuck(later, person, role, said | frozenset(chosen))


def decide(person: Person, role: Entitlement, terms: PolicyTerms) -> list[tuple[set[int], int]]:
    known = deciders([role.application_id])
    return [
        (
            {
                one.pk
                for one in known.eligible(
                    stage, person=person, application_id=role.application_id, excluded_ids=[person.pk]
                )
            },
            stage.quorum,
        )
        for stage in terms.route
    ]


def test_the_security_that_risk_adds_has_to_be_somebody_else(roles: list[Entitlement], people: list[Person]) -> None:
    """Sam and Linus run security. When Sam asks and Linus said yes before, nobody of security is left."""
    ada, grace, linus, sam, *_ = people
    slug = roles[0].policy.slug

    apart, twice = (
        preview(PolicyTerms(stages=(Stage(named(*some), fallback=SECURITY),), needs_security_from=50), None, slug)
        for some in ((ada, grace), (ada, grace, linus))
    )

    assert apart.lacking_count == 0
    assert {(one.person, one.stage) for one in twice.lacking} == {(sam, 2)}
    assert twice.lacking_count == len(roles)


def test_what_waits_is_listed_and_keeps_its_version(roles: list[Entitlement], people: list[Person]) -> None:
    waiting = requests.submit(people[0], roles[0], ask(purpose="Work"), actor=acting(people[0]))

    seen = preview(PolicyTerms(stages=(SAFE,)), PolicyTerms(stages=("owner",)), roles[0].policy.slug)

    assert (seen.waiting_count, list(seen.waiting)) == (1, [waiting])


def test_the_preview_costs_the_same_for_more_people(roles: list[Entitlement]) -> None:
    draft, before = PolicyTerms(stages=(Stage(Approvers("manager"), fallback=SECURITY),)), PolicyTerms(stages=(SAFE,))
    with CaptureQueriesContext(connection) as few:
        preview(draft, before, roles[0].policy.slug)
    for number in range(5):
        hire(f"More{number} People", department="Data")
    with CaptureQueriesContext(connection) as many:
        preview(draft, before, roles[0].policy.slug)

    assert len(many) == len(few) <= 25
