"""How often a connection may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from governance.core.actor import Actor, Door
from governance.identity.connections import actions
from governance.identity.models import Connection
from scim_bridge import authentication
from scim_bridge.rate_limit import LIMITER, Limiter
from tests.scim_bridge.conftest import Provider


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    LIMITER.reset()
    yield
    LIMITER.reset()


def test_ten_seconds_worth_may_come_at_once_and_then_one_at_a_time() -> None:
    limiter = Limiter()

    first = [limiter.refused_for(1, 60, at=100.0) for _ in range(10)]

    assert first == [0] * 10
    assert limiter.refused_for(1, 60, at=100.0) == 1
    assert limiter.refused_for(1, 60, at=101.0) == 0
    assert limiter.refused_for(1, 60, at=101.0) == 1


def test_over_a_long_time_the_rate_is_the_limit() -> None:
    limiter = Limiter()

    let_in = sum(limiter.refused_for(1, 600, at=second / 50) == 0 for second in range(50 * 300))

    assert 3000 <= let_in <= 3000 + 100


def test_connections_do_not_spend_each_others_allowance() -> None:
    limiter = Limiter()
    for _ in range(50):
        limiter.refused_for(1, 60, at=0.0)

    assert limiter.refused_for(2, 60, at=0.0) == 0


def test_what_other_processes_answered_is_taken_off() -> None:
    limiter = Limiter()
    limiter.refused_for(1, 60, at=0.0)

    limiter.take_off(1, 9, at=0.0)

    assert limiter.refused_for(1, 60, at=0.0) == 1


def test_whatever_others_answered_the_wait_is_about_a_minute_at_most() -> None:
    limiter = Limiter()
    limiter.refused_for(1, 60, at=0.0)

    limiter.take_off(1, 1_000_000, at=0.0)

    assert limiter.refused_for(1, 60, at=0.0) <= 61


def test_too_many_requests_are_told_when_to_come_back(
    connected: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    provider = connected("strict", "busy")
    ref = Connection.objects.get(name="busy").ref
    actions.change(ref, actions.Terms(requests_per_minute=60), actor=Actor.system("test", door=Door.COMMAND))
    monkeypatch.setattr(authentication.time, "monotonic", lambda: 1000.0)
    for _ in range(10):
        provider.get("Users?count=0")

    caplog.clear()
    with CaptureQueriesContext(database) as captured:
        answer = provider.ask("GET", "Users?count=0")

    assert "60 requests in a minute" in Provider.refused(answer, 429)
    assert answer["Retry-After"] == "1"
    assert not caplog.records
    assert len(captured) == 1
    assert captured[0]["sql"].lstrip().startswith("SELECT")
