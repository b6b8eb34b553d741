"""What the public suites say: scim2-tester over HTTP semantics, scim2-server's contract over the storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract
from scim2_tester import Status, check_server

from governance.core.actor import Actor, Door
from scim_bridge.adapters import Caller
from scim_bridge.engine.offers import provider_for
from scim_bridge.storage.directory import Directory
from tests.scim_bridge.conftest import Provider


@pytest.fixture
def kept_connection() -> Iterator[None]:
    """Keep the connection of the test open across requests, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("kept_connection")
def test_scim2_tester_passes_every_check_on_a_strict_connection(strict: Provider) -> None:
    client = WSGISCIMClient(
        get_wsgi_application(),
        base_url="http://localhost/scim/v2",
        headers={"Authorization": f"Bearer {strict.token}"},
    )

    results = check_server(client)

    failed = [f"{result.title}: {result.reason}" for result in results if result.status is not Status.SUCCESS]
    assert failed == []
    assert len(results) == 135


@pytest.mark.django_db
class TestStorage(ScimStorageContract):
    """Our storage keeps the contract of scim2-server."""

    @pytest.fixture
    def provider(self) -> ScimProvider:
        return provider_for("strict")

    @pytest.fixture
    def storage(self, db: Any) -> Directory:
        return Directory(Caller("scim:test", Actor.service("test", door=Door.SCIM)))
