"""Retiring by script."""

from __future__ import annotations

import pytest

from governance.access import grants
from governance.access.models import Grant, GrantCause
from governance.access.sweep import sweep
from governance.catalog.models import Entitlement
from governance.core.clock import now
from governance.identity.models import Person
from tests import cast
from tests.api.conftest import As
from tests.cast import TESTING

PATHS = ["entitlements/snowflake/analyst/retire/", "applications/snowflake/retire/"]


@pytest.fixture
def held(ada: Person, analyst: Entitlement) -> Grant:
    new = grants.NewGrant(ada.pk, analyst.pk, analyst.application_id, GrantCause.MANUAL, now())
    return grants.start_many([new], at=now(), actor=TESTING)[0]


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
def test_a_script_looks_then_retires_what_it_saw(path: str, held: Grant, linus: Person, ada: Person, as_: As) -> None:
    script = as_(linus)

    look = script.get(path).json()
    stale = script.post(path, {"digest": "0-0-0-0-0"})
    done = script.post(path, {"digest": look["digest"]})
    again = script.post(path, {})
    sweep()

    held.refresh_from_db()
    assert (look["people"], look["running"], look["removals"], look["accounts"]) == (1, 1, 1, 1)
    assert [one["display_name"] for one in look["named"]] == ["Ada Lovelace"]
    assert (stale.status_code, done.status_code, again.status_code) == (409, 200, 409)
    assert done.json()["retired_at"] is not None
    assert held.end_cause == "retired"


@pytest.mark.django_db
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["ada", "audrey", "mallory", "other owner"])
def test_nobody_but_its_owner_and_security_retires_by_script(
    who: str, path: str, held: Grant, as_: As, request: pytest.FixtureRequest
) -> None:
    if who == "other owner":
        person = cast.hire("Olga Stern")
        cast.add_application("Ledgerline", owner=person)
    else:
        person = request.getfixturevalue(who)
    script = as_(person)

    assert (script.get(path).status_code, script.post(path, {}).status_code) == (403, 403)
    assert not Entitlement.objects.filter(retired_at__isnull=False).exists()
