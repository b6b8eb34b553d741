"""The generic SCIM 2.0 connector (RFC 7643, RFC 7644), made for servers that keep only part of the standard.

Options: `creates_missing_groups` (false). What closing an account means is decided by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from governance.provisioning.connectors.base import (
    AccountsPage,
    AccountWanted,
    CallFailed,
    Closing,
    Delivered,
    EntitlementWanted,
    HeldAs,
    MembersPage,
    Outcome,
    Page,
    Permanent,
    Seen,
    Target,
    Transient,
)
from governance.provisioning.connectors.http import Http, time_budget
from governance.provisioning.connectors.scim2_accounts import Accounts, account_seen
from governance.provisioning.connectors.scim2_groups import Groups
from governance.provisioning.connectors.scim2_lists import Resource, id_of, pages, same, text_of, values_of
from governance.provisioning.connectors.scim2_values import AccountValues

Result = TypeVar("Result")


class Scim2Connector:
    """One SCIM 2.0 application. Safe for several threads; keeps its connections and, for a minute, ids of groups."""

    def __init__(self, target: Target) -> None:
        self._http = Http(target)
        self._accounts = Accounts(self._http)
        self._groups = Groups(self._http, creates_missing=bool(target.options.get("creates_missing_groups")))
        self._values = {held_as: AccountValues(self._http, held_as) for held_as in (HeldAs.ROLE, HeldAs.ENTITLEMENT)}

    def give(self, account: AccountWanted, entitlement: EntitlementWanted) -> Outcome:
        """Create or adopt the account, make it active and give it the entitlement."""
        return self._within_budget(lambda: self._give(account, entitlement))

    def take(self, account: AccountWanted, entitlement: EntitlementWanted, closing: Closing) -> Outcome:
        """Take the entitlement away and close the account as `closing` says. Never creates anything."""
        return self._within_budget(lambda: self._take(account, entitlement, closing))

    def read_back(self, account: AccountWanted, entitlement: EntitlementWanted) -> Seen | Transient | Permanent:
        """Ask the application what is there now."""
        return self._within_budget(lambda: self._see(account, entitlement))

    def probe(self) -> Transient | Permanent | None:
        """Return what stands in the way, or None: accounts and groups can be listed."""
        return self._within_budget(self._list_a_little)

    def read_all(self, entitlements: Sequence[EntitlementWanted]) -> Iterator[Page]:
        """Yield every account, then the members of each of `entitlements` that is a group. Raises CallFailed."""
        valued = [wanted for wanted in entitlements if wanted.held_as is not HeldAs.GROUP]
        for page in pages(self._http, "/Users"):
            holdings = [
                (id_of(user), wanted) for user in page.resources for wanted in valued if self._has_value(user, wanted)
            ]
            yield AccountsPage([account_seen(user) for user in page.resources], holdings, page.announced)
        yield from self._members([wanted for wanted in entitlements if wanted.held_as is HeldAs.GROUP])

    def _members(self, wanted: Sequence[EntitlementWanted]) -> Iterator[MembersPage]:
        names = self._groups.names() if wanted else {}
        for entitlement in wanted:
            ids = names.get(entitlement.target_ref.strip().casefold(), [])
            if len(ids) > 1:
                chosen = self._groups.find(entitlement.target_ref)
                ids = [chosen] if chosen is not None else []
            yield MembersPage(entitlement, self._groups.members_of(ids[0]) if ids else None)

    def _give(self, account: AccountWanted, entitlement: EntitlementWanted) -> Delivered:
        user, found = self._accounts.ensure(account)
        if entitlement.held_as is HeldAs.GROUP:
            self._groups.add(entitlement.target_ref, id_of(user))
        else:
            self._values[entitlement.held_as].add(user, entitlement.target_ref)
        return Delivered(id_of(user), found)

    def _take(self, account: AccountWanted, entitlement: EntitlementWanted, closing: Closing) -> Delivered:
        found = self._accounts.find(account)
        if found is None:
            return Delivered()
        user, how = found
        if entitlement.held_as is HeldAs.GROUP:
            self._groups.remove(entitlement.target_ref, id_of(user))
        else:
            self._values[entitlement.held_as].remove(user, entitlement.target_ref)
        self._accounts.close(user, closing)
        return Delivered(id_of(user), how)

    def _see(self, account: AccountWanted, entitlement: EntitlementWanted) -> Seen:
        found = self._accounts.find(account)
        if found is None:
            return Seen(is_held=False, account=None)
        user = found[0]
        if entitlement.held_as is HeldAs.GROUP:
            is_held = self._is_member(user, entitlement.target_ref)
        else:
            is_held = self._has_value(user, entitlement)
        return Seen(is_held, account_seen(user))

    def _is_member(self, user: Resource, name: str) -> bool:
        """Ask the group; when it shows no members at all, also what the account says about its groups."""
        group = self._groups.get(name)
        if group is None:
            return False
        if group.get("members"):
            return id_of(user) in values_of(group, "members")
        listed = user.get("groups")
        shown = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
        return id_of(group) in values_of(user, "groups") or any(
            same(text_of(item.get("display")), name) for item in shown
        )

    def _has_value(self, user: Resource, entitlement: EntitlementWanted) -> bool:
        return entitlement.target_ref in values_of(user, self._values[entitlement.held_as].attribute)

    def _list_a_little(self) -> None:
        for path in ("/Users", "/Groups"):
            next(pages(self._http, path, {"excludedAttributes": "members"}))

    def _within_budget(self, call: Callable[[], Result]) -> Result | Transient | Permanent:
        try:
            with time_budget(self._http.order_budget_seconds):
                return call()
        except CallFailed as failed:
            return failed.outcome
