"""Whom an account without a person may belong to: a suggestion with its reason, never a link by itself."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Q

from governance.identity.models import Person, Status
from governance.provisioning.models import Account, AccountKind


@dataclass(frozen=True, slots=True)
class Match:
    """A person an account may belong to, and what speaks for it."""

    person: Person
    reason: str


def matches_for(accounts: Sequence[Account]) -> dict[int, Match]:
    """Return the best suggestion for each account that has one, by primary key. One statement.

    An exact address says most, then the same name, then the name before the @. Somebody who left may be suggested:
    their account then has to go. Two people who match equally are no suggestion.
    """
    wanted = [one for one in accounts if one.person_id is None and one.kind == AccountKind.HUMAN]
    if not wanted:
        return {}
    people = list(_candidates(wanted))
    by_address, by_name, by_local = _indexed(people)
    found = {}
    for account in wanted:
        match = (
            _only(by_address, _addresses(account), "Same address")
            or _only(by_name, [plain(account.display_name)], "Same name")
            or _only(by_local, [plain(_local(one)) for one in _addresses(account)], "Same name before the @")
        )
        if match:
            found[account.pk] = match
    return found


def plain(text: str) -> str:
    """Return the text for comparing names: lower case, without accents and punctuation."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[^a-z0-9]+", " ", "".join(sign for sign in bare if not unicodedata.combining(sign))).strip()


def _candidates(accounts: Sequence[Account]) -> Iterable[Person]:
    addresses = [one for account in accounts for one in _addresses(account)]
    names = [account.display_name for account in accounts if account.display_name]
    named = Q()
    for name in names:
        named |= Q(display_name__iexact=name)
    for address in addresses:
        local = _local(address)
        if local:
            named |= Q(user_name_key__startswith=f"{local}@") | Q(email__istartswith=f"{local}@")
    return Person.objects.filter(named | Q(user_name_key__in=addresses)).order_by("status", "pk")[:500]


Index = dict[str, list[Person]]


def _indexed(people: Iterable[Person]) -> tuple[Index, Index, Index]:
    by_address: Index = defaultdict(list)
    by_name: Index = defaultdict(list)
    by_local: Index = defaultdict(list)
    for person in people:
        for address in {person.user_name_key, person.email.lower()} - {""}:
            by_address[address].append(person)
        for local in {plain(_local(person.user_name_key)), plain(_local(person.email))} - {""}:
            by_local[local].append(person)
        by_name[plain(person.display_name)].append(person)
    return by_address, by_name, by_local


def _only(index: Index, keys: Iterable[str], reason: str) -> Match | None:
    found = {person.pk: person for key in keys if key for person in index.get(key, [])}
    if len(found) != 1:
        return None
    (person,) = found.values()
    return Match(person, reason if person.status == Status.ACTIVE else f"{reason}, left")


def _addresses(account: Account) -> list[str]:
    return [one for one in {account.user_name.lower(), account.email.lower()} if one]


def _local(address: str) -> str:
    return address.lower().partition("@")[0]
