"""What every connector speaks: plain values in; Delivered, Transient or Permanent out. No Django here.

A connector keeps no record of what it did. "Already so" is success, so every order may be sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Target:
    """Where an application is and how it wants to be spoken to. `repr` never shows the secret."""

    base_url: str
    secret: str = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    #: For one request. One order may need several; see `ORDER_BUDGET_FACTOR`.
    timeout_seconds: float = 20.0
    allows_loopback: bool = False


#: All requests of one order (or of one reading of it) together may take this many times `timeout_seconds`.
ORDER_BUDGET_FACTOR = 3


@dataclass(frozen=True, slots=True)
class AccountWanted:
    """The person an order is about, as the application should know them."""

    user_name: str
    #: Our permanent reference of the person, written into the account so that it is found again.
    external_id: str
    display_name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    #: The application's id of the account, when an earlier order or reading found it.
    known_id: str = ""
    #: Ids of accounts that belong to other people. Never acted on.
    taken_ids: frozenset[str] = frozenset()


class HeldAs(StrEnum):
    """Where an application keeps an entitlement: a group with members, or a value on the account."""

    GROUP = "group"
    ROLE = "role"
    ENTITLEMENT = "entitlement"


@dataclass(frozen=True, slots=True)
class EntitlementWanted:
    """The entitlement an order is about: the display name of a group, or the value of a role or entitlement."""

    held_as: HeldAs
    target_ref: str


class Found(StrEnum):
    """How an account was found."""

    KNOWN = "known"
    USER_NAME = "user_name"
    EXTERNAL_ID = "external_id"
    CREATED = "created"


@dataclass(frozen=True, slots=True)
class AccountSeen:
    """An account as the application showed it."""

    target_id: str
    user_name: str
    display_name: str = ""
    email: str = ""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """The application accepted the order, or it was so already. `account_id` is empty when there is no account."""

    account_id: str = ""
    found: Found | None = None


@dataclass(frozen=True, slots=True)
class Transient:
    """It did not work now and may work later."""

    cause: str
    retry_after_seconds: float | None = None
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Permanent:
    """It will not work until a person does `next_step`."""

    cause: str
    next_step: str
    #: True when no other order to this application can work either, for instance with a revoked token.
    concerns_everything: bool = False


Outcome = Delivered | Transient | Permanent


@dataclass(frozen=True, slots=True)
class Seen:
    """What the application showed when it was asked again. `account` is None when there is none."""

    is_held: bool
    account: AccountSeen | None


@dataclass(frozen=True, slots=True)
class AccountsPage:
    """One page of accounts. `announced` is how many the application says it has."""

    accounts: Sequence[AccountSeen]
    #: (account id, entitlement) for entitlements that are values on the account.
    holdings: Sequence[tuple[str, EntitlementWanted]]
    announced: int | None


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Who is in one group; None when the application has no such group."""

    entitlement: EntitlementWanted
    account_ids: frozenset[str] | None


Page = AccountsPage | MembersPage


@dataclass(frozen=True, slots=True)
class Closing:
    """What to do with an account that has nothing left."""

    deactivates: bool = False
    deletes: bool = False


class CallFailed(Exception):
    """A call did not lead to an answer that can be used. `outcome` says whether to ask again."""

    def __init__(self, outcome: Transient | Permanent) -> None:
        self.outcome = outcome
        super().__init__(outcome.cause)


class Connector(Protocol):
    """One application, reachable."""

    def give(self, account: AccountWanted, entitlement: EntitlementWanted) -> Outcome:
        """Create or adopt the account, make it active and give it the entitlement."""
        ...

    def take(self, account: AccountWanted, entitlement: EntitlementWanted, closing: Closing) -> Outcome:
        """Take the entitlement away and close the account as `closing` says. Never creates anything."""
        ...

    def read_back(self, account: AccountWanted, entitlement: EntitlementWanted) -> Seen | Transient | Permanent:
        """Ask the application what is there now."""
        ...

    def read_all(self, entitlements: Sequence[EntitlementWanted]) -> Iterator[Page]:
        """Yield every account, then the members of each of `entitlements` that is a group. Raises CallFailed."""
        ...

    def probe(self) -> Transient | Permanent | None:
        """Return what stands in the way, or None when the application answers as it should."""
        ...
