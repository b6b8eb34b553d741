"""Accounts in a SCIM 2.0 application: find, adopt, create, close. Never the wrong person's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from governance.provisioning.connectors.base import (
    AccountSeen,
    AccountWanted,
    CallFailed,
    Closing,
    Found,
    Permanent,
    Transient,
)
from governance.provisioning.connectors.http import Answer, Http
from governance.provisioning.connectors.scim2_lists import Resource, find_all, id_of, quoted, same, text_of

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def patch(*operations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PATCH (RFC 7644 §3.5.2)."""
    return {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}


def refused(answer: Answer, what: str, next_step: str) -> CallFailed:
    """Return the failure for an answer that says no for good."""
    said = f": {answer.detail}" if answer.detail else "."
    return CallFailed(Permanent(f"The application refused to {what} ({answer.status}){said}", next_step))


def account_seen(user: Resource) -> AccountSeen:
    """Read what a SCIM User shows. A missing `active` means active."""
    return AccountSeen(
        target_id=id_of(user),
        user_name=text_of(user.get("userName")),
        display_name=text_of(user.get("displayName")),
        email=_main_email(user),
        is_active=_is_true(user.get("active", True)),
    )


class Accounts:
    """The Users of one application."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def find(self, wanted: AccountWanted) -> tuple[Resource, Found] | None:
        """Return the account of the person and how it was found, or None when there is none.

        By the known id, then by user name, then by external id. What the application shows is compared again here,
        since some servers ignore filters. Raises CallFailed when two fit or when it is somebody else's.
        """
        known = self.get(wanted.known_id) if wanted.known_id else None
        if known is not None:
            return known, Found.KNOWN
        by_name = self._find_one("userName", wanted.user_name, wanted)
        if by_name is not None:
            return by_name, Found.USER_NAME
        by_reference = self._find_one("externalId", wanted.external_id, wanted)
        return (by_reference, Found.EXTERNAL_ID) if by_reference is not None else None

    def get(self, account_id: str) -> Resource | None:
        """Return the account with this id, or None when the application says that there is none."""
        answer = self._http.get(path_of(account_id))
        if answer.status == 404:
            return None
        if not answer.is_success:
            raise refused(answer, "show the account", "Check what the token of the connector may read.")
        if id_of(answer.body) != account_id:
            raise CallFailed(Transient("The application showed another account than the one asked for."))
        return answer.body

    def ensure(self, wanted: AccountWanted) -> tuple[Resource, Found]:
        """Return the person's account, active: found, adopted and reactivated, or created."""
        found = self.find(wanted) or self._create(wanted)
        user, how = found
        if not _is_true(user.get("active", True)):
            self.set_active(user, active=True)
        return user, how

    def close(self, user: Resource, closing: Closing) -> None:
        """Deactivate or delete an account that has nothing left. Doing it twice is success."""
        if closing.deletes:
            answer = self._http.send("DELETE", path_of(id_of(user)))
            if not answer.is_success and answer.status != 404:
                raise refused(answer, "delete the account", "Delete it there, or let the connector deactivate instead.")
        elif closing.deactivates and _is_true(user.get("active", True)):
            self.set_active(user, active=False)

    def set_active(self, user: Resource, *, active: bool) -> None:
        """Switch an account on or off: by path, then without path, then by PUT of the whole account."""
        forms: tuple[dict[str, Any], ...] = (
            {"op": "replace", "path": "active", "value": active},
            {"op": "replace", "value": {"active": active}},
        )
        path = path_of(id_of(user))
        answer = self._http.send("PATCH", path, body=patch(forms[0]))
        if answer.status in (400, 422):
            answer = self._http.send("PATCH", path, body=patch(forms[1]))
        if answer.status in (400, 405, 422, 501):
            answer = self._replace(path, active)
        if answer.status == 404 and not active:
            return
        if not answer.is_success:
            what = "activate the account" if active else "deactivate the account"
            raise refused(answer, what, "Check what the token of the connector may change.")

    def _replace(self, path: str, active: bool) -> Answer:
        fresh = self._http.get(path)
        if not fresh.is_success:
            return fresh
        return self._http.send("PUT", path, body={**fresh.body, "active": active}, if_match=fresh.etag)

    def _find_one(self, attribute: str, value: str, wanted: AccountWanted) -> Resource | None:
        if not value:
            return None
        exactly = attribute == "externalId"  # caseExact (RFC 7643 §3.1); userName is not (§4.1.1)

        def matches(user: Resource) -> bool:
            shown = user.get(attribute)
            return isinstance(shown, str) and (shown == value if exactly else same(shown, value))

        users = find_all(self._http, "/Users", f"{attribute} eq {quoted(value)}", matches)
        by_id = {id_of(user): user for user in users}
        if len(by_id) > 1:
            raise CallFailed(
                Permanent(
                    "The application has more than one account that fits this person.",
                    "Link the right account to the person on the application's page.",
                )
            )
        for account_id, user in by_id.items():
            if account_id in wanted.taken_ids:
                raise CallFailed(
                    Permanent(
                        "The account with this user name belongs to somebody else.",
                        "Rename one of the two there, or link the right account on the application's page.",
                    )
                )
            return user
        return None

    def _create(self, wanted: AccountWanted) -> tuple[Resource, Found]:
        answer = self._http.send("POST", "/Users", body=_new_user(wanted))
        if answer.status == 409:
            return self._adopt(wanted)
        if not answer.is_success:
            raise refused(answer, "create the account", "Correct what the application complains about, then try again.")
        if "id" in answer.body:
            return answer.body, Found.CREATED
        created = self.find(wanted)
        if created is None:
            raise CallFailed(Transient("The application accepted the account but does not show it yet."))
        return created[0], Found.CREATED

    def _adopt(self, wanted: AccountWanted) -> tuple[Resource, Found]:
        found = self.find(wanted)
        if found is None:
            raise CallFailed(
                Transient(
                    "The application says that the account exists, but does not show it.",
                    next_step="Look there for a deleted or hidden account with this user name or e-mail address.",
                )
            )
        return found


def path_of(account_id: str) -> str:
    """Return the path of one account."""
    return f"/Users/{quote(account_id, safe='')}"


def _new_user(wanted: AccountWanted) -> dict[str, Any]:
    name = {"givenName": wanted.given_name, "familyName": wanted.family_name, "formatted": wanted.display_name}
    user: dict[str, Any] = {
        "schemas": [USER_SCHEMA],
        "userName": wanted.user_name,
        "externalId": wanted.external_id,
        "displayName": wanted.display_name,
        "name": {part: value for part, value in name.items() if value},
        "emails": [{"value": wanted.email, "type": "work", "primary": True}] if wanted.email else [],
        "active": True,
    }
    return {attribute: value for attribute, value in user.items() if value not in ("", {}, [])}


def _main_email(user: Resource) -> str:
    listed = user.get("emails")
    emails = [mail for mail in listed if isinstance(mail, Mapping)] if isinstance(listed, list) else []
    ranked = sorted(emails, key=lambda mail: mail.get("primary") is not True)
    return text_of(ranked[0].get("value")) if ranked else ""


def _is_true(value: object) -> bool:
    """Read a boolean as servers send it: some write "True" (Entra's own samples do)."""
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)
