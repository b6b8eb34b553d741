"""What is retired gives nothing more: who had it loses it, in batches, whoever is killed; what was asked is closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.access import deciding, grants, requests, retiring
from governance.access.models import EndCause, Grant, GrantCause, RequestState
from governance.access.sweep import sweep
from governance.catalog import packages, rules
from governance.catalog.models import Application, Entitlement
from governance.catalog.rules import RuleTerms
from governance.core.clock import OPEN_END, now
from governance.core.errors import Conflict, Refused
from governance.identity.models import Person
from governance.ledger.models import Pending
from governance.provisioning.models import Operation, OperationKind, OperationState
from tests import cast
from tests.cast import TESTING, acting, ask
from tests.duties import forbid

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def noon() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def writer(snowflake: Application) -> Entitlement:
    return cast.add_role(snowflake, "Writer")


def give(person: Person, role: Entitlement, starts_at: datetime = NOON, ends_at: datetime = OPEN_END) -> Grant:
    new = grants.NewGrant(person.pk, role.pk, role.application_id, GrantCause.MANUAL, starts_at, ends_at)
    with transaction.atomic():
        return grants.start_many([new], at=now(), actor=TESTING)[0]


def recorded(event: str) -> list[dict[str, object]]:
    return [one.body for one in Pending.objects.order_by("id") if one.body["event"] == event]


def test_who_has_a_retired_role_loses_it_and_nobody_gets_what_was_booked(
    ada: Person, grace: Person, sam: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    held, booked, other = give(ada, analyst), give(grace, analyst, NOON + HOUR), give(ada, writer)

    retiring.retire_role(analyst, actor=acting(sam))
    sweep()

    for one in (held, booked, other):
        one.refresh_from_db()
    taken = Operation.objects.get(kind=OperationKind.TAKE)
    assert (held.ends_at, held.end_cause, held.take_operation) == (NOON, EndCause.RETIRED, taken)
    assert (booked.ends_at, booked.end_cause, booked.take_operation) == (NOON + HOUR, EndCause.RETIRED, None)
    assert (other.ends_at, taken.closes_account) == (OPEN_END, False)


def test_retiring_and_every_end_are_recorded_as_one_act(ada: Person, sam: Person, analyst: Entitlement) -> None:
    give(ada, analyst)
    actor = acting(sam)

    retiring.retire_role(analyst, actor=actor)
    sweep()

    (retired,), (ended,) = recorded("entitlement.retired"), recorded("grant.ended")
    assert retired["subjects"] == [
        {"kind": "entitlement", "ref": str(analyst.pk)},
        {"kind": "application", "ref": str(analyst.application_id)},
    ]
    assert ended["data"]["cause"] == "retired"  # type: ignore[index]
    assert retired["correlation"] == ended["correlation"] == actor.correlation_id


def test_an_application_takes_all_its_roles_and_accounts_along(
    ada: Person, sam: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    give(ada, analyst)
    give(ada, writer)
    elsewhere = give(ada, cast.add_role(cast.add_application("Ledgerline"), "Payer"))

    retiring.retire_application(analyst.application, actor=acting(sam))
    sweep()

    elsewhere.refresh_from_db()
    assert elsewhere.ends_at == OPEN_END
    assert Grant.objects.filter(end_cause=EndCause.RETIRED).count() == 2
    assert Operation.objects.filter(kind=OperationKind.TAKE, closes_account=True).exists()
    assert len(recorded("entitlement.retired")) == 2
    assert len(recorded("application.retired")) == 1


def test_discord_access_469_and_599_what_was_asked_of_a_retired_role_is_never_approved(
    ada: Person, linus: Person, sam: Person, analyst: Entitlement
) -> None:
    made = requests.submit(ada, analyst, ask(), actor=acting(ada))
    retiring.retire_role(analyst, actor=acting(sam))

    with pytest.raises(Refused) as at_once:
        deciding.approve(made, approver=linus, actor=acting(linus))
    sweep()
    again = cast.add_role(analyst.application, "Analyst")
    with pytest.raises(Conflict):
        deciding.approve(made, approver=linus, actor=acting(linus))

    made.refresh_from_db()
    assert "retired" in {reason.code for reason in at_once.value.reasons}
    assert (made.state, made.closed_because) == (RequestState.CLOSED, "retired")
    assert (again.slug, again.target_ref) == ("analyst-2", analyst.target_ref)
    assert not Grant.objects.exists()


def test_a_rule_gives_a_retired_role_no_more_and_its_grace_does_not_keep_it(
    ada: Person, grace: Person, sam: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    terms = RuleTerms("Engineers", 'department eq "Engineering"', [analyst, writer], grace=timedelta(days=7))
    rules.save_rule(terms, actor=TESTING)
    cast.move(ada, title="Senior engineer")
    assert Grant.objects.filter(person=ada, ends_at=OPEN_END).count() == 2

    retiring.retire_role(analyst, actor=acting(sam))
    sweep()
    cast.move(ada, title="Principal engineer")

    left = Grant.objects.filter(person=ada, ends_at__gt=NOON).values_list("entitlement__name", flat=True)
    assert list(left) == ["Writer"]


@transaction.atomic
def _killed_before_the_commit() -> None:
    retiring.end_batch(3)
    raise KeyboardInterrupt


def test_batches_go_on_wherever_one_was_killed_and_end_nothing_twice(sam: Person, analyst: Entitlement) -> None:
    for number in range(7):
        give(cast.hire(f"Holder{number} Grey"), analyst)
    retiring.retire_role(analyst, actor=acting(sam))

    assert retiring.end_batch(3) == 3
    with pytest.raises(KeyboardInterrupt):
        _killed_before_the_commit()
    sweep()
    sweep()

    assert retiring.end_batch(3) == 0
    assert Grant.objects.filter(end_cause=EndCause.RETIRED, revision=2).count() == 7
    assert Operation.objects.filter(kind=OperationKind.TAKE).count() == 7
    assert len(recorded("grant.ended")) == 7


def test_a_batch_costs_the_same_for_one_and_for_many(sam: Person, snowflake: Application) -> None:
    costs = []
    for number in (1, 12):
        role = cast.add_role(snowflake, f"Role{number}")
        for one in range(number):
            give(cast.hire(f"Holder{number}{one} Grey"), role)
        retiring.retire_role(role, actor=acting(sam))
        with CaptureQueriesContext(connection) as counted:
            assert retiring.end_batch(100) == number
        costs.append(len(counted))

    assert costs[0] == costs[1]


def test_the_look_says_by_name_and_number_what_then_happens(
    ada: Person, grace: Person, sam: Person, linus: Person, analyst: Entitlement, writer: Entitlement
) -> None:
    give(ada, analyst)
    give(ada, analyst, NOON, NOON + HOUR)
    give(grace, analyst, NOON + HOUR)
    give(ada, writer)
    made = requests.submit(linus, analyst, ask(), actor=acting(linus))
    rules.save_birthright_rule("Nobody", "active eq false", [analyst], actor=TESTING)
    packages.save_package("Data engineer", "For the data platform.", [analyst, writer], actor=TESTING)
    forbid([analyst], [writer], owner=sam, name="Four eyes")

    look = retiring.look_at_role(analyst)
    retiring.retire_role(analyst, seen=look.digest, actor=acting(sam))
    sweep()

    assert (look.people, look.running, look.booked, look.removals, look.accounts) == (2, 2, 1, 1, 0)
    assert [(one.name, one.roles) for one in look.named] == [
        ("Ada Lovelace", ("Analyst",)),
        ("Grace Hopper", ("Analyst",)),
    ]
    assert look.requests == (made.number,)
    assert [(one.kind, one.name, one.others) for one in look.mentions] == [
        ("duty", "Four eyes", 1),
        ("package", "Data engineer", 1),
        ("policy", "Standard", 1),
        ("rule", "Nobody", 0),
    ]
    taken = Operation.objects.filter(kind=OperationKind.TAKE).order_by().values("person", "entitlement")
    assert taken.distinct().count() == look.removals
    assert Grant.objects.filter(end_cause=EndCause.RETIRED).count() == look.running + look.booked


def test_what_changed_since_the_look_is_not_retired_unseen(
    ada: Person, grace: Person, sam: Person, analyst: Entitlement
) -> None:
    give(ada, analyst)
    role, application = retiring.look_at_role(analyst), retiring.look_at_application(analyst.application)
    give(grace, analyst)

    with pytest.raises(Conflict, match="look again"):
        retiring.retire_role(analyst, seen=role.digest, actor=acting(sam))
    with pytest.raises(Conflict, match="look again"):
        retiring.retire_application(analyst.application, seen=application.digest, actor=acting(sam))

    analyst.refresh_from_db()
    assert analyst.retired_at is None


def test_nothing_is_retired_twice(sam: Person, analyst: Entitlement, writer: Entitlement) -> None:
    retiring.retire_role(analyst, actor=acting(sam))
    with pytest.raises(Conflict, match="retired before"):
        retiring.retire_role(analyst, actor=acting(sam))
    retiring.retire_application(writer.application, actor=acting(sam))
    with pytest.raises(Conflict, match="retired before"):
        retiring.retire_application(writer.application, actor=acting(sam))
    with pytest.raises(Conflict, match="retired before"):
        retiring.retire_role(writer, actor=acting(sam))


def test_a_role_is_added_again_only_when_the_former_was_taken_from_everybody(
    ada: Person, sam: Person, analyst: Entitlement
) -> None:
    """Else the removal of the former one, delivered later, would take what the new one gives."""
    give(ada, analyst)
    retiring.retire_role(analyst, actor=acting(sam))
    same = {
        "sentence": "Query it.",
        "target_ref": analyst.target_ref,
        "kind": analyst.kind,
        "risk": 2,
        "actor": acting(sam),
    }

    for _ in ("still held", "not read back yet"):
        with pytest.raises(Conflict, match="still being taken away"):
            retiring.add_role(analyst.application, "Analyst", **same)  # type: ignore[arg-type]
        sweep()
    Operation.objects.update(state=OperationState.VERIFIED, verified_at=NOON)
    again = retiring.add_role(analyst.application, "Analyst", **same)  # type: ignore[arg-type]

    assert (again.slug, again.retired_at) == ("analyst-2", None)


def test_an_application_is_added_again_beside_the_retired_one(sam: Person, snowflake: Application) -> None:
    with pytest.raises(Conflict, match="added before"):
        cast.add_application("Snowflake")
    retiring.retire_application(snowflake, actor=acting(sam))

    again = cast.add_application("Snowflake")

    assert (again.slug, again.retired_at) == ("snowflake-2", None)
    with pytest.raises(Conflict, match="is retired"):
        cast.add_role(Application.objects.get(pk=snowflake.pk), "Late")
