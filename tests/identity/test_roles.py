"""Roles in Gatehouse and tokens for machines."""

from datetime import timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command

from governance.core.clock import now
from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person, ServiceToken
from governance.identity.queries import locked_person, roles_of
from governance.identity.roles import assign_role, issue_token, live_token, revoke_token
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING

pytestmark = pytest.mark.django_db


def test_everybody_is_an_employee_and_a_role_is_given_and_taken_by_command(ada: Person) -> None:
    assert roles_of(ada.pk) == {"employee"}
    said = StringIO()

    call_command("grant_role", "ADA@halden.example", "auditor", stdout=said)
    call_command("grant_role", "ada@halden.example", "auditor", stdout=said)
    assert roles_of(ada.pk) == {"employee", "auditor"}
    call_command("grant_role", "ada@halden.example", "auditor", "--remove", stdout=said)

    assert roles_of(ada.pk) == {"employee"}
    assert "Ada Lovelace is auditor." in said.getvalue()
    events = [entry.body["event"] for entry in Pending.objects.order_by("id")]
    assert events[-2:] == ["role.assigned", "role.removed"]


def test_a_role_for_nobody_says_so_in_a_sentence(db: None) -> None:
    with pytest.raises(CommandError, match=r"Nobody has the address nobody@halden\.example"):
        call_command("grant_role", "nobody@halden.example", "auditor")


def test_an_unknown_role_and_a_leaver_are_refused(ada: Person) -> None:
    with pytest.raises(Invalid) as problem:
        assign_role(ada, "emperor", actor=TESTING)
    assert list(problem.value.fields) == ["role"]

    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    ada.refresh_from_db()
    with pytest.raises(Conflict):
        assign_role(ada, "auditor", actor=TESTING)


def test_a_token_is_kept_only_as_its_digest(ada: Person) -> None:
    row, token = issue_token("api", "reporting", acts_for=ada, actor=TESTING)

    assert token.startswith("gh_api_")
    assert token not in str(ServiceToken.objects.values())
    assert token not in str(list(Pending.objects.values_list("body", flat=True)))
    assert live_token(token, "api", at=now()) == row


def test_a_token_opens_only_its_door_until_it_expires_is_revoked_or_its_person_leaves(ada: Person) -> None:
    _, expiring = issue_token("api", "a", acts_for=ada, expires_at=now() + timedelta(days=1), actor=TESTING)
    revoked_row, revoked = issue_token("api", "b", acts_for=ada, actor=TESTING)
    _, lasting = issue_token("api", "c", acts_for=ada, actor=TESTING)

    assert live_token(expiring, "scim", at=now()) is None
    assert live_token(expiring + "x", "api", at=now()) is None
    assert live_token(expiring, "api", at=now() + timedelta(days=1)) is None
    revoke_token(revoked_row, actor=TESTING)
    assert live_token(revoked, "api", at=now()) is None
    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    assert live_token(lasting, "api", at=now()) is None


@pytest.mark.parametrize(("name", "days", "field"), [("", 1, "name"), ("x" * 121, 1, "name"), ("ok", -1, "expires_at")])
def test_a_token_out_of_order_is_refused_by_field(ada: Person, name: str, days: int, field: str) -> None:
    with pytest.raises(Invalid) as problem:
        issue_token("api", name, acts_for=ada, expires_at=now() + timedelta(days=days), actor=TESTING)

    assert list(problem.value.fields) == [field]


def test_sessions_of_a_leaver_stay_ended_when_they_come_back(ada: Person) -> None:
    before = ada.get_session_auth_hash()
    with time_machine.travel(now() + timedelta(minutes=1)):
        lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)

    ada.refresh_from_db()
    assert ada.get_session_auth_hash() != before
