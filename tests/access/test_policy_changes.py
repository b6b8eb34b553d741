"""A policy is changed by two people, who see whom the change affects (common-fate/glide 655, 81)."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from django.db import DatabaseError, connection, transaction

from governance.access import policy_changes
from governance.catalog import policies
from governance.catalog.models import AccessPolicyVersion, Application, Entitlement, PolicyProposal, ProposalState
from governance.catalog.policy_terms import PolicyTerms, terms_of
from governance.catalog.stages import Approvers, Stage
from governance.core.errors import Conflict, Invalid, NotAllowed, Refused
from governance.identity.models import Person
from governance.identity.queries import locked_person
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING, acting, add_application, add_role, hire, make_security_admin

pytestmark = pytest.mark.django_db

WHY = "Incidents take longer than four hours."
OWNER = Stage(Approvers("owner"), fallback=Approvers("security"))
TERMS = PolicyTerms(stages=(OWNER,))


@pytest.fixture
def tess(db: None) -> Person:
    return make_security_admin(hire("Tess Second"))


def propose(person: Person, terms: PolicyTerms = TERMS, **known: object) -> PolicyProposal:
    said = {"slug": "lab", "why": WHY, **known}
    return policy_changes.propose("Lab", terms, proposed_by=person, actor=acting(person), **said)  # type: ignore[arg-type]


def recorded() -> list[str]:
    return [
        entry.body["event"] for entry in Pending.objects.order_by("id") if entry.body["event"].startswith("policy.")
    ]


@pytest.fixture
def lab(db: None) -> AccessPolicyVersion:
    return policies.save_policy("Lab", TERMS, actor=TESTING)


def test_a_second_person_puts_a_change_in_force(sam: Person, tess: Person, lab: AccessPolicyVersion) -> None:
    longer = replace(TERMS, default_duration=timedelta(hours=8))
    waiting = propose(sam, longer)

    assert AccessPolicyVersion.objects.count() == 1
    approved = policy_changes.approve(waiting, decided_by=tess, answer="Agreed.", actor=acting(tess))

    version = AccessPolicyVersion.objects.get(number=2)
    assert (approved.state, approved.version, approved.decided_by) == (ProposalState.APPROVED, version, tess)
    assert terms_of(version).default_duration == timedelta(hours=8)
    assert recorded()[-3:] == ["policy.proposed", "policy.changed", "policy.proposal_approved"]


def test_nobody_decides_their_own_proposal(sam: Person, tess: Person, lab: AccessPolicyVersion) -> None:
    waiting = propose(sam)

    with pytest.raises(NotAllowed, match="You proposed this"):
        policy_changes.approve(waiting, decided_by=sam, actor=acting(sam))
    with pytest.raises(NotAllowed, match="You proposed this"):
        policy_changes.decline(waiting, decided_by=sam, answer="No.", actor=acting(sam))
    with pytest.raises(DatabaseError, match="decided_by_a_second_person"), transaction.atomic():
        PolicyProposal.objects.filter(pk=waiting.pk).update(
            state="declined", decided_by=sam, decided_at=waiting.proposed_at
        )


def test_only_administrators_decide(sam: Person, linus: Person, lab: AccessPolicyVersion) -> None:
    with pytest.raises(NotAllowed, match="Security administrators decide"):
        policy_changes.approve(propose(sam), decided_by=linus, actor=acting(linus))


def test_owners_propose_for_policies_of_only_their_applications(
    linus: Person, ada: Person, sam: Person, snowflake: Application
) -> None:
    own = add_role(snowflake, "Analyst", stages=("owner",)).policy
    shared = add_role(snowflake, "Reader", stages=("owner",)).policy
    add_role(add_application("GitLab", owner=ada), "Maintainer", policy=shared)

    assert propose(linus, slug=own.slug).is_waiting
    for slug in (shared.slug, ""):
        with pytest.raises(NotAllowed):
            propose(linus, slug=slug)
    with pytest.raises(NotAllowed):
        propose(ada, slug=own.slug)


def test_what_is_declined_says_why_and_stays(sam: Person, tess: Person, lab: AccessPolicyVersion) -> None:
    waiting = propose(sam)

    with pytest.raises(Invalid):
        policy_changes.decline(waiting, decided_by=tess, answer="  ", actor=acting(tess))
    policy_changes.decline(waiting, decided_by=tess, answer="Too long.", actor=acting(tess))

    waiting.refresh_from_db()
    assert (waiting.state, waiting.answer, AccessPolicyVersion.objects.count()) == ("declined", "Too long.", 1)
    assert recorded()[-1] == "policy.proposal_declined"


def test_only_who_proposed_takes_it_back(sam: Person, tess: Person, lab: AccessPolicyVersion) -> None:
    waiting = propose(sam)

    with pytest.raises(NotAllowed):
        policy_changes.withdraw(waiting, person=tess, actor=acting(tess))
    policy_changes.withdraw(waiting, person=sam, actor=acting(sam))

    with pytest.raises(Conflict, match=f"{sam.display_name} has withdrawn this"):
        policy_changes.approve(waiting, decided_by=tess, actor=acting(tess))
    assert recorded()[-1] == "policy.proposal_withdrawn"


def test_a_proposal_whose_base_is_not_in_force_any_more_is_proposed_anew(
    sam: Person, tess: Person, lab: AccessPolicyVersion
) -> None:
    first, second = propose(sam, replace(TERMS, max_duration=timedelta(days=3))), propose(tess)
    policy_changes.approve(first, decided_by=tess, actor=acting(tess))

    with pytest.raises(Conflict, match="How long, at most: 30 days → 3 days"):
        policy_changes.approve(second, decided_by=sam, actor=acting(sam))
    with pytest.raises(Conflict, match="Version 2 is in force"):
        propose(tess, base_number=1)
    first.refresh_from_db()
    assert propose(tess, base_number=2).base_id == first.version_id


def test_a_new_policy_is_proposed_too_and_its_name_is_taken_once(sam: Person, tess: Person) -> None:
    first, second = propose(sam, slug=""), propose(sam, slug="")
    assert not AccessPolicyVersion.objects.exists()

    policy_changes.approve(first, decided_by=tess, actor=acting(tess))

    with pytest.raises(Conflict, match="was made meanwhile"):
        policy_changes.approve(second, decided_by=tess, actor=acting(tess))
    with pytest.raises(Conflict, match="already"):
        propose(sam, slug="")


def test_who_is_alone_says_so_and_writes_only_new_policies(sam: Person, lab: AccessPolicyVersion) -> None:
    alone = policy_changes.propose("Start", TERMS, why=WHY, proposed_by=sam, alone=True, actor=acting(sam))

    assert (alone.state, alone.decided_by, alone.is_alone) == (ProposalState.APPROVED, sam, True)
    assert recorded()[-3:] == ["policy.proposed", "policy.changed", "policy.proposal_approved"]
    with pytest.raises(NotAllowed, match="Appoint a second"):
        propose(sam, alone=True)


def test_nobody_is_alone_beside_another_administrator(sam: Person, tess: Person) -> None:
    with pytest.raises(NotAllowed, match="There is a second"):
        policy_changes.propose("Start", TERMS, why=WHY, proposed_by=sam, alone=True, actor=acting(sam))


def test_what_is_proposed_never_changes(sam: Person, tess: Person, lab: AccessPolicyVersion) -> None:
    waiting = propose(sam)

    for change in ({"terms": {}}, {"why": "Other."}, {"slug": "x"}):
        with pytest.raises(DatabaseError, match="answered once"), transaction.atomic():
            PolicyProposal.objects.filter(pk=waiting.pk).update(**change)
    with pytest.raises(DatabaseError, match="answered once"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_policyproposal")
    policy_changes.approve(waiting, decided_by=tess, actor=acting(tess))
    with pytest.raises(DatabaseError, match="answered once"), transaction.atomic():
        PolicyProposal.objects.filter(pk=waiting.pk).update(answer="Other.")


def test_a_draft_under_which_somebody_has_no_approver_is_refused_by_name(
    sam: Person, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    """aws-samples TEAM 187, 587, 356: "no approver" was found out by whoever asked."""
    with pytest.raises(Refused) as refusal:
        propose(sam, replace(TERMS, stages=("manager",)), slug=analyst.policy.slug)

    said = [reason.sentence for reason in refusal.value.reasons]
    assert f"Nobody could decide at stage 1 when {linus.display_name} asks for Analyst in Snowflake." in said
    assert not any(ada.display_name in one for one in said)
    assert not PolicyProposal.objects.exists()
    make_security_admin(hire("Tess Second"))
    allowed = Stage(Approvers("manager"), fallback=Approvers("security"))
    assert propose(sam, replace(TERMS, stages=(allowed,)), slug=analyst.policy.slug).is_waiting


def test_who_left_since_it_was_proposed_is_found_when_it_is_decided(
    sam: Person, tess: Person, ada: Person, linus: Person, analyst: Entitlement
) -> None:
    grace_only = Stage(Approvers("people", people=(str(linus.ref),)), fallback=Approvers("security"))
    waiting = propose(sam, replace(TERMS, stages=(grace_only,)), slug=analyst.policy.slug)
    lifecycle.leave(locked_person(linus.scim_id), actor=TESTING)

    with pytest.raises(Invalid, match="left and cannot decide"):
        policy_changes.approve(waiting, decided_by=tess, actor=acting(tess))

    waiting.refresh_from_db()
    assert waiting.is_waiting


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_wins(sam: Person, lab: AccessPolicyVersion) -> None:
    admins = [make_security_admin(hire(name)) for name in ("Tess Second", "Uma Third")]
    waiting = propose(sam)
    together, outcomes = Barrier(2), []

    def decide(person: Person, how: str) -> None:
        try:
            together.wait(timeout=10)
            getattr(policy_changes, how)(waiting, decided_by=person, answer="Seen.", actor=acting(person))
            outcomes.append(how)
        except Conflict:
            outcomes.append("conflict")
        finally:
            connection.close()

    threads = [Thread(target=decide, args=each) for each in zip(admins, ("approve", "decline"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("conflict") == 1
    waiting.refresh_from_db()
    assert AccessPolicyVersion.objects.count() == (2 if waiting.state == ProposalState.APPROVED else 1)


def test_no_door_knows_a_way_around_the_second_person() -> None:
    doors = [path for room in ("web", "api") for path in Path("governance", room).rglob("*.py")]
    ways = ("save_policy", "open_proposal", "approve_proposal", "AccessPolicyVersion.objects.create")

    around = [(str(path), way) for path in doors for way in ways if way in path.read_text()]

    assert len(doors) > 100
    assert around == []
