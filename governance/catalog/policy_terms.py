"""What a version of an access policy says, as a value; what is wrong with it, and how it is stored and read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from governance.catalog.models import AccessPolicyVersion, ApproverKind, AtEnd, Extending
from governance.catalog.stages import (
    BY_SECURITY,
    GROUP,
    MANAGER,
    MANAGERS_MANAGER,
    PEOPLE,
    SECURITY,
    Approvers,
    Stage,
    approvers_of,
    as_stages,
    route_of,
)
from governance.core.errors import Invalid
from governance.identity.models import Group, Membership, Person, Status
from governance.identity.queries import security_admins
from governance.identity.selection import check_condition

CONDITIONS = ("may_request", "auto_approve", "auto_deny", "may_break_glass")
THRESHOLDS = ("never_automatic_from", "needs_security_from", "refused_from")
_SPANS = ("default_duration", "max_duration", "auto_approve_up_to", "lapses_after", "kept_for", "break_glass_up_to")
MOST_STAGES, MOST_PURPOSES, MOST_WARNINGS = 6, 20, 5
LONGEST = timedelta(days=3660)
#: What may stand so often in a pattern for tickets, so that no ticket takes long to compare.
_QUANTIFIERS = 3


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a version of an access policy says; the fields are those of `AccessPolicyVersion`.

    Conditions are SCIM filter expressions. `may_request` and `may_break_glass` empty let everybody; `auto_approve` and
    `auto_deny` empty decide about nobody by themselves. A stage that is a plain kind wants one answer of that kind.
    """

    stages: tuple[str | Stage, ...]
    may_request: str = ""
    default_duration: timedelta = timedelta(hours=4)
    max_duration: timedelta = timedelta(days=30)
    allows_open_end: bool = False
    purposes: tuple[str, ...] = (
        "Fix an incident",
        "Work on a ticket",
        "Build a report",
        "Answer an audit",
        "Something else",
    )
    requires_ticket: bool = False
    auto_approve: str = ""
    auto_approve_up_to: timedelta = timedelta(0)
    lapses_after: timedelta = timedelta(days=14)
    ticket_pattern: str = ""
    auto_deny: str = ""
    never_automatic_from: int | None = None
    needs_security_from: int | None = None
    refused_from: int | None = None
    may_shorten: bool = True
    extending: str = Extending.FULL
    at_end: str = AtEnd.REMOVE
    kept_for: timedelta = timedelta(0)
    warns_before: tuple[timedelta, ...] = (timedelta(days=1), timedelta(hours=1))
    break_glass_up_to: timedelta | None = None
    may_break_glass: str = ""
    break_glass_reviewer: Approvers = BY_SECURITY

    @property
    def route(self) -> tuple[Stage, ...]:
        """Return who decides, in sequence."""
        return as_stages(self.stages)

    def columns(self) -> dict[str, Any]:
        """Return what a version is stored with."""
        said = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "warns_before"}
        return said | {
            **{name: said[name].strip() for name in CONDITIONS},
            "stages": [stage.as_json() for stage in self.route],
            "purposes": list(self.purposes),
            "warns_before_seconds": [int(span.total_seconds()) for span in self.warns_before],
            "break_glass_reviewer": self.break_glass_reviewer.as_json(),
        }

    def as_json(self) -> dict[str, Any]:
        """Return what a proposal is stored with: lengths are seconds."""
        said = self.columns()
        return said | {name: _seconds(said[name]) for name in _SPANS}


def terms_of(version: AccessPolicyVersion) -> PolicyTerms:
    """Return what a version says."""
    names = {field.name for field in fields(PolicyTerms)} - {
        "stages",
        "purposes",
        "warns_before",
        "break_glass_reviewer",
    }
    return PolicyTerms(
        stages=version.route,
        purposes=tuple(version.purposes),
        warns_before=_spans(version.warns_before_seconds),
        break_glass_reviewer=approvers_of(version.break_glass_reviewer),
        **{name: getattr(version, name) for name in names},
    )


def terms_from_json(stored: Mapping[str, Any]) -> PolicyTerms:
    """Return what a proposal says, from what is stored."""
    said = dict(stored)
    warns_before = _spans(said.pop("warns_before_seconds"))
    return PolicyTerms(
        **said
        | {name: None if said[name] is None else timedelta(seconds=said[name]) for name in _SPANS}
        | {
            "stages": route_of(said["stages"]),
            "purposes": tuple(said["purposes"]),
            "warns_before": warns_before,
            "break_glass_reviewer": approvers_of(said["break_glass_reviewer"]),
        }
    )


def check_terms(name: str, terms: PolicyTerms) -> None:
    """Refuse terms that cannot be a policy. Raises Invalid naming each wrong field with all that is wrong there."""
    found: dict[str, list[str]] = {}
    for field, sentence in (*_about_text(name, terms), *_about_time(terms), *_about_risk(terms), *_about_stages(terms)):
        found.setdefault(field, []).append(sentence)
    for field in CONDITIONS:
        try:
            check_condition(getattr(terms, field), field=field)
        except Invalid as error:
            found.setdefault(field, []).extend(error.fields[field])
    if found:
        raise Invalid(found)


def _about_text(name: str, terms: PolicyTerms) -> Iterator[tuple[str, str]]:
    if not name.strip():
        yield "name", "This is needed."
    if len(name) > 120:
        yield "name", f"At most 120 characters; this has {len(name)}."
    if len(terms.purposes) > MOST_PURPOSES:
        yield "purposes", f"At most {MOST_PURPOSES} purposes; these are {len(terms.purposes)}."
    if any(not one.strip() or len(one) > 80 for one in terms.purposes):
        yield "purposes", "Each purpose needs 1 to 80 characters."
    yield from (("ticket_pattern", sentence) for sentence in _about_pattern(terms.ticket_pattern))


def _about_pattern(pattern: str) -> Iterator[str]:
    if len(pattern) > 200:
        yield f"At most 200 characters; this has {len(pattern)}."
    try:
        re.compile(pattern)
    except re.error as error:
        yield f"This pattern cannot be read: {error}."
        return
    bare = re.sub(r"\\.", "x", pattern)
    outside = re.sub(r"\[[^\]]*\]", "x", bare).replace("(?:", "(")
    if "(?" in outside or re.search(r"\)[*+?{]", outside) or len(re.findall(r"[*+?{]", outside)) > _QUANTIFIERS:
        yield f"Keep the pattern simple: at most {_QUANTIFIERS} repetitions, none of a group."


def _about_time(terms: PolicyTerms) -> Iterator[tuple[str, str]]:
    zero = timedelta(0)
    if not zero < terms.default_duration <= terms.max_duration:
        yield "default_duration", "Must lie within the longest."
    if not zero < terms.max_duration <= LONGEST:
        yield "max_duration", "Must be longer than nothing and at most ten years."
    if not zero <= terms.auto_approve_up_to <= terms.max_duration:
        yield "auto_approve_up_to", "Must lie within the longest."
    if not zero < terms.lapses_after <= LONGEST:
        yield "lapses_after", "Must be longer than nothing and at most ten years."
    if terms.extending not in Extending.values:
        yield "extending", f"Choose one of {', '.join(Extending.values)}."
    yield from _about_end(terms)
    if terms.break_glass_up_to is not None and not zero < terms.break_glass_up_to <= timedelta(days=1):
        yield "break_glass_up_to", "Break-glass is short: longer than nothing and at most one day."


def _about_end(terms: PolicyTerms) -> Iterator[tuple[str, str]]:
    zero = timedelta(0)
    if terms.at_end not in AtEnd.values:
        yield "at_end", f"Choose one of {', '.join(AtEnd.values)}."
    if terms.at_end == AtEnd.ASK and not zero < terms.kept_for <= timedelta(days=90):
        yield "kept_for", "Say for how long it is kept while the owner is asked, at most 90 days."
    if terms.at_end != AtEnd.ASK and terms.kept_for != zero:
        yield "kept_for", "Only where the owner is asked at the end."
    if len(terms.warns_before) > MOST_WARNINGS:
        yield "warns_before", f"At most {MOST_WARNINGS} warnings; these are {len(terms.warns_before)}."
    if any(not zero < span <= timedelta(days=365) for span in terms.warns_before):
        yield "warns_before", "Each warning comes before the end, at most a year."


def _about_risk(terms: PolicyTerms) -> Iterator[tuple[str, str]]:
    for field in THRESHOLDS:
        points = getattr(terms, field)
        if points is not None and not 1 <= points <= 100:
            yield field, "Points of risk go from 1 to 100."
    if terms.auto_approve_up_to and not terms.auto_approve.strip():
        yield "auto_approve", "Say whom policy approves at once; everybody active: active eq true."


def _about_stages(terms: PolicyTerms) -> Iterator[tuple[str, str]]:
    if len(terms.stages) > MOST_STAGES:
        yield "stages", f"At most {MOST_STAGES} stages; these are {len(terms.stages)}."
    for number, stage in enumerate(terms.route, 1):
        yield from (("stages", f"Stage {number}: {said}") for said in _about_stage(stage))
    yield from (("break_glass_reviewer", said) for said in _about_approvers(terms.break_glass_reviewer))


def _about_stage(stage: Stage) -> Iterator[str]:
    if unreadable := [*_about_approvers(stage.asked)]:
        yield from unreadable
        return
    yield from _about_quorum(stage)
    if stage.escalates_after is not None and not timedelta(minutes=1) <= stage.escalates_after <= timedelta(days=90):
        yield "silence lasts from one minute to 90 days before somebody else is asked."
    if stage.fallback is not None:
        yield from (f"instead, {said}" for said in _about_approvers(stage.fallback))
        if stage.fallback == stage.asked:
            yield "whoever is asked instead has to be somebody else."


def _about_quorum(stage: Stage) -> Iterator[str]:
    if not 1 <= stage.quorum <= 9:
        yield "from one to nine people say yes."
    elif stage.kind in (MANAGER, MANAGERS_MANAGER) and stage.quorum > 1:
        yield "there is one manager, so one has to be enough."
    elif stage.kind in (GROUP, PEOPLE, SECURITY) and stage.quorum > 1:
        found = len(people_asked(stage.asked))
        if found < stage.quorum:
            yield f"{stage.quorum} have to say yes, and only {found} could."


def _about_approvers(asked: Approvers) -> Iterator[str]:
    """Yield what is wrong with who is asked: every group and person that does not exist or left, by name."""
    if asked.kind not in ApproverKind.values:
        yield f"Unknown: {asked.kind}. Choose from {', '.join(ApproverKind.values)}."
    elif asked.kind == GROUP:
        yield from _about_group(asked.group)
    elif asked.kind == PEOPLE:
        yield from _about_people(asked.people)


def _about_group(ref: str) -> Iterator[str]:
    group = Group.objects.filter(ref=ref).first() if _is_ref(ref) else None
    if not ref:
        yield "say which group is asked."
    elif group is None:
        yield f"there is no group {ref}."
    elif not group.is_listed:
        yield f"the group {group.display_name} does not exist any more."
    elif not people_asked(Approvers(GROUP, group=ref)):
        yield f"nobody active is in the group {group.display_name}."


def _about_people(refs: Iterable[str]) -> Iterator[str]:
    wanted = list(refs)
    known = {str(one.ref): one for one in Person.objects.filter(ref__in=[ref for ref in wanted if _is_ref(ref)])}
    if not wanted:
        yield "name at least one person."
    for ref in wanted:
        if ref not in known:
            yield f"there is no person {ref}."
        elif not known[ref].is_active:
            yield f"{known[ref].display_name} left and cannot decide."


def people_asked(asked: Approvers) -> list[Person]:
    """Return the active people of a group, of a list or of security, whoever asks."""
    if asked.kind == SECURITY:
        return list(security_admins())
    people = Person.objects.filter(status=Status.ACTIVE)
    if asked.kind == GROUP:
        members = Membership.objects.filter(group__ref=asked.group, group__is_listed=True).values("person_id")
        return list(people.filter(pk__in=members).order_by("display_name", "pk"))
    return list(people.filter(ref__in=asked.people).order_by("display_name", "pk"))


def _is_ref(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", text))


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


def _spans(seconds: Iterable[float]) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=one) for one in seconds)
