"""People who sign in with a password, and the first of them."""

import io

import pytest
from django.core.management import CommandError, call_command

from governance.core.errors import Conflict, Invalid
from governance.identity.models import Person
from governance.identity.passwords import set_password
from governance.identity.queries import locked_person, roles_of
from governance.ledger.models import Pending
from governance.lifecycle import actions as lifecycle
from tests.cast import TESTING

pytestmark = pytest.mark.django_db
GOOD = "correct horse battery"


def test_the_first_administrator_is_made_by_three_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{GOOD}\n"))

    call_command("add_person", "root@halden.example", "Ruth Okafor", stdout=io.StringIO())
    call_command("grant_role", "root@halden.example", "security_admin", stdout=io.StringIO())
    call_command("set_password", "root@halden.example", stdout=io.StringIO())

    ruth = Person.objects.get()
    assert ruth.check_password(GOOD)
    assert "security_admin" in roles_of(ruth.pk)
    assert GOOD not in str(list(Pending.objects.values_list("body", flat=True)))


@pytest.mark.parametrize("email", ["nobody", "a@b@c", ""])
def test_somebody_without_an_address_is_not_added(email: str) -> None:
    with pytest.raises(CommandError, match="email"):
        call_command("add_person", email, "Nobody")

    assert not Person.objects.exists()


def test_a_weak_password_is_refused_and_the_old_one_stays(ada: Person) -> None:
    set_password(ada, GOOD, actor=TESTING)

    with pytest.raises(Invalid) as problem:
        set_password(ada, "password", actor=TESTING)

    assert list(problem.value.fields) == ["password"]
    assert Person.objects.get(pk=ada.pk).check_password(GOOD)


def test_a_new_password_ends_the_sessions_and_a_leaver_gets_none(ada: Person) -> None:
    before = ada.get_session_auth_hash()
    set_password(ada, GOOD, actor=TESTING)
    assert ada.get_session_auth_hash() != before

    lifecycle.leave(locked_person(ada.scim_id), actor=TESTING)
    ada.refresh_from_db()
    with pytest.raises(Conflict):
        set_password(ada, GOOD, actor=TESTING)
