"""Scripts at the REST door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from governance.identity.models import Person
from governance.identity.roles import issue_token
from tests.cast import TESTING


class Script:
    """A client whose requests carry somebody's token."""

    def __init__(self, token: str) -> None:
        self._client = Client(headers={"Authorization": f"Bearer {token}"} if token else {})

    def get(self, path: str, **params: Any) -> Any:
        """Ask, and return the answer."""
        return self._client.get(f"/api/v1/{path}", params)

    def post(self, path: str, body: Any = None, **body_words: Any) -> Any:
        """Send a document, and return the answer."""
        sent = body if body is not None else body_words
        return self._client.post(f"/api/v1/{path}", sent, content_type="application/json")

    def patch(self, path: str, body: Any) -> Any:
        """Send what changes, and return the answer."""
        return self._client.patch(f"/api/v1/{path}", body, content_type="application/json")

    def put(self, path: str, body: Any) -> Any:
        """Send what it says from now on, and return the answer."""
        return self._client.put(f"/api/v1/{path}", body, content_type="application/json")

    def delete(self, path: str) -> Any:
        """End something, and return the answer."""
        return self._client.delete(f"/api/v1/{path}")


As = Callable[..., Script]


@pytest.fixture
def as_(db: None) -> As:
    """Return a script that acts for a person; without one, a script without a token."""

    def act_for(person: Person | None, *scopes: str) -> Script:
        if person is None:
            return Script("")
        _, token = issue_token("api", "test", acts_for=person, scopes=list(scopes) or ["read", "write"], actor=TESTING)
        return Script(token)

    cache.clear()
    return act_for
