"""A connection to the database that broke while it was idle costs no request."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from tests.scim_bridge.conftest import Provider


@pytest.mark.django_db(transaction=True)
def test_a_request_after_the_session_was_ended_is_answered(okta: Provider) -> None:
    ada = okta.create_user("ada")
    dsn, password = connection.connection.info.dsn, connection.connection.info.password
    with psycopg.connect(dsn, autocommit=True, password=password) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])

    assert okta.get(f"Users/{ada['id']}")["userName"] == "ada"
