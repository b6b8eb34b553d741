"""What Okta sends, in its order and with its headers; and the far application, asked through its own API."""

from __future__ import annotations

from typing import Any

import httpx

SCIM_JSON = {"Content-Type": "application/scim+json; charset=utf-8", "Accept": "application/scim+json"}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Okta:
    """An Okta tenant with one SCIM integration."""

    def __init__(self, base_url: str, token: str) -> None:
        headers = {**SCIM_JSON, "Authorization": f"Bearer {token}", "User-Agent": "Okta SCIM Client 1.0.0"}
        self._http = httpx.Client(base_url=f"{base_url}/scim/v2/", headers=headers, timeout=20)

    def assign(self, login: str, given: str, family: str, **enterprise: object) -> str:
        """Look the user up, create them when they are new, and return their id."""
        found = self._ask("GET", "Users", params={"filter": f'userName eq "{login}"', "startIndex": 1, "count": 100})
        if found["totalResults"]:
            return str(found["Resources"][0]["id"])
        created = self._ask(
            "POST",
            "Users",
            json={
                "schemas": [USER, ENTERPRISE],
                "userName": login,
                "name": {"givenName": given, "familyName": family},
                "emails": [{"primary": True, "value": login, "type": "work"}],
                "displayName": f"{given} {family}",
                "locale": "en-US",
                "externalId": f"00u{abs(hash(login)) % 10**12}",
                "groups": [],
                "active": True,
                ENTERPRISE: enterprise,
            },
        )
        return str(created["id"])

    def push_group(self, name: str, members: list[str]) -> str:
        """Create a group, then add its members by PATCH, as Okta's group push does; return its id."""
        group = self._ask("POST", "Groups", json={"schemas": [GROUP], "displayName": name, "members": []})
        self._patch(
            f"Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": one} for one in members]}
        )
        return str(group["id"])

    def unassign(self, user_id: str) -> None:
        """Deactivate a user, as Okta does when an assignment ends."""
        answer = self._patch(f"Users/{user_id}", {"op": "replace", "value": {"active": False}})
        assert answer["active"] is False

    def user(self, user_id: str) -> dict[str, Any]:
        """Return the user as the server has them."""
        return self._ask("GET", f"Users/{user_id}")

    def _patch(self, path: str, operation: dict[str, Any]) -> dict[str, Any]:
        return self._ask("PATCH", path, json={"schemas": [PATCH], "Operations": [operation]})

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self._http.request(method, path, **request)
        if answer.is_server_error:
            answer.raise_for_status()
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


class Downstream:
    """The application at the far end, asked through its own API."""

    def __init__(self, base_url: str, token: str) -> None:
        self._http = httpx.Client(
            base_url=base_url, headers={**SCIM_JSON, "Authorization": f"Bearer {token}"}, timeout=20
        )

    def accounts(self, user_name: str) -> list[dict[str, Any]]:
        """Return every account by that user name."""
        found: list[dict[str, Any]] = self._list("Users", f'userName eq "{user_name}"')
        return found

    def members(self, group: str) -> list[str]:
        """Return the ids in a group, as often as they stand there."""
        groups = self._list("Groups", f'displayName eq "{group}"')
        assert len(groups) <= 1, f"{len(groups)} groups are called {group}"
        return [member["value"] for found in groups for member in found.get("members", [])]

    def holds(self, user_name: str, group: str) -> bool:
        """Tell whether there is exactly one active account by that name and it is in the group exactly once."""
        accounts = self.accounts(user_name)
        if len(accounts) != 1 or accounts[0].get("active") is False:
            assert len(accounts) <= 1, f"{user_name} has {len(accounts)} accounts"
            return False
        times = self.members(group).count(accounts[0]["id"])
        assert times <= 1, f"{user_name} is in {group} {times} times"
        return times == 1

    def _list(self, kind: str, condition: str) -> list[dict[str, Any]]:
        answer = self._http.get(f"{kind}", params={"filter": condition, "count": 100})
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json().get("Resources", [])
        return found
