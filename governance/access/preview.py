"""What a draft of a policy would change, before anybody proposes it: counted over everybody, a few named.

Everybody is looked at as asking for themselves. People are counted by SQL in kinds (`access.preview_deciders`), so that
the answer costs about the same whatever the size of the company.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from governance.access.approvers import Deciders, deciders
from governance.access.models import AccessRequest, RequestState
from governance.access.preview_deciders import (
    KEPT,
    SOME_MANAGER,
    SOME_UPPER,
    Asked,
    Kind,
    Population,
    lacking,
    route_taken,
)
from governance.catalog.models import ApplicationOwner, Entitlement
from governance.catalog.policy_terms import PolicyTerms, people_asked
from governance.catalog.stages import BY_SECURITY, GROUP, PEOPLE, Approvers, Stage
from governance.core.errors import Reason, Refused
from governance.core.statements import rows
from governance.identity.models import Person, Status
from governance.identity.queries import security_admins
from governance.identity.selection import selecting

#: So many are named where many are counted.
NAMED = 20
#: So many people are in memory at once when everybody is listed.
_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Counted:
    """How many people, and the first of them by name."""

    count: int
    people: tuple[Person, ...]

    @property
    def unnamed(self) -> int:
        """Return how many are counted and not named."""
        return self.count - len(self.people)


@dataclass(frozen=True, slots=True)
class Lacking:
    """A person and a role that somebody could ask for and nobody could decide about, and at which stage (from 1)."""

    person: Person
    role: str
    stage: int

    @property
    def sentence(self) -> str:
        """Return it in words."""
        return f"Nobody could decide at stage {self.stage} when {self.person.display_name} asks for {self.role}."


@dataclass(frozen=True, slots=True)
class Redirected:
    """Somebody whose requests others would decide than now."""

    person: Person
    role: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a draft would change."""

    roles: int
    may_ask: Counted
    no_longer: Counted
    declined_at_once: Counted
    approved_at_once: Counted
    #: Pairs of person and role that nobody could decide about; these refuse the draft.
    lacking_count: int
    lacking: tuple[Lacking, ...]
    redirected_count: int
    redirected: tuple[Redirected, ...]
    waiting_count: int
    waiting: tuple[AccessRequest, ...]

    @property
    def is_refused(self) -> bool:
        """Tell whether the draft cannot be proposed."""
        return self.lacking_count > 0

    @property
    def affects_somebody(self) -> bool:
        """Tell whether `everybody` has anybody to list."""
        asking = (self.may_ask, self.no_longer, self.declined_at_once, self.approved_at_once)
        return any(one.count for one in asking) or self.lacking_count > 0 or self.redirected_count > 0


@dataclass(frozen=True, slots=True)
class Affected:
    """Somebody whom a draft affects, in one way: a field of `Preview`, with a role where it is about one."""

    change: str
    person: Person
    role: str = ""
    stage: int | None = None
    before: str = ""
    after: str = ""


def preview(draft: PolicyTerms, before: PolicyTerms | None, slug: str) -> Preview:
    """Return what a draft for the policy `slug` would change against the terms in force; none for a new policy."""
    roles = roles_under(slug)
    ways = _Ways(_asked([draft, *([before] if before else [])], _applications(roles)))
    lacking_count, without = _without_decider(draft, roles, ways)
    redirected_count, redirected = _redirected(draft, before, roles, ways)
    waiting = AccessRequest.objects.filter(state=RequestState.PENDING, entitlement__policy__slug=slug)
    counted = {change: _new(*each) for change, each in _selections(draft, before).items()}
    return Preview(
        roles=len(roles),
        may_ask=counted["may_ask"],
        no_longer=counted["no_longer"],
        declined_at_once=counted["declined_at_once"],
        approved_at_once=counted["approved_at_once"],
        lacking_count=lacking_count,
        lacking=tuple(without),
        redirected_count=redirected_count,
        redirected=tuple(redirected),
        waiting_count=waiting.count(),
        waiting=tuple(
            waiting.select_related("person", "entitlement__application", "policy_version").order_by("id")[:NAMED]
        ),
    )


def everybody(draft: PolicyTerms, before: PolicyTerms | None, slug: str) -> Iterator[Affected]:
    """Yield everybody whom `preview` counts, by name within each way; requests that wait are not affected.

    A person stands once for each role that nobody could decide about, and once with a role for instance when others
    decide.
    """
    for change, (after, was) in _selections(draft, before).items():
        for person, _ in _loaded(_selected(after, was, None), Person.objects.all()):
            yield Affected(change, person)
    roles = roles_under(slug)
    ways = _Ways(_asked([draft, *([before] if before else [])], _applications(roles)))
    for one in _without_decider(draft, roles, ways, None)[1]:
        yield Affected("lacking", one.person, one.role, one.stage)
    for each in _redirected(draft, before, roles, ways, None)[1]:
        yield Affected("redirected", each.person, each.role, None, each.before, each.after)


def refuse_undecidable(draft: PolicyTerms, slug: str) -> None:
    """Refuse a draft under which a request could be made that nobody could decide (promise 7).

    Raises Refused naming the pairs of person and role, the first of them where there are many.
    """
    advice = "Say at the stage who decides when there is nobody, for instance security."
    refuse_pairs([undecidable(draft, roles_under(slug))], advice, "stages")


#: How many pairs of person and role nobody could decide about, and the first of them.
Pairs = tuple[int, tuple[Lacking, ...]]


def undecidable(terms: PolicyTerms, roles: Sequence[Entitlement]) -> Pairs:
    """Return the pairs that nobody could decide about when these roles are under these terms."""
    count, found = _without_decider(terms, roles, _Ways(_asked([terms], _applications(roles))))
    return count, tuple(found)


def newly_undecidable(
    terms: PolicyTerms, roles: Sequence[Entitlement], owners_before: Mapping[int, frozenset[int]]
) -> Pairs:
    """Return the pairs that nobody could decide about with the owners as they are, and somebody could before.

    `owners_before` has the people who owned an application before, active ones only, by primary key.
    """
    asked = _asked([terms], _applications(roles))
    before = replace(asked, owners={**asked.owners, **owners_before})
    either = {key: asked.owners.get(key, frozenset()) | before.owners.get(key, frozenset()) for key in before.owners}
    route = _whole_route(terms)

    def stage(kind: Kind, application_id: int) -> int | None:
        found = lacking(route, kind, application_id, asked)
        is_new = found is not None and lacking(route, kind, application_id, before) is None
        return found if is_new else None

    count, pairs = _pairs(stage, terms, roles, _Ways(replace(asked, owners=either)))
    return count, tuple(pairs)


def refuse_pairs(several: Sequence[Pairs], advice: str, field_name: str = "") -> None:
    """Refuse what leaves pairs without anybody who could decide, by name. Raises Refused when there are any."""
    count, found = sum(number for number, _ in several), [one for _, named in several for one in named][:NAMED]
    if not count:
        return
    sentences = [advice, *(one.sentence for one in found)]
    if count > len(found):
        sentences.append(f"And {count - len(found):,} more such pairs.")
    raise Refused([Reason("no_approver", sentence, field_name) for sentence in sentences])


def roles_under(slug: str) -> list[Entitlement]:
    """Return the roles that can be asked for under a policy, by application and name."""
    return list(live_roles().filter(policy__slug=slug))


def live_roles() -> QuerySet[Entitlement]:
    """Return the roles that can be asked for, by application and name."""
    live = Entitlement.objects.filter(retired_at=None, application__retired_at=None, is_requestable=True)
    return live.select_related("application").order_by("application__name", "name", "id")


@dataclass(frozen=True, slots=True)
class _Ways:
    """Whom some drafts ask, for counting people in kinds."""

    asked: Asked
    _known: dict[tuple[str, str], dict[Kind, int]] = field(default_factory=dict)

    def people(self, terms: PolicyTerms) -> dict[Kind, int]:
        """Return who may ask under these terms, counted by kind. One statement, once."""
        asking = (terms.may_request, terms.auto_deny)
        if asking not in self._known:
            self._known[asking] = self._counted(terms)
        return self._known[asking]

    def _counted(self, terms: PolicyTerms) -> dict[Kind, int]:
        where, params = _asks(terms)
        found = rows(_KINDS.format(where=where), [*([sorted(self.asked.everybody)] * 3), *params])
        return {Kind(own, manager, upper): count for own, manager, upper, count in found}


_FIND = """
SELECT identity_person.id, identity_person.display_name,
    CASE WHEN identity_person.id = ANY(%s::bigint[]) THEN identity_person.id ELSE 0 END AS own,
    CASE WHEN boss.status IS DISTINCT FROM 'active' OR boss.id = identity_person.id THEN 0
         WHEN boss.id = ANY(%s::bigint[]) THEN boss.id ELSE -1 END AS manager,
    CASE WHEN upper_boss.status IS DISTINCT FROM 'active' OR upper_boss.id = identity_person.id THEN 0
         WHEN upper_boss.id = ANY(%s::bigint[]) THEN upper_boss.id
         WHEN upper_boss.id = boss.id THEN -1 ELSE -2 END AS upper
FROM identity_person
LEFT JOIN identity_person AS boss ON boss.id = identity_person.manager_id
LEFT JOIN identity_person AS upper_boss ON upper_boss.id = boss.manager_id
WHERE identity_person.status = 'active' AND {where}"""
#: The constants of `_FIND` are those of `access.preview_deciders`.
assert (SOME_MANAGER, SOME_UPPER) == (-1, -2)
_KINDS = f"SELECT own, manager, upper, count(*) FROM ({_FIND}) AS found GROUP BY own, manager, upper"  # noqa: S608
#: Texts are looked up in a list by their hash; a join would be planned for a handful of kinds.
_OF_KINDS = f"""
SELECT id, own, manager, upper FROM ({_FIND}) AS found
WHERE own || ',' || manager || ',' || upper = ANY(%s::text[])
ORDER BY display_name, id LIMIT %s"""  # noqa: S608 - made of constants; values are parameters


def _without_decider(
    draft: PolicyTerms, roles: Sequence[Entitlement], ways: _Ways, named: int | None = NAMED
) -> tuple[int, Iterator[Lacking]]:
    """Return how many pairs nobody could decide about, and the first of them; without `named` all of them."""
    route = _whole_route(draft)

    def stage(kind: Kind, application_id: int) -> int | None:
        return lacking(route, kind, application_id, ways.asked)

    return _pairs(stage, draft, roles, ways, named)


def _pairs(
    stage: Callable[[Kind, int], int | None],
    draft: PolicyTerms,
    roles: Sequence[Entitlement],
    ways: _Ways,
    named: int | None = NAMED,
) -> tuple[int, Iterator[Lacking]]:
    """Return the pairs for which `stage` names one, from 0, that finds nobody."""
    if not _whole_route(draft) or not roles:
        return 0, iter(())
    each = Counter(role.application_id for role in roles)
    hits = Population(ways.people(draft), ways.asked, each).ask(stage, _kept(named))
    pairs = (
        Lacking(person, f"{role.name} in {role.application.name}", hits.by_kind[kind][role.application_id] + 1)
        for person, kind in _of_kinds(draft, hits.by_kind, ways, named)
        for role in roles
        if role.application_id in hits.by_kind[kind]
    )
    count = sum(people * each[application_id] for application_id, people in hits.pairs.items())
    return count, islice(pairs, named)


def _kept(named: int | None) -> int | None:
    return None if named is None else KEPT


def _redirected(
    draft: PolicyTerms,
    before: PolicyTerms | None,
    roles: Sequence[Entitlement],
    ways: _Ways,
    named: int | None = NAMED,
) -> tuple[int, Iterator[Redirected]]:
    """Return how many people who may ask under the draft would meet other approvers, and the first of them."""
    if before is None or before.route == draft.route or not roles:
        return 0, iter(())
    applications = {role.application_id: role for role in reversed(roles)}
    was, will = before.route, draft.route

    def differs(kind: Kind, application_id: int) -> bool | None:
        same = route_taken(will, kind, application_id, ways.asked) == route_taken(was, kind, application_id, ways.asked)
        return None if same else True

    hits = Population(ways.people(draft), ways.asked, applications).ask(differs)
    known = deciders(list(applications))
    people = _of_kinds(draft, hits.by_kind, ways, named)
    told = (_told(person, applications[min(hits.by_kind[kind])], draft, before, known) for person, kind in people)
    return hits.people, told


def _told(person: Person, role: Entitlement, draft: PolicyTerms, before: PolicyTerms, known: Deciders) -> Redirected:
    def said(route: Sequence[Stage]) -> str:
        stages = [
            known.eligible(stage, person=person, application_id=role.application_id, excluded_ids=[person.pk])
            for stage in route
        ]
        return ", then ".join(_names(one) for one in stages) or "Nobody: at once"

    return Redirected(person, f"{role.name} in {role.application.name}", said(before.route), said(draft.route))


def _names(people: Sequence[Person]) -> str:
    if len(people) <= 2:
        return " or ".join(one.display_name for one in people) or "nobody"
    return f"{people[0].display_name} or {len(people) - 1} others"


def _of_kinds(
    draft: PolicyTerms, kinds: Collection[Kind], ways: _Ways, named: int | None
) -> Iterator[tuple[Person, Kind]]:
    """Yield the first people of these kinds by name. Two statements at most; for everybody one for each of many."""
    if not kinds:
        return
    where, params = _asks(draft)
    special = sorted(ways.asked.everybody)
    wanted = [f"{kind.own},{kind.manager},{kind.upper}" for kind in kinds]
    found = rows(_OF_KINDS.format(where=where), [special, special, special, *params, wanted, named])
    for person, kind in _loaded(found, Person.objects.select_related("manager__manager")):
        yield person, Kind(*kind)


def _loaded(found: Sequence[tuple[Any, ...]], known: QuerySet[Person]) -> Iterator[tuple[Person, tuple[Any, ...]]]:
    """Yield the person whose key is the first of each line, with the rest of the line. Not all of them at once."""
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        people = known.in_bulk([key for key, *_ in some])
        for key, *rest in some:
            yield people[key], tuple(rest)


def _whole_route(draft: PolicyTerms) -> tuple[Stage, ...]:
    """Return the stages with the one that risk may add."""
    adds = (draft.needs_security_from is not None and all(one.kind != BY_SECURITY.kind for one in draft.route)) or (
        not draft.route and draft.never_automatic_from is not None
    )
    return (*draft.route, Stage(BY_SECURITY)) if adds else draft.route


def _applications(roles: Iterable[Entitlement]) -> set[int]:
    return {role.application_id for role in roles}


def _asked(drafts: Iterable[PolicyTerms], application_ids: Collection[int]) -> Asked:
    owners: dict[int, set[int]] = {}
    ownerships = ApplicationOwner.objects.filter(application_id__in=application_ids, person__status=Status.ACTIVE)
    for application_id, person_id in ownerships.values_list("application_id", "person_id"):
        owners.setdefault(application_id, set()).add(person_id)
    named = {
        one: frozenset(person.pk for person in people_asked(one))
        for draft in drafts
        for one in _everybody(draft)
        if one.kind in (GROUP, PEOPLE)
    }
    return Asked(
        security=frozenset(security_admins().values_list("pk", flat=True)),
        owners={key: frozenset(found) for key, found in owners.items()},
        named=named,
    )


def _everybody(draft: PolicyTerms) -> Iterable[Approvers]:
    for stage in draft.route:
        yield stage.asked
        if stage.fallback is not None:
            yield stage.fallback


Where = tuple[str, list[object]]


def _asks(terms: PolicyTerms | None) -> Where:
    """Return who may ask and is not declined at once, as SQL; nobody without terms."""
    if terms is None:
        return "false", []
    may, params = _selects(terms.may_request)
    if not terms.auto_deny.strip():
        return may, params
    denied, more = _selects(terms.auto_deny)
    return f"({may} AND NOT {denied})", [*params, *more]


def _holds(condition: str) -> Where:
    """Return whom a condition selects, as SQL; nobody for an empty one."""
    return _selects(condition) if condition.strip() else ("false", [])


def _selects(condition: str) -> Where:
    sql, params = selecting(condition)
    return f"identity_person.id IN ({sql})", list(params)


def _selections(draft: PolicyTerms, before: PolicyTerms | None) -> dict[str, tuple[Where, Where]]:
    """Return whom a draft selects and whom the terms in force do, for each way in which that matters."""
    old = before or PolicyTerms(stages=())
    return {
        "may_ask": (_asks(draft), _asks(before)),
        "no_longer": (_asks(before), _asks(draft)),
        "declined_at_once": (_holds(draft.auto_deny), _holds(old.auto_deny)),
        "approved_at_once": (_holds(draft.auto_approve), _holds(old.auto_approve)),
    }


def _new(after: Where, before: Where) -> Counted:
    """Return who is selected now and was not before. Two statements at most."""
    found = _selected(after, before, NAMED)
    people = tuple(person for person, _ in _loaded(found, Person.objects.all()))
    return Counted(found[0][1] if found else 0, people)


def _selected(after: Where, before: Where, named: int | None) -> Sequence[tuple[Any, ...]]:
    """Return key and count of who is selected now and was not before."""
    if after == before or after[0] == "false":
        return []
    where, params = f"{after[0]} AND NOT {before[0]}", [*after[1], *before[1]]
    return rows(_NEW.format(where=where), [*params, named])


_NEW = """
SELECT id, count(*) OVER () FROM identity_person
WHERE identity_person.status = 'active' AND {where}
ORDER BY display_name, id LIMIT %s"""
