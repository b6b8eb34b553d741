"""Terms of a policy: every wrong one is refused at its field, and what is stored says all that was meant."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.catalog import policies
from governance.catalog.policy_terms import PolicyTerms, check_terms, terms_from_json, terms_of
from governance.catalog.stages import Approvers, Stage
from governance.core.clock import now
from governance.core.errors import Invalid
from governance.identity import groups
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING

TERMS = PolicyTerms(stages=("owner",))
HOUR = timedelta(hours=1)


def wrong(terms: PolicyTerms) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as problem:
        check_terms("Lab", terms)
    return problem.value.fields


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ticket_pattern": "INC[0-9"}, "ticket_pattern"),
        ({"ticket_pattern": "(a+)+b"}, "ticket_pattern"),
        ({"ticket_pattern": "a*a*a*a*b"}, "ticket_pattern"),
        ({"ticket_pattern": "(?=a)a"}, "ticket_pattern"),
        ({"purposes": ("x" * 81,)}, "purposes"),
        ({"refused_from": 0}, "refused_from"),
        ({"needs_security_from": 101}, "needs_security_from"),
        ({"never_automatic_from": -1}, "never_automatic_from"),
        ({"auto_deny": "userType eq"}, "auto_deny"),
        ({"may_break_glass": "userType eq"}, "may_break_glass"),
        ({"extending": "never"}, "extending"),
        ({"at_end": "ask"}, "kept_for"),
        ({"kept_for": HOUR}, "kept_for"),
        ({"warns_before": (timedelta(0),)}, "warns_before"),
        ({"break_glass_up_to": timedelta(days=2)}, "break_glass_up_to"),
        ({"auto_approve_up_to": HOUR}, "auto_approve"),
        ({"stages": ("owner",) * 7}, "stages"),
        ({"stages": (Stage(Approvers("manager"), quorum=2),)}, "stages"),
        ({"stages": (Stage(Approvers("owner"), quorum=0),)}, "stages"),
        ({"stages": (Stage(Approvers("security"), quorum=2),)}, "stages"),
        ({"stages": (Stage(Approvers("owner"), escalates_after=timedelta(0)),)}, "stages"),
        ({"stages": (Stage(Approvers("owner"), fallback=Approvers("owner")),)}, "stages"),
        ({"stages": (Stage(Approvers("group")),)}, "stages"),
        ({"stages": (Stage(Approvers("people")),)}, "stages"),
        ({"break_glass_reviewer": Approvers("group", group="no-such-group")}, "break_glass_reviewer"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_terms_are_refused_at_their_field(change: dict[str, object], field: str) -> None:
    assert list(wrong(replace(TERMS, **change))) == [field]


@pytest.mark.django_db
@pytest.mark.parametrize("pattern", ["", "INC[0-9]+", r"(CHG|INC)\d{7}", "[A-Z]+-[0-9]+"])
def test_usual_patterns_for_tickets_are_taken(pattern: str) -> None:
    check_terms("Lab", replace(TERMS, ticket_pattern=pattern))


@pytest.mark.django_db
def test_all_that_is_wrong_is_named_at_once() -> None:
    found = wrong(replace(TERMS, may_request="department eq", refused_from=0, stages=("wizard", "owner", "jester")))

    assert set(found) == {"may_request", "refused_from", "stages"}
    assert len(found["stages"]) == 2


@pytest.mark.django_db
def test_people_who_left_and_groups_that_are_gone_are_refused_by_name(ada: Person, linus: Person) -> None:
    """aws-samples TEAM 187, 587, 356: deleted approver groups and people who left broke requests."""
    group = groups.add("Reviewers", external_id="", document={}, source="scim:test", at=now())
    asked = (
        Stage(Approvers("people", people=(str(linus.ref), str(ada.ref)))),
        Stage(Approvers("group", group=str(group.ref))),
        Stage(Approvers("owner"), fallback=Approvers("people", people=("0" * 8 + "-0000-0000-0000-" + "0" * 12,))),
    )
    lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)

    said = " ".join(wrong(replace(TERMS, stages=asked))["stages"])

    assert "Stage 1: Linus" in said
    assert "left and cannot decide" in said
    assert "Ada" not in said
    assert "Stage 2: nobody active is in the group Reviewers." in said
    assert "Stage 3: instead, there is no person 00000000-" in said


@pytest.mark.django_db
def test_more_answers_than_there_are_people_are_refused(ada: Person, linus: Person) -> None:
    both = Approvers("people", people=(str(linus.ref), str(ada.ref)))

    check_terms("Lab", replace(TERMS, stages=(Stage(both, quorum=2),)))
    (said,) = wrong(replace(TERMS, stages=(Stage(both, quorum=3),)))["stages"]

    assert said == "Stage 1: 3 have to say yes, and only 2 could."


@pytest.mark.django_db
def test_what_a_version_says_is_read_as_it_was_meant(ada: Person) -> None:
    terms = PolicyTerms(
        stages=(
            Stage(Approvers("manager"), escalates_after=HOUR, fallback=Approvers("security")),
            Stage(Approvers("people", people=(str(ada.ref),))),
        ),
        may_request='department eq "Engineering"',
        auto_deny='userType eq "Contractor"',
        ticket_pattern="INC[0-9]+",
        refused_from=90,
        extending="one",
        at_end="ask",
        kept_for=2 * HOUR,
        warns_before=(HOUR,),
        break_glass_up_to=HOUR,
        break_glass_reviewer=Approvers("owner"),
    )

    version = policies.save_policy("Lab", terms, actor=TESTING)
    version.refresh_from_db()

    assert terms_of(version) == terms


spans = st.integers(0, 10**6).map(lambda seconds: timedelta(seconds=seconds))


@given(
    st.builds(
        PolicyTerms,
        stages=st.lists(st.sampled_from(["owner", "manager"]), max_size=3).map(
            lambda kinds: tuple(Stage(Approvers(kind)) for kind in kinds)
        ),
        max_duration=spans,
        kept_for=spans,
        warns_before=st.lists(spans, max_size=3).map(tuple),
        break_glass_up_to=st.none() | spans,
        refused_from=st.none() | st.integers(1, 100),
        requires_ticket=st.booleans(),
        purposes=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    )
)
def test_what_a_proposal_stores_is_read_as_it_was_meant(terms: PolicyTerms) -> None:
    assert terms_from_json(terms.as_json()) == terms
