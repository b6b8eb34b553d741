"""What decisions keep, and the command that makes them again. High risk needs a fresh sign-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from governance.access import deciding
from governance.access.models import Approval, RequestState
from governance.access.sweep import sweep
from governance.catalog import risk_weights
from governance.catalog.models import Application, Entitlement, RiskWeights
from governance.catalog.stages import Approvers, Stage
from governance.catalog.weights import STANDARD
from governance.core.errors import Conflict, Invalid, Refused
from governance.identity.models import Person
from tests import cast
from tests.cast import acting, add_role
from tests.web import stories

pytestmark = pytest.mark.django_db

NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)


def run(*words: str) -> str:
    out = StringIO()
    call_command("recompute_decisions", *words, stdout=out)
    return out.getvalue()


def test_every_kind_of_decision_is_made_again_from_its_receipt(
    ada: Person, grace: Person, linus: Person, sam: Person, snowflake: Application
) -> None:
    silent = Stage(Approvers("owner"), escalates_after=timedelta(hours=1), fallback=Approvers("manager"))
    automatic = {"auto_approve": 'userType eq "Employee"', "auto_approve_up_to": timedelta(days=1)}
    with time_machine.travel(NOON, tick=False) as clock:
        stories.approve(stories.submit(ada, add_role(snowflake, "Reader")), linus)
        stories.decline(stories.submit(ada, add_role(snowflake, "Writer")), linus)
        stories.submit(ada, add_role(snowflake, "Viewer", terms=automatic))
        stories.submit(ada, add_role(snowflake, "Payer", terms={"auto_deny": 'userType eq "Employee"'}))
        late = stories.submit(ada, add_role(snowflake, "Auditor", stages=(silent,)))
        clock.shift(timedelta(hours=1))
        sweep()
        stories.approve(late, grace)

    said = run("--all")

    assert "6 equal, 0 differ, 0 cannot be made again." in said
    for what in (
        "approved by a person",
        "declined by a person",
        "approved by policy",
        "declined by policy",
        "escalated",
    ):
        assert what in said
    assert run(f"R-{late.number}").count("equal") == 3  # two decisions and the sum
    assert "0 equal" in run("--since", "2036-03-04")


def test_a_receipt_that_does_not_lead_to_its_decision_is_found(
    ada: Person, linus: Person, analyst: Entitlement
) -> None:
    request = stories.submit(ada, analyst)
    stories.approve(request, linus)
    approval = Approval.objects.get(request=request)
    approval.pk, approval.approver = None, ada  # what is kept cannot be changed, but written wrongly
    approval.facts["risk"]["points"] = 99
    approval.save()

    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("recompute_decisions", stdout=out)

    assert ended.value.code == 1
    assert f"R-{request.number} stage 1 approved by a person: differs in risk.points" in out.getvalue()


@pytest.mark.parametrize("words", [("R-x",), ("--since", "yesterday")])
def test_the_command_refuses_what_it_does_not_understand(words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*words)


def test_an_answer_keeps_what_was_shown_and_the_policy_version(
    ada: Person, linus: Person, snowflake: Application, analyst: Entitlement
) -> None:
    standing = stories.give(ada, add_role(snowflake, "Reader"), ends_in=None)
    earlier = stories.decline(stories.submit(ada, analyst), linus)
    request = stories.submit(ada, analyst)

    stories.approve(request, linus)

    kept = Approval.objects.get(request=request)
    assert kept.facts["shown"] == {"grants": [standing.pk], "residual": [standing.pk], "requests": [earlier.number]}
    assert kept.facts["decision"]["facts"]["eligible_ids"] == [linus.pk]
    assert kept.facts["risk"]["weights"]["version"] == 0
    assert kept.policy_version == request.policy_version


class TestFreshSignIn:
    """High risk is decided by who has just signed in. (gravitational/teleport 27940)"""

    @pytest.mark.parametrize(
        ("known", "needs"),
        [
            ({"risk": 2}, False),
            ({"risk": 3}, True),
            ({"is_privileged": True}, True),
            ({"terms": {"never_automatic_from": 10}}, True),
            ({"terms": {"never_automatic_from": 90}}, False),
        ],
    )
    def test_teleport_27940_a_door_without_a_sign_in_does_not_approve_high_risk(
        self, known: dict[str, object], needs: bool, ada: Person, linus: Person, snowflake: Application
    ) -> None:
        request = stories.submit(ada, add_role(snowflake, "Administrator", **known))

        assert deciding.needs_fresh_sign_in(request) is needs
        if needs:
            with pytest.raises(Refused) as refusal:
                deciding.approve(request, approver=linus, is_fresh=False, actor=acting(linus))
            assert [one.code for one in refusal.value.reasons] == ["needs_fresh_sign_in"]
            deciding.deny(request, approver=linus, reason="Not this way.", actor=acting(linus))
        else:
            deciding.approve(request, approver=linus, is_fresh=False, actor=acting(linus))

    def test_the_score_counts_as_the_role_does(self, mallory: Person, linus: Person, snowflake: Application) -> None:
        role = add_role(snowflake, "Reader", data_classes=["phi"], terms={"allows_open_end": True})
        request = stories.submit(mallory, role, None)  # a contractor who is new, without end

        assert request.verdict["risk"]["level"] >= 3
        assert deciding.needs_fresh_sign_in(request)


class TestWeights:
    """What facts add to a score, by two people."""

    def test_a_second_person_brings_them_into_force_and_receipts_name_the_version(
        self, ada: Person, linus: Person, sam: Person, analyst: Entitlement
    ) -> None:
        nora = cast.make_security_admin(cast.hire("Nora Second"))
        before = stories.submit(ada, analyst)
        wanted = {**STANDARD.as_json(), "role_level": 20}
        proposal = risk_weights.propose(wanted, why="Roles count for more.", proposer=sam, actor=acting(sam))

        with pytest.raises(Refused) as refusal:
            risk_weights.approve(proposal, approver=sam, actor=acting(sam))
        assert [one.code for one in refusal.value.reasons] == ["own_proposal"]
        with pytest.raises(Refused) as refusal:
            risk_weights.approve(proposal, approver=linus, actor=acting(linus))
        assert [one.code for one in refusal.value.reasons] == ["not_security"]
        risk_weights.approve(proposal, approver=nora, actor=acting(nora))

        stories.decline(before, linus)
        after = stories.submit(ada, analyst)
        assert after.verdict["risk"]["weights"]["version"] == RiskWeights.objects.get().number == 1
        assert after.verdict["risk"]["points"] == before.verdict["risk"]["points"] + 5 + 10  # and it was declined
        stories.approve(after, linus)
        assert "2 equal" in run()

    def test_a_proposal_made_from_other_weights_does_not_come_into_force(self, sam: Person) -> None:
        nora = cast.make_security_admin(cast.hire("Nora Second"))
        first, second = (
            risk_weights.propose(
                {**STANDARD.as_json(), "privileged": points}, why="Power counts.", proposer=sam, actor=acting(sam)
            )
            for points in (20, 30)
        )
        risk_weights.approve(first, approver=nora, actor=acting(nora))

        with pytest.raises(Conflict):
            risk_weights.approve(second, approver=nora, actor=acting(nora))
        with pytest.raises(Conflict):
            risk_weights.approve(first, approver=nora, actor=acting(nora))

    def test_it_can_be_declined_and_taken_back(self, sam: Person) -> None:
        nora = cast.make_security_admin(cast.hire("Nora Second"))
        wanted = {**STANDARD.as_json(), "privileged": 20}
        declined, taken = (
            risk_weights.propose(wanted, why="Power counts.", proposer=sam, actor=acting(sam)) for _ in range(2)
        )

        risk_weights.decline(declined, approver=nora, reason="Not by that much.", actor=acting(nora))
        with pytest.raises(Refused):
            risk_weights.withdraw(taken, proposer=nora, actor=acting(nora))
        risk_weights.withdraw(taken, proposer=sam, actor=acting(sam))

        assert risk_weights.weights_in_force() == STANDARD
        assert risk_weights.waiting_proposals() == []

    def test_nothing_is_proposed_that_changes_nothing(self, sam: Person) -> None:
        with pytest.raises(Invalid):
            risk_weights.propose(STANDARD.as_json(), why="For no reason.", proposer=sam, actor=acting(sam))


def test_a_policy_may_forbid_to_shorten(ada: Person, linus: Person, snowflake: Application) -> None:
    request = stories.submit(ada, add_role(snowflake, terms={"may_shorten": False}))

    with pytest.raises(Refused) as refusal:
        deciding.approve(request, approver=linus, duration=timedelta(hours=1), actor=acting(linus))
    assert [one.code for one in refusal.value.reasons] == ["may_not_shorten"]
    stories.approve(request, linus)
    request.refresh_from_db()
    assert request.state == RequestState.APPROVED
