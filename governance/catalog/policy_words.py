"""What a policy says in plain words, line by line, and what differs between two of them. Pure but for names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from governance.catalog.models import AtEnd, Extending
from governance.catalog.policy_terms import PolicyTerms
from governance.catalog.stages import (
    GROUP,
    MANAGER,
    MANAGERS_MANAGER,
    OWNER,
    PEOPLE,
    SECURITY,
    Approvers,
    Stage,
)
from governance.core.durations import spoken
from governance.identity.models import Group, Person

#: Who is asked, in the middle of a sentence.
ASKED = {
    MANAGER: "the manager",
    MANAGERS_MANAGER: "the manager's manager",
    OWNER: "an owner of the application",
    SECURITY: "security",
}
_AT_END = {
    AtEnd.REMOVE: "It is taken away",
    AtEnd.ASK: "The owner is asked; unanswered, it is taken away after",
}
_EXTENDING = {
    Extending.FULL: "Everybody who decides a new request",
    Extending.ONE: "The first who decides a new request",
    Extending.AUTOMATIC: "Nobody, within the longest time from its start",
}
Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing a policy says. `code` holds a condition or a pattern that is shown as typed."""

    field: str
    label: str
    words: str
    code: str = ""

    @property
    def said(self) -> str:
        """Return all of it as one text."""
        return f"{self.words} {self.code}".strip()


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a draft says otherwise."""

    field: str
    label: str
    before: str
    after: str


def lines(terms: PolicyTerms, names: Names | None = None) -> tuple[Line, ...]:
    """Return everything a policy says, in the order in which somebody meets it."""
    known = names_of(terms) if names is None else names
    return (*_asking(terms), *_deciding(terms, known), *_running(terms), *_breaking_glass(terms, known))


def changes(before: PolicyTerms, after: PolicyTerms, names: Names | None = None) -> tuple[Change, ...]:
    """Return what differs, line by line."""
    known = {**names_of(before), **names_of(after)} if names is None else names
    return tuple(
        Change(old.field, old.label, old.said, new.said)
        for old, new in zip(lines(before, known), lines(after, known), strict=True)
        if old.said != new.said
    )


def names_of(*several: PolicyTerms) -> dict[str, str]:
    """Return the names of every group and person that terms ask, by reference. Two statements at most."""
    asked = [one for terms in several for one in _everybody_asked(terms)]
    groups = {one.group for one in asked if one.group}
    people = {ref for one in asked for ref in one.people}
    found: dict[str, str] = {}
    if groups:
        found |= {
            str(ref): name for ref, name in Group.objects.filter(ref__in=groups).values_list("ref", "display_name")
        }
    if people:
        named = Person.objects.filter(ref__in=people).values_list("ref", "display_name")
        found |= {str(ref): name for ref, name in named}
    return found


def asked_words(asked: Approvers, names: Names) -> str:
    """Return who is asked, in words."""
    if asked.kind == GROUP:
        return f"somebody of the group {names.get(asked.group, asked.group)}"
    if asked.kind == PEOPLE:
        return _listed([names.get(ref, ref) for ref in asked.people], "or")
    return ASKED.get(asked.kind, asked.kind)


def stage_sentence(stage: Stage, names: Names) -> str:
    """Return one stage in words: who, how many, and who after how long a silence."""
    said = asked_words(stage.asked, names)
    if stage.quorum > 1:
        said += f", {stage.quorum} of them"
    instead = asked_words(stage.fallback, names) if stage.fallback else "security"
    if stage.escalates_after is not None:
        return f"{said} (after {spoken(stage.escalates_after)} of silence, or when there is nobody: {instead})"
    return f"{said} (when there is nobody: {instead})" if stage.fallback else said


def _everybody_asked(terms: PolicyTerms) -> Iterator[Approvers]:
    yield terms.break_glass_reviewer
    for stage in terms.route:
        yield stage.asked
        if stage.fallback is not None:
            yield stage.fallback


def _asking(terms: PolicyTerms) -> Iterator[Line]:
    yield _whom("may_request", "Who may ask", terms.may_request, "Everybody")
    yield _whom("auto_deny", "Declined at once", terms.auto_deny, "Nobody")
    offered = f"{spoken(terms.default_duration)} offered at first"
    yield Line("default_duration", "How long, usually", offered)
    yield Line("max_duration", "How long, at most", spoken(terms.max_duration))
    yield Line("allows_open_end", "Without an end", "May be asked for" if terms.allows_open_end else "Never")
    yield Line("purposes", "Purposes", ", ".join(terms.purposes) or "Not asked for")
    yield Line("requires_ticket", "Ticket", "Needed" if terms.requires_ticket else "Not needed")
    yield Line("ticket_pattern", "Ticket looks like", "" if terms.ticket_pattern else "Anything", terms.ticket_pattern)


def _deciding(terms: PolicyTerms, names: Names) -> Iterator[Line]:
    said = [stage_sentence(stage, names) for stage in terms.route]
    yield Line(
        "stages", "Who decides", _first_upper(", then ".join(said)) if said else "Nobody: policy says yes at once"
    )
    yield _whom("auto_approve", "Approved at once", terms.auto_approve, "Nobody")
    up_to = spoken(terms.auto_approve_up_to) if terms.auto_approve_up_to else "Nothing"
    yield Line("auto_approve_up_to", "Approved at once, up to", up_to)
    yield _from("never_automatic_from", "A person always looks, from risk", terms.never_automatic_from)
    yield _from("needs_security_from", "Security decides too, from risk", terms.needs_security_from)
    yield _from("refused_from", "Refused, from risk", terms.refused_from)
    yield Line("may_shorten", "Whoever decides", "May choose a shorter time" if terms.may_shorten else "Says yes or no")
    yield Line("lapses_after", "Lapses unanswered after", spoken(terms.lapses_after))


def _running(terms: PolicyTerms) -> Iterator[Line]:
    yield Line("extending", "Who decides a longer time", _EXTENDING.get(Extending(terms.extending), terms.extending))
    kept = f" {spoken(terms.kept_for)}" if terms.at_end == AtEnd.ASK else ""
    yield Line("at_end", "When the time is up", f"{_AT_END.get(AtEnd(terms.at_end), terms.at_end)}{kept}")
    warned = _listed([spoken(span) for span in sorted(terms.warns_before, reverse=True)], "and")
    yield Line("warns_before", "Warned before the end", warned or "Never")


def _breaking_glass(terms: PolicyTerms, names: Names) -> Iterator[Line]:
    span: timedelta | None = terms.break_glass_up_to
    yield Line("break_glass_up_to", "Break-glass", f"Up to {spoken(span)}" if span is not None else "None")
    yield _whom("may_break_glass", "Who may break glass", terms.may_break_glass, "Everybody" if span else "Nobody")
    reviewer = _first_upper(asked_words(terms.break_glass_reviewer, names))
    yield Line("break_glass_reviewer", "Who reviews break-glass", reviewer)


def _whom(field: str, label: str, condition: str, empty: str) -> Line:
    return Line(field, label, "" if condition.strip() else empty, condition.strip())


def _from(field: str, label: str, points: int | None) -> Line:
    return Line(field, label, "Never" if points is None else f"{points} of 100")


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: list[str], word: str) -> str:
    return f"{', '.join(names[:-1])} {word} {names[-1]}" if len(names) > 1 else "".join(names)
