"""A wake-up never fails its caller and never holds it up, whatever the broker does."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery
import pytest
from django.conf import settings
from django.db import transaction
from pydantic import SecretStr
from pytest_django import DjangoCaptureOnCommitCallbacks

from governance.config.celery import make_app
from governance.core import wakeup
from governance.core.wakeup import wake


@pytest.fixture(autouse=True)
def _fresh_bell(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert wakeup._ringer.wait(20)
    monkeypatch.setattr(wakeup, "_bell", wakeup._Bell())
    yield
    assert wakeup._ringer.wait(20)


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A server that takes connections and never says a word, as a hung broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of an embedded broker that the wake-ups of this test go to."""
    _use_broker(monkeypatch, celery_broker_url=None, data_dir=tmp_path)
    return tmp_path / "broker" / "messages"


def _use_broker(monkeypatch: pytest.MonkeyPatch, **environment: Any) -> None:
    app = make_app(settings.ENVIRONMENT.model_copy(update=environment))
    monkeypatch.setattr(celery, "current_app", app)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
@pytest.mark.parametrize("broker", ["closed_port", "deaf_port"])
def test_a_dead_broker_costs_the_caller_little_and_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest,
    scheme: str,
    broker: str,
) -> None:
    port = request.getfixturevalue(broker)
    _use_broker(monkeypatch, celery_broker_url=SecretStr(f"{scheme}://ada:word@127.0.0.1:{port}/1"))

    started_at = time.monotonic()
    with caplog.at_level(logging.WARNING, logger=wakeup.__name__):
        for _ in range(5):
            wakeup._bell.ring("access.sweep")

    assert time.monotonic() - started_at < 1
    assert len(caplog.messages) == 1
    assert "the next tick will do" in caplog.messages[0]


@pytest.mark.django_db
def test_a_wake_up_goes_out_when_the_transaction_commits(
    messages: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        wake("access.sweep")
        assert not messages.exists()

    assert wakeup._ringer.wait(20)
    assert len(list(messages.glob("*.msg"))) == 1


@pytest.mark.django_db
def test_a_rolled_back_transaction_wakes_nobody(
    messages: Path, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        wake("access.sweep")
        transaction.set_rollback(True)

    assert wakeup._ringer.wait(20)
    assert not messages.exists()


def test_what_is_asked_for_in_one_moment_rings_once_for_each_task(messages: Path) -> None:
    for _ in range(50):
        wakeup._ringer.ask("access.sweep")
        wakeup._ringer.ask("provisioning.deliver_due")

    assert wakeup._ringer.wait(20)
    assert 2 <= len(list(messages.glob("*.msg"))) < 20


def test_a_hung_broker_never_holds_up_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(wakeup._bell, "ring", lambda _: answers.wait(60))

    for _ in range(1000):
        wakeup._ringer.ask("access.sweep")

    assert not answers.is_set()
    answers.set()


def test_a_process_rings_before_it_ends(tmp_path: Path) -> None:
    program = "import django; django.setup(); from governance.core import wakeup; wakeup._ringer.ask('access.sweep')"
    environment = os.environ | {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "governance.config.settings"}
    environment.pop("CELERY_BROKER_URL", None)

    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)

    assert len(list((tmp_path / "broker" / "messages").glob("*.msg"))) == 1


def test_the_embedded_broker_keeps_its_queue_short(messages: Path) -> None:
    for _ in range(210):
        wakeup._bell.ring("access.sweep")

    assert len(list(messages.iterdir())) == 200


def test_the_embedded_broker_hands_messages_out_in_order(messages: Path) -> None:
    for name in ("first", "second", "third"):
        wakeup._bell.ring(name)

    with celery.current_app.connection_for_read() as connection:
        queue = connection.SimpleQueue(settings.ENVIRONMENT.celery_queue)
        assert [queue.get(timeout=2).headers["task"] for _ in range(3)] == ["first", "second", "third"]
