"""What the policy declines and how risky it is, judged again at the moment of a yes (promise: every condition is)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from governance.access import deciding
from governance.access.models import AccessRequest, Approval, RequestState
from governance.access.recomputing import recomputed
from governance.catalog import actions as catalog
from governance.catalog.models import Application, Entitlement, Risk
from governance.core.errors import Refused
from governance.identity.models import Person
from tests.cast import TESTING, acting, add_role, move
from tests.web import stories

pytestmark = pytest.mark.django_db

#: A Monday after the cast joined, and past what counts as new here.
NOON = datetime(2036, 3, 3, 12, tzinfo=UTC)
WEEKS = timedelta(days=20)


def rate(role: Entitlement, risk: int) -> None:
    catalog.change_entitlement(role, role.name, sentence=role.sentence, risk=risk, policy=role.policy, actor=TESTING)
    role.refresh_from_db()


def refused(request: AccessRequest, approver: Person, duration: timedelta | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as refusal:
        deciding.approve(request, approver=approver, duration=duration, actor=acting(approver))
    request.refresh_from_db()
    assert request.state == RequestState.PENDING
    assert not Approval.objects.exists()
    return [(reason.code, reason.sentence) for reason in refusal.value.reasons]


def test_whom_the_policy_declines_since_they_moved_is_not_approved(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    role = add_role(snowflake, "Payer", terms={"auto_deny": 'department eq "Audit"'})
    request = stories.submit(ada, role)
    move(ada, department="Audit")

    assert refused(request, linus) == [
        ("declined_by_policy", f"The policy “Snowflake Payer” now declines this for {ada.display_name}.")
    ]
    assert stories.decline(request, linus).state == RequestState.DENIED


def test_what_has_become_too_risky_is_refused_with_its_points(
    ada: Person, linus: Person, snowflake: Application
) -> None:
    with time_machine.travel(NOON, tick=False):
        role = add_role(snowflake, "Payer", risk=Risk.LOW, terms={"refused_from": 30})
        request = stories.submit(ada, role)
        rate(role, Risk.HIGH)

        [(code, sentence)] = refused(request, linus)

    assert code == "too_risky"
    assert "of 100 now, and the policy “Snowflake Payer” refuses from 30 on." in sentence


def test_a_shorter_time_lowers_the_risk_that_is_judged(ada: Person, linus: Person, snowflake: Application) -> None:
    with time_machine.travel(NOON, tick=False):
        role = add_role(snowflake, "Payer", risk=Risk.LOW, terms={"refused_from": 24})
        request = stories.submit(ada, role, WEEKS)
        points = request.verdict["risk"]["points"]
        rate(role, Risk.MEDIUM)
        assert points < 24

        assert [code for code, _ in refused(request, linus)] == ["too_risky"]
        deciding.approve(request, approver=linus, duration=timedelta(hours=1), actor=acting(linus))

        kept = Approval.objects.get(request=request).facts["decision"]
        assert points < kept["facts"]["risk_points"] == kept["risk"]["points"] < 24
        assert kept["again"]["ask"] == {**kept["again"]["ask"], "duration": 3600.0, "reason": ""}
        assert all(one.found.is_equal for one in recomputed())


def test_what_became_risky_enough_for_security_is_not_granted_without_them(
    ada: Person, linus: Person, sam: Person, snowflake: Application
) -> None:
    with time_machine.travel(NOON, tick=False):
        role = add_role(snowflake, "Payer", risk=Risk.LOW, terms={"needs_security_from": 30})
        request = stories.submit(ada, role)
        rate(role, Risk.HIGH)

        [(code, sentence)] = refused(request, linus)
        stories.decline(request, linus)
        again = stories.submit(ada, role)

        assert code == "needs_security"
        assert "has security decide too from 30 on" in sentence
        assert [stage.kind for stage in again.route] == ["owner", "security"]
        stories.approve(again, linus)
        again.refresh_from_db()
        assert stories.approve(again, sam).state == RequestState.APPROVED
