"""An identity provider that talks to us."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from governance.core.actor import Actor, Door
from governance.identity.models import Connection
from governance.lifecycle import brake
from governance.lifecycle.brake import Limits
from scim_bridge.connections import open_connection

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


class Provider:
    """One identity provider with its token."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.client = Client(raise_request_exception=True)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send a request; a body that is not bytes is sent as JSON."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/scim+json", **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        return self.client.generic(
            method, f"/scim/v2/{path}", content, content_type="application/scim+json; charset=utf-8", headers=headers
        )

    def get(self, path: str, **headers: str) -> dict[str, Any]:
        """Return what GET answers."""
        return self.done(self.ask("GET", path, **headers), 200)

    def create_user(self, user_name: str, **more: Any) -> dict[str, Any]:
        """Create a user and return them."""
        return self.done(self.ask("POST", "Users", {"schemas": [USER], "userName": user_name, **more}), 201)

    def create_group(self, name: str, members: list[str] | None = None, **more: Any) -> dict[str, Any]:
        """Create a group and return it."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": id_} for id_ in members or []], **more}
        return self.done(self.ask("POST", "Groups", body), 201)

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> HttpResponse:
        """Send a PATCH."""
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)}, **headers)

    def find(self, kind: str, condition: str) -> list[dict[str, Any]]:
        """Return what a filter selects."""
        answer = self.client.get(
            f"/scim/v2/{kind}", {"filter": condition}, headers={"Authorization": f"Bearer {self.token}"}
        )
        found: list[dict[str, Any]] = self.done(answer, 200)["Resources"]
        return found

    @staticmethod
    def done(response: HttpResponse, status: int) -> dict[str, Any]:
        """Return the body of a response that must have this status."""
        assert response.status_code == status, response.content
        assert response["Content-Type"] == "application/scim+json"
        body: dict[str, Any] = json.loads(response.content)
        return body

    @classmethod
    def refused(cls, response: HttpResponse, status: int, scim_type: str | None = None) -> str:
        """Return the sentence of a SCIM error that must have this status and type."""
        body = cls.done(response, status)
        assert body["schemas"] == [ERROR]
        assert body["status"] == str(status)
        assert body.get("scimType") == scim_type, body
        assert body["detail"]
        return str(body["detail"])


@pytest.fixture
def connected(db: None) -> Callable[..., Provider]:
    """Return what connects an identity provider of a dialect."""

    def connect(dialect: str = "strict", name: str | None = None) -> Provider:
        actor = Actor.system("test", door=Door.COMMAND)
        token = open_connection(name or dialect, dialect=dialect, actor=actor)
        # Suites send thousands of requests in seconds; what the limit does is test_rate_limit's.
        Connection.objects.filter(name=name or dialect).update(requests_per_minute=600_000)
        # And let as many leave as they like; what the brake does is test_brake's.
        brake.set_limits(f"scim:{name or dialect}", Limits(at_least=1_000_000), actor=actor)
        return Provider(token)

    return connect


@pytest.fixture
def strict(connected: Callable[..., Provider]) -> Provider:
    """Return a provider that keeps to the RFC."""
    return connected("strict")


@pytest.fixture
def okta(connected: Callable[..., Provider]) -> Provider:
    """Return Okta."""
    return connected("okta")
