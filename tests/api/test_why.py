"""Why somebody has something, at the REST door."""

from __future__ import annotations

from datetime import timedelta

import pytest

from governance.access import deciding, requests
from governance.access.models import Grant
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from governance.provisioning.models import Operation, OperationState
from tests import cast
from tests.api.conftest import As

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(ada: Person, linus: Person, analyst: Entitlement) -> Grant:
    asked = requests.submit(ada, analyst, cast.ask(timedelta(hours=2)), actor=cast.acting(ada))
    deciding.approve(asked, approver=linus, actor=cast.acting(linus))
    return asked.grants.get()


def test_the_chain_as_json(grant: Grant, linus: Person, as_: As) -> None:
    Operation.objects.update(state=OperationState.DELIVERED, delivered_at=now())

    said = as_(linus).get(f"grants/{grant.pk}/why/").json()

    assert (said["rule"], said["seen"], said["late_seconds"], said["entries"]) == (None, None, None, [])
    assert said["grant"]["given"]["state"] == "delivered"
    assert [(one["by"], one["asked_as"], one["approved"]) for one in said["answers"]] == [
        ("Linus Berg", "application owner", True)
    ]
    assert [one["change"] for one in said["changes"]] == ["started"]


@pytest.mark.parametrize(
    ("who", "status"),
    [("ada", 200), ("grace", 200), ("linus", 200), ("audrey", 200), ("mallory", 404)],
    ids=["oneself", "manager", "owner", "auditor", "outsider"],
)
def test_only_who_may_read_a_grant_reads_why(
    who: str, status: int, grant: Grant, request: pytest.FixtureRequest, as_: As
) -> None:
    assert as_(request.getfixturevalue(who)).get(f"grants/{grant.pk}/why/").status_code == status
