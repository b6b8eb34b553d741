"""Entitlements that are values on the account: `roles` and `entitlements` of a SCIM User (RFC 7643 §4.1.2)."""

from __future__ import annotations

from governance.provisioning.connectors.base import CallFailed, HeldAs, Transient
from governance.provisioning.connectors.http import Answer, Http
from governance.provisioning.connectors.scim2_accounts import patch, path_of, refused
from governance.provisioning.connectors.scim2_lists import Resource, id_of, quoted, values_of

ATTRIBUTES = {HeldAs.ROLE: "roles", HeldAs.ENTITLEMENT: "entitlements"}


class AccountValues:
    """One multi-valued attribute on the Users of one application."""

    def __init__(self, http: Http, held_as: HeldAs) -> None:
        self._http = http
        self.attribute = ATTRIBUTES[held_as]

    def add(self, user: Resource, value: str) -> None:
        """Put the value on the account. Having it already is success. Raises CallFailed."""
        if value in values_of(user, self.attribute):
            return
        path = path_of(id_of(user))
        change = {"op": "add", "path": self.attribute, "value": [{"value": value}]}
        answer = self._http.send("PATCH", path, body=patch(change))
        if answer.status in (405, 501):
            answer = self._rewrite(path, add=value)
        if not answer.is_success:
            raise refused(answer, f"give “{value}”", "Correct the entitlement's value in the catalogue.")

    def remove(self, user: Resource, value: str) -> None:
        """Take the value from the account. Not having it is success. Raises CallFailed."""
        if value not in values_of(user, self.attribute):
            return
        path = path_of(id_of(user))
        change = {"op": "remove", "path": f"{self.attribute}[value eq {quoted(value)}]"}
        answer = self._http.send("PATCH", path, body=patch(change))
        if answer.status in (400, 405, 422, 501) or (answer.is_success and self._is_still_there(path, value)):
            answer = self._rewrite(path, remove=value)
        if not answer.is_success and answer.status != 404:
            raise refused(answer, f"take “{value}” away", "Check what the token of the connector may change.")

    def _is_still_there(self, path: str, value: str) -> bool:
        fresh = self._http.get(path)
        return fresh.is_success and value in values_of(fresh.body, self.attribute)

    def _rewrite(self, path: str, *, add: str = "", remove: str = "") -> Answer:
        """PUT the account with the changed values, from a fresh reading and only if nobody changed it meanwhile."""
        fresh = self._http.get(path)
        if not fresh.is_success:
            return fresh
        listed = fresh.body.get(self.attribute)
        kept = [
            item for item in (listed if isinstance(listed, list) else []) if values_of({"v": [item]}, "v") != [remove]
        ]
        values = [*kept, {"value": add}] if add else kept
        answer = self._http.send("PUT", path, body={**fresh.body, self.attribute: values}, if_match=fresh.etag)
        if answer.status == 412:
            raise CallFailed(Transient("Somebody else changed the account at the same moment."))
        return answer
