"""A role moves and owners change only where whoever may ask still finds somebody to decide (promise 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.access import catalog_changes
from governance.catalog import actions as catalog
from governance.catalog import policies
from governance.catalog.models import AccessPolicy, Application, Entitlement
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import Approvers, Stage
from governance.core.errors import Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING, add_role, hire, make_security_admin

pytestmark = pytest.mark.django_db

OWNER_OR_SECURITY = Stage(Approvers("owner"), fallback=Approvers("security"))


def policy(*stages: str | Stage, **terms: Any) -> AccessPolicy:
    return policies.save_policy("Lab", PolicyTerms(stages=stages, **terms), actor=TESTING).policy


def change(role: Entitlement, **known: Any) -> bool:
    said = {"name": role.name, "sentence": role.sentence, "risk": role.risk, "policy": role.policy, **known}
    return catalog_changes.change_role(role, actor=TESTING, **said)


def said(refusal: pytest.ExceptionInfo[Refused]) -> list[str]:
    assert {reason.code for reason in refusal.value.reasons} == {"no_approver"}
    return [reason.sentence for reason in refusal.value.reasons]


def stuck(person: Person, role: Entitlement, stage: int = 1) -> str:
    name = f"{role.name} in {role.application.name}"
    return f"Nobody could decide at stage {stage} when {person.display_name} asks for {name}."


def owners(application: Application) -> set[Person]:
    return {one.person for one in application.ownerships.select_related("person")}


def test_a_role_moves_only_under_a_policy_that_finds_somebody(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    with pytest.raises(Refused) as refusal:
        change(analyst, policy=policy("owner"))

    assert said(refusal)[1:] == [stuck(linus, analyst)]
    assert {reason.field for reason in refusal.value.reasons} == {"policy"}
    analyst.refresh_from_db()
    assert analyst.policy.slug == "standard"
    assert not Pending.objects.filter(body__event="entitlement.changed").exists()
    assert change(analyst, policy=policy(OWNER_OR_SECURITY))
    analyst.refresh_from_db()
    assert analyst.policy.slug == "lab"


def test_who_may_not_ask_needs_nobody_to_decide(linus: Person, analyst: Entitlement) -> None:
    assert change(analyst, policy=policy("owner", may_request='not (userName eq "linus@halden.example")'))


def test_a_role_can_be_asked_for_only_where_somebody_decides(linus: Person, snowflake: Application) -> None:
    role = add_role(snowflake, "Reader", stages=("owner",), is_requestable=False)

    with pytest.raises(Refused) as refusal:
        change(role, is_requestable=True)

    assert said(refusal)[1:] == [stuck(linus, role)]
    role.refresh_from_db()
    assert not role.is_requestable


def test_what_a_role_says_is_changed_whoever_decides(linus: Person, snowflake: Application) -> None:
    assert change(add_role(snowflake, "Reader", stages=("owner",)), name="Viewer")


def test_an_owner_stays_while_somebody_else_would_find_nobody(
    ada: Person, linus: Person, sam: Person, snowflake: Application
) -> None:
    role, safe = add_role(snowflake, "Reader", stages=("owner",)), add_role(snowflake, "Writer")
    catalog_changes.set_owners(snowflake, [linus, ada], actor=TESTING)

    with pytest.raises(Refused) as refusal:
        catalog_changes.set_owners(snowflake, [linus], actor=TESTING)
    with pytest.raises(Refused) as nobody:
        catalog_changes.set_owners(snowflake, [], actor=TESTING)

    assert said(refusal)[1:] == [stuck(linus, role)]
    assert {stuck(one, role) for one in (ada, linus, sam)} < set(said(nobody))
    assert not any(safe.name in one for one in said(refusal))
    assert owners(snowflake) == {linus, ada}


def test_what_nobody_could_decide_before_keeps_no_owner_from_coming(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    """Linus alone could not ask for it before either: that is no reason against Ada."""
    add_role(snowflake, "Reader", stages=("owner",))

    catalog_changes.set_owners(snowflake, [linus, ada], actor=TESTING)

    assert owners(snowflake) == {linus, ada}


def test_an_owner_too_few_for_a_quorum_is_refused(ada: Person, linus: Person, sam: Person) -> None:
    """Without owners security is asked; one owner is asked in their place and cannot be two."""
    for name in ("Tess Second", "Uma Third"):
        make_security_admin(hire(name))
    application = catalog.add_application("NetSuite", actor=TESTING)
    two = Stage(Approvers("owner"), quorum=2, fallback=Approvers("security"))
    role = add_role(application, "Payer", stages=(two,))

    with pytest.raises(Refused) as refusal:
        catalog_changes.set_owners(application, [linus], actor=TESTING)

    assert stuck(ada, role) in said(refusal)
    assert owners(application) == set()


def test_no_door_knows_a_way_around() -> None:
    doors = [path for room in ("web", "api") for path in Path("governance", room).rglob("*.py")]
    ways = ("change_entitlement(", "actions.set_owners(", "catalog.set_owners(", "hand_over_ownerships(")

    around = [(str(path), way) for path in doors for way in ways if way in path.read_text()]

    assert len(doors) > 100
    assert around == []


def test_a_leave_hands_over_whoever_could_decide_afterwards(linus: Person, sam: Person, snowflake: Application) -> None:
    tess = hire("Tess Second")  # without a manager, who would be the heir
    add_role(snowflake, "Reader", stages=("owner",))
    catalog_changes.set_owners(snowflake, [linus, tess], actor=TESTING)
    with pytest.raises(Refused):
        catalog_changes.set_owners(snowflake, [linus], actor=TESTING)

    lifecycle.leave(locked_person(tess.scim_id), actor=TESTING)
    lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)

    assert owners(snowflake) == set()
