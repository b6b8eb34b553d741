"""Monitoring gets an answer within a second, and learns which part is missing but nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import celery
import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from pydantic import SecretStr

from governance.config import health
from governance.config.celery import make_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def deaf_broker() -> Iterator[str]:
    """The address of a broker that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"amqp://ada:hidden-word@127.0.0.1:{server.getsockname()[1]}//"


def _use_broker(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    environment = settings.ENVIRONMENT.model_copy(update={"celery_broker_url": SecretStr(url)})
    monkeypatch.setattr(settings, "ENVIRONMENT", environment)
    monkeypatch.setattr(celery, "current_app", make_app(environment))


def test_the_process_answers_without_asking_the_database(
    client: Client, django_assert_num_queries: Callable[[int], object]
) -> None:
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_everything_in_order_is_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", settings.ENVIRONMENT.model_copy(update={"celery_broker_url": None}))

    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["ready"] is True
    assert all(check["ok"] for check in answer.json()["checks"].values())


def test_a_hung_broker_is_named_within_a_second(
    client: Client, monkeypatch: pytest.MonkeyPatch, deaf_broker: str
) -> None:
    _use_broker(monkeypatch, deaf_broker)
    started_at = time.monotonic()

    answer = client.get("/readyz")

    assert time.monotonic() - started_at < 1
    assert answer.status_code == 503
    assert [name for name, check in answer.json()["checks"].items() if not check["ok"]] == ["broker"]
    assert "hidden-word" not in answer.content.decode()


def test_a_hung_database_is_named_within_a_second(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "unapplied_migrations", lambda: time.sleep(2) or 0)
    started_at = time.monotonic()

    answer = client.get("/readyz")

    assert time.monotonic() - started_at < 1.5
    assert answer.json()["checks"]["database"] == {"ok": False, "sentence": "The database did not answer in time."}


def _unreachable() -> int:
    raise OperationalError("connection to server at 10.0.0.7 failed: hidden-word")


@pytest.mark.parametrize(
    ("name", "value", "check", "sentence"),
    [
        ("unapplied_migrations", _unreachable, "database", "The database cannot be reached."),
        ("unapplied_migrations", lambda: 3, "migrations", "3 migrations are not applied."),
        ("sealing_lag_seconds", lambda: 90.0, "sealing", "The oldest ledger entry waits to be sealed since 90 s."),
        ("sweep_lag_seconds", lambda: 45.0, "sweep", "The oldest ended grant waits to be ordered away since 45 s."),
        ("reading_lag_seconds", lambda: 150.0, "notices", "The oldest sealed entry waits to be told since 150 s."),
    ],
    ids=["no database", "old schema", "nobody seals", "nobody sweeps", "nobody tells"],
)
def test_what_is_missing_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch, name: str, value: Callable[[], float], check: str, sentence: str
) -> None:
    monkeypatch.setattr(health, name, value)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["checks"][check] == {"ok": False, "sentence": sentence}
    assert "hidden-word" not in answer.content.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_only_reads(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
