"""Groups and their members in a SCIM 2.0 application, also in the forms of servers that miss the standard's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from governance.provisioning.connectors.base import CallFailed, Permanent, Transient
from governance.provisioning.connectors.http import Answer, Http
from governance.provisioning.connectors.scim2_accounts import patch, refused
from governance.provisioning.connectors.scim2_lists import (
    Resource,
    find_all,
    id_of,
    pages,
    quoted,
    same,
    text_of,
    values_of,
)

GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
#: How long a group's id is believed without asking: groups are renamed and made anew.
ID_KEPT_SECONDS = 60.0
NOT_UNDERSTOOD = frozenset({400, 405, 422, 501})

RemoveForm = Callable[[str, str], Answer]


class Groups:
    """The Groups of one application."""

    def __init__(self, http: Http, *, creates_missing: bool) -> None:
        self._http = http
        self._creates_missing = creates_missing
        self._ids: dict[str, tuple[str, float]] = {}
        self._proven_form: int | None = None

    def find(self, name: str) -> str | None:
        """Return the id of the group called `name`, or None. Raises CallFailed when two fit equally well."""
        kept = self._ids.get(name)
        if kept is not None and time.monotonic() < kept[1]:
            return kept[0]

        def matches(group: Resource) -> bool:
            return same(text_of(group.get("displayName")), name)

        found = find_all(self._http, "/Groups", f"displayName eq {quoted(name)}", matches)
        group_id = _the_one(found, name)
        if group_id is not None:
            self._ids[name] = (group_id, time.monotonic() + ID_KEPT_SECONDS)
        return group_id

    def forget(self, name: str) -> None:
        """Ask again next time instead of believing the kept id."""
        self._ids.pop(name, None)

    def get(self, name: str) -> Resource | None:
        """Return the group called `name` with its members, or None when there is none."""
        group_id = self.find(name)
        group = self._get(group_id) if group_id is not None else None
        if group_id is not None and (group is None or not same(text_of(group.get("displayName")), name)):
            self.forget(name)
            group_id = self.find(name)
            group = self._get(group_id) if group_id is not None else None
        return group

    def names(self) -> dict[str, list[str]]:
        """Return the ids of all groups by case-folded name, read without members."""
        found: dict[str, list[str]] = {}
        for page in pages(self._http, "/Groups", {"excludedAttributes": "members"}):
            for group in page.resources:
                ids = found.setdefault(text_of(group.get("displayName")).strip().casefold(), [])
                if id_of(group) not in ids:
                    ids.append(id_of(group))
        return found

    def members_of(self, group_id: str) -> frozenset[str] | None:
        """Return the ids of the members of a group, or None when it is gone."""
        group = self._get(group_id)
        return None if group is None else frozenset(values_of(group, "members"))

    def add(self, name: str, account_id: str) -> None:
        """Make the account a member. Being one already is success. Raises CallFailed."""
        answer = self._add(self._needed(name), account_id)
        if answer.status == 404:
            self.forget(name)
            answer = self._add(self._needed(name), account_id)
        if answer.is_success:
            return
        if answer.status == 404:
            raise CallFailed(Transient("The application does not know the new account in its group yet."))
        if account_id in (self.members_of(self._needed(name)) or ()):
            return
        raise refused(answer, f"add the account to the group “{name}”", "Check what the token may change there.")

    def remove(self, name: str, account_id: str) -> None:
        """End the membership. No group and no membership are success. Raises CallFailed.

        Tried in this order until the member is gone: the standard's filtered path, the value form, the whole group
        written anew. A form that was seen to work is used without looking from then on.
        """
        group_id = self.find(name)
        if group_id is None:
            return
        forms: tuple[RemoveForm, ...] = (self._remove_by_filter, self._remove_by_value, self._remove_by_replacing)
        if self._proven_form is not None and forms[self._proven_form](group_id, account_id).is_success:
            return
        answer: Answer | None = None
        for number, form in enumerate(forms):
            answer = form(group_id, account_id)
            if answer.status == 404 or account_id not in (self.members_of(group_id) or ()):
                self._proven_form = number if answer.is_success else None
                self.forget(name)
                return
            if answer.is_success and form == self._remove_by_value:
                return  # accepted twice: it may only be slow to show, so the whole group is not rewritten
        assert answer is not None
        raise refused(answer, f"take the account out of the group “{name}”", "Check what the token may change there.")

    def _add(self, group_id: str, account_id: str) -> Answer:
        change = {"op": "add", "path": "members", "value": [{"value": account_id}]}
        answer = self._http.send("PATCH", _path(group_id), body=patch(change))
        if answer.status in (405, 501):
            answer = self._rewrite(group_id, lambda members: [*members, {"value": account_id}])
        return answer

    def _remove_by_filter(self, group_id: str, account_id: str) -> Answer:
        change = {"op": "remove", "path": f"members[value eq {quoted(account_id)}]"}
        return self._http.send("PATCH", _path(group_id), body=patch(change))

    def _remove_by_value(self, group_id: str, account_id: str) -> Answer:
        change = {"op": "remove", "path": "members", "value": [{"value": account_id}]}
        return self._http.send("PATCH", _path(group_id), body=patch(change))

    def _remove_by_replacing(self, group_id: str, account_id: str) -> Answer:
        return self._rewrite(
            group_id,
            lambda members: [member for member in members if values_of({"m": [member]}, "m") != [account_id]],
        )

    def _rewrite(self, group_id: str, change: Callable[[list[Any]], list[Any]]) -> Answer:
        """PUT the group with changed members, from a fresh reading and only if nobody changed it meanwhile."""
        fresh = self._http.get(_path(group_id))
        if not fresh.is_success:
            return fresh
        listed = fresh.body.get("members")
        members = change(listed if isinstance(listed, list) else [])
        answer = self._http.send("PUT", _path(group_id), body={**fresh.body, "members": members}, if_match=fresh.etag)
        if answer.status == 412:
            raise CallFailed(Transient("Somebody else changed the group at the same moment."))
        return answer

    def _needed(self, name: str) -> str:
        group_id = self.find(name)
        if group_id is not None:
            return group_id
        if not self._creates_missing:
            raise CallFailed(
                Permanent(
                    f"The application has no group “{name}”.",
                    "Create the group there, or correct the entitlement's name in the catalogue.",
                )
            )
        answer = self._http.send("POST", "/Groups", body={"schemas": [GROUP_SCHEMA], "displayName": name})
        group_id = id_of(answer.body) if answer.is_success and answer.body else self.find(name)
        if group_id is None:
            raise refused(answer, f"create the group “{name}”", "Create the group there.")
        return group_id

    def _get(self, group_id: str) -> Resource | None:
        answer = self._http.get(_path(group_id))
        if answer.status == 404:
            return None
        if not answer.is_success:
            raise refused(answer, "show the group", "Check what the token of the connector may read.")
        if id_of(answer.body) != group_id:
            raise CallFailed(Transient("The application showed another group than the one asked for."))
        return answer.body


def _path(group_id: str) -> str:
    return f"/Groups/{quote(group_id, safe='')}"


def _the_one(found: list[Resource], name: str) -> str | None:
    """Return the id of the group that is meant: the only one, or the only one in the same letter case."""
    ids = {id_of(group): text_of(group.get("displayName")) for group in found}
    exact = [group_id for group_id, shown in ids.items() if shown == name]
    candidates = exact if len(exact) == 1 else list(ids)
    if len(candidates) > 1:
        raise CallFailed(
            Permanent(
                f"The application has more than one group called “{name}”.",
                "Rename one of them there, so that it is clear which one is meant.",
            )
        )
    return candidates[0] if candidates else None
