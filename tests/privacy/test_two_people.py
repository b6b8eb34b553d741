"""What takes two people, tried past the application: raw SQL, as the role that every door signs in as."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from governance.config.database_roles import make_roles_sql
from governance.core.errors import NotAllowed
from governance.identity.models import Person, RoleAssignment
from governance.ledger.rights import OWNER, RUNTIME, grant_rights
from governance.privacy import legal_holds, retaining
from governance.privacy.models import LegalHold, RetentionProposal
from tests import cast
from tests.cast import TESTING, acting
from tests.ledger.test_rights import _run as run
from tests.ledger.test_rights import refused, signed_in

TAKES_TWO = "takes two people"
RULE = "INSERT INTO privacy_retentionrule (years, why, set_by_ref, set_at, proposal_id) VALUES "
PROPOSAL = (
    "INSERT INTO privacy_retentionproposal"
    " (years, why, proposed_by_ref, proposed_at, decided_by_ref, decided_at, was_confirmed) VALUES "
)


@pytest.fixture
def olga(sam: Person) -> Person:
    """A second security administrator."""
    return cast.make_security_admin(cast.hire("Olga Other"))


@pytest.fixture
def door(sam: Person, olga: Person, audrey: Person) -> Iterator[None]:
    """Sign in to the database as the doors do. What the test needs from elsewhere is there before."""
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(make_roles_sql(can_sign_in=True))
    with signed_in(OWNER):
        grant_rights()
    with signed_in(RUNTIME):
        yield


@pytest.fixture
def proposed(sam: Person, door: None) -> RetentionProposal:
    """Sam proposed six years."""
    retaining.set_retention(6, "We keep too much.", actor=acting(sam))
    found = retaining.proposal()
    assert found is not None
    return found


@pytest.fixture
def hold(sam: Person, door: None) -> LegalHold:
    return legal_holds.place("Case 12", "The court asked for it.", actor=acting(sam))


def change(table: str, said: str) -> str:
    return f"UPDATE privacy_{table} SET {said}"


def test_fewer_years_are_not_set_without_a_proposal_that_a_second_person_confirmed(
    proposed: RetentionProposal, sam: Person, olga: Person
) -> None:
    assert "6 years instead of 7 take two people" in refused(f"{RULE} (6, 'x', '{olga.ref}', now(), NULL)")
    assert "nobody confirmed" in refused(f"{RULE} (6, 'x', '{olga.ref}', now(), {proposed.pk})")
    assert "permission denied" in refused(change("retentionrule", "years = 6"))
    assert "permission denied" in refused("DELETE FROM privacy_retentionrule")
    run(f"{RULE} (10, 'x', '{sam.ref}', now(), NULL)")
    assert "7 years instead of 10 take two people" in refused(f"{RULE} (7, 'x', '{olga.ref}', now(), NULL)")
    newest = "(SELECT max(id) FROM privacy_retentionrule)"
    before = RULE.replace("(years", "(id, years") + f"({newest} - 1, 12, 'x', '{sam.ref}', now(), NULL)"
    assert "comes after" in refused(before)
    assert retaining.years_kept() == 10


@pytest.mark.parametrize("who", ["sam", "audrey", "nobody"])
def test_nobody_but_a_second_security_administrator_confirms(
    proposed: RetentionProposal, request: pytest.FixtureRequest, who: str
) -> None:
    ref = "nobody" if who == "nobody" else str(request.getfixturevalue(who).ref)

    said = refused(change("retentionproposal", f"decided_by_ref = '{ref}', decided_at = now(), was_confirmed = true"))

    assert ("by_two" if who == "sam" else TAKES_TWO) in said


def test_a_proposal_is_not_written_confirmed_nor_changed_on_the_way(
    proposed: RetentionProposal, sam: Person, olga: Person
) -> None:
    confirmed = f"decided_by_ref = '{olga.ref}', decided_at = now(), was_confirmed = true"
    whole = f"(8, 'x', '{sam.ref}', now(), '{olga.ref}', now(), true)"
    assert TAKES_TWO in refused(PROPOSAL + whole)
    assert TAKES_TWO in refused(f"{PROPOSAL} (8, 'x', 'nobody', now(), '', NULL, false)")
    for other in ("years = 8", "proposed_by_ref = 'x'", "why = 'x'"):
        assert TAKES_TWO in refused(change("retentionproposal", other))
        assert TAKES_TWO in refused(change("retentionproposal", f"{other}, {confirmed}"))
    assert TAKES_TWO in refused("DELETE FROM privacy_retentionproposal")


def test_what_two_people_agreed_on_is_carried_out_once(proposed: RetentionProposal, sam: Person, olga: Person) -> None:
    retaining.confirm_shorter(proposed.pk, actor=acting(olga))
    assert retaining.years_kept() == 6

    run(f"{RULE} (9, 'x', '{sam.ref}', now(), NULL)")

    assert "duplicate key" in refused(f"{RULE} (6, 'x', '{olga.ref}', now(), {proposed.pk})")
    assert TAKES_TWO in refused(change("retentionproposal", "decided_at = NULL, decided_by_ref = ''"))


def test_a_hold_is_not_released_by_one_nor_by_a_statement_about_something_else(
    hold: LegalHold, sam: Person, olga: Person, audrey: Person
) -> None:
    proposes = f"release_proposed_by_ref = '{sam.ref}', release_proposed_at = now()"
    releases = "released_at = now(), released_by_ref = "
    assert TAKES_TWO in refused(change("legalhold", f"{releases} '{olga.ref}'"))
    assert TAKES_TWO in refused(change("legalhold", f"{proposes}, {releases} '{olga.ref}'"))
    assert TAKES_TWO in refused("DELETE FROM privacy_legalhold")
    for narrower in ("people = ARRAY['nobody']", "applications = ARRAY['none']", "placed_at = now()"):
        assert TAKES_TWO in refused(change("legalhold", narrower))
    assert TAKES_TWO in refused(change("legalhold", f"release_proposed_by_ref = '{audrey.ref}'"))

    run(change("legalhold", proposes))

    for who in ("", sam.ref, audrey.ref, "nobody"):
        assert TAKES_TWO in refused(change("legalhold", f"{releases} '{who}'"))
    assert TAKES_TWO in refused(change("legalhold", f"release_proposed_by_ref = '{olga.ref}'"))
    legal_holds.release(LegalHold.objects.get(), actor=acting(olga))
    assert TAKES_TWO in refused(change("legalhold", "released_at = NULL"))


def test_a_hold_is_not_written_released(hold: LegalHold, sam: Person, olga: Person) -> None:
    columns = "ref, name, reason, people, applications, placed_by_ref, placed_at, release_proposed_by_ref, released_at"
    said = f"gen_random_uuid(), 'x', 'x', '{{}}', '{{}}', '{sam.ref}', now(), '{sam.ref}', now(), '{olga.ref}', ''"

    assert TAKES_TWO in refused(
        f"INSERT INTO privacy_legalhold ({columns}, released_by_ref, release_reason) VALUES ({said})"
    )


def test_a_table_of_ones_own_in_front_of_the_real_one_is_of_no_use(
    proposed: RetentionProposal,
) -> None:
    run("CREATE TEMP TABLE identity_person AS SELECT 'mine' AS ref, 1 AS id, 'active' AS status")
    run("CREATE TEMP TABLE identity_roleassignment AS SELECT 1 AS person_id, 'security_admin' AS role")
    run("SET LOCAL gatehouse.erasing = 'on'")

    said = refused(change("retentionproposal", "decided_by_ref = 'mine', decided_at = now(), was_confirmed = true"))

    assert TAKES_TWO in said


def test_a_command_on_the_server_is_not_one_of_two(hold: LegalHold) -> None:
    with pytest.raises(NotAllowed, match="under their own name"):
        retaining.set_retention(6, "We keep too much.", actor=TESTING)
    with pytest.raises(NotAllowed, match="under their own name"):
        legal_holds.propose_release(hold, "It is over.", actor=TESTING)


def test_whoever_is_no_administrator_any_more_does_not_confirm(proposed: RetentionProposal, olga: Person) -> None:
    RoleAssignment.objects.filter(person=olga).delete()

    assert TAKES_TWO in refused(
        change("retentionproposal", f"decided_by_ref = '{olga.ref}', decided_at = now(), was_confirmed = true")
    )
