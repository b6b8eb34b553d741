"""Whole Gatehouses to walk through: on the embedded default, and on servers of one's own."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import kombu
import psycopg
import pytest

from tests.journeys.stack import Stack

#: Servers of one's own to try against; what a developer's machine usually has.
DATABASE_URL = os.environ.get("JOURNEY_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
BROKER_URL = os.environ.get("JOURNEY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//")


def missing(what: str) -> None:
    """Skip, and say why; with CI=true what is missing is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module", params=["embedded", "servers"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running Gatehouse with the demo organisation and its downstream application."""
    folder = tmp_path_factory.mktemp("gatehouse")
    if request.param == "embedded":
        yield from run(Stack(folder))
    else:
        yield from _on_servers(folder)


def run(stack: Stack) -> Iterator[Stack]:
    """Start it, and stop it cleanly afterwards; show what it said when a test failed."""
    try:
        stack.start()
        yield stack
    finally:
        code = stack.stop()
        sys.stdout.write("".join(stack.output))
    assert code == 0


def _on_servers(folder: Path) -> Iterator[Stack]:
    name = f"gatehouse_journey_{uuid.uuid4().hex[:8]}"
    try:
        server = psycopg.connect(DATABASE_URL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        return missing("No PostgreSQL answers at JOURNEY_DATABASE_URL: the journey on servers was not walked.")
    try:
        with kombu.Connection(BROKER_URL, connect_timeout=3) as broker:
            broker.ensure_connection(max_retries=1, timeout=5)
    except (OSError, kombu.exceptions.OperationalError):
        return missing("No RabbitMQ answers at JOURNEY_BROKER_URL: the journey on servers was not walked.")
    with server:
        server.execute(f"CREATE DATABASE {name}")
        address = psycopg.conninfo.make_conninfo(DATABASE_URL, dbname=name)
        try:
            yield from run(
                Stack(folder, {"DATABASE_URL": _url(address), "CELERY_BROKER_URL": BROKER_URL, "CELERY_QUEUE": name})
            )
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _url(conninfo: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    user = f"{parts['user']}:{parts['password']}" if parts.get("password") else f"{parts['user']}"
    return f"postgresql://{user}@{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"
