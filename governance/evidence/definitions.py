"""The writers of definitions: what bundles of a framework shall hold, version by version."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from governance.core.actor import Actor, ActorKind
from governance.core.clock import now
from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.evidence import events
from governance.evidence.actions import AUDITING, checked_applications
from governance.evidence.controls import framework_named
from governance.evidence.models import LONGEST_NAME, Definition, DefinitionVersion
from governance.evidence.narrowing import Chosen, choosable, filters_of, in_order
from governance.evidence.reports.base import Report
from governance.evidence.reports.registry import BY_ID
from governance.identity.queries import roles_of
from governance.ledger.recording import Subject, record

MOST_VALUES = 100
LONGEST_VALUE = 200
LONGEST_REASON = 500
_WORDS = {"report", "columns", "filters", "exceptions_only"}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a version shall say, checked and in order."""

    name: str
    applications: tuple[str, ...]
    chosen: tuple[Chosen, ...]
    reason: str


@transaction.atomic
def make(
    name: str,
    framework: str,
    *,
    reports: Sequence[Mapping[str, Any]],
    applications: Collection[str] = (),
    reason: str = "",
    actor: Actor,
) -> DefinitionVersion:
    """Make a definition; return its first version.

    `reports`: each as `Chosen.as_json` gives it; all but `report` may be left away. `applications`: short names; none
    means all. Raises Invalid naming `name`, `framework`, `reports`, `applications` or `reason`, Conflict when the name
    is taken, and NotAllowed for guests and whoever is neither auditor nor security administrator.
    """
    _check_may_define(actor)
    framework_named(framework)
    asked = _checked(name, reports, applications, reason)
    definition = Definition(name=asked.name, framework=framework, made_at=now(), made_by_ref=actor.ref)
    _save(definition)
    return _add_version(definition, 1, asked, events.DEFINITION_MADE, actor=actor)


@transaction.atomic
def change(
    definition: Definition,
    *,
    after: int,
    name: str,
    reports: Sequence[Mapping[str, Any]],
    applications: Collection[str] = (),
    reason: str = "",
    actor: Actor,
) -> DefinitionVersion:
    """Add a version to a definition. `after`: the number of the version it was made from.

    Raises as `make` does, and Conflict when it is retired, somebody was faster, or nothing differs.
    """
    _check_may_define(actor)
    asked = _checked(name, reports, applications, reason)
    definition = Definition.objects.select_for_update().get(pk=definition.pk)
    last = definition.versions.order_by("-number")[0]
    if definition.retired_at is not None:
        raise Conflict(f"{definition.name} is retired.")
    if last.number != after:
        raise Conflict(f"Version {last.number} was made meanwhile. Look at it, and change that one.")
    was = last.selection()
    if (asked.name, asked.applications, asked.chosen) == (was.name, was.applications, was.chosen):
        raise Conflict(f"Nothing differs from version {last.number}.")
    definition.name = asked.name
    _save(definition)
    return _add_version(definition, last.number + 1, asked, events.DEFINITION_CHANGED, actor=actor)


@transaction.atomic
def retire(definition: Definition, *, actor: Actor) -> None:
    """Have nothing new asked by it; its bundles can be built again. Raises Conflict when it is retired, NotAllowed."""
    _check_may_define(actor)
    if not Definition.objects.filter(pk=definition.pk, retired_at__isnull=True).update(retired_at=now()):
        raise Conflict(f"{definition.name} is retired already.")
    definition.refresh_from_db()
    record(events.DEFINITION_RETIRED, actor=actor, subjects=[_subject(definition)])


def _check_may_define(actor: Actor) -> None:
    if actor.kind == ActorKind.SYSTEM:
        return
    if actor.person_id is None or not AUDITING & roles_of(actor.person_id):
        raise NotAllowed("Definitions are made by auditors of the organisation and security administrators.")


def _save(definition: Definition) -> None:
    try:
        with transaction.atomic():
            definition.save()
    except IntegrityError as error:
        if "definition_names_are_told_apart" not in str(error):
            raise
        raise Conflict(
            f"There is a definition {definition.name} already. Change it, or choose another name."
        ) from error


def _add_version(definition: Definition, number: int, asked: _Asked, event: str, *, actor: Actor) -> DefinitionVersion:
    version = DefinitionVersion(
        definition=definition,
        number=number,
        name=asked.name,
        applications=list(asked.applications),
        reports=[one.as_json() for one in asked.chosen],
        reason=asked.reason,
        made_at=now(),
        made_by_ref=actor.ref,
    )
    version.sha256 = version.selection().sha256
    version.save()
    data = {"version": number, "framework": definition.framework, "sha256": version.sha256}
    record(event, actor=actor, subjects=[_subject(definition)], data=data)
    return version


def _subject(definition: Definition) -> Subject:
    return Subject("definition", str(definition.ref))


def _checked(name: str, reports: Sequence[Mapping[str, Any]], applications: Collection[str], reason: str) -> _Asked:
    """Return what was asked, in order. Raises Invalid naming every field that is wrong."""
    problems: dict[str, list[str]] = {}
    if not 0 < len(name.strip()) <= LONGEST_NAME:
        problems["name"] = [f"Give it a name of 1 to {LONGEST_NAME} characters."]
    if len(reason) > LONGEST_REASON:
        problems["reason"] = [f"At most {LONGEST_REASON} characters."]
    if wrong := list(_problems_of(reports)):
        problems["reports"] = wrong
    try:
        within = checked_applications(applications)
    except Invalid as error:
        problems |= error.fields
    if problems:
        raise Invalid(problems)
    by_id = {str(one["report"]): _chosen(BY_ID[one["report"]], one) for one in reports}
    return _Asked(name.strip(), within, tuple(by_id[one] for one in in_order(by_id)), reason.strip())


def _problems_of(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not reports:
        yield "Choose at least one report."
    seen: set[str] = set()
    for one in reports:
        report = BY_ID.get(str(one.get("report", "")))
        if report is None:
            yield f"There is no report {one.get('report', '')!r}. There are {', '.join(BY_ID)}."
        elif report.id in seen:
            yield f"{report.id} is chosen twice."
        else:
            seen.add(report.id)
            yield from (f"{report.id}: {said}" for said in _problems_in(report, one))


def _problems_in(report: Report, one: Mapping[str, Any]) -> Iterator[str]:
    if strange := sorted(set(one) - _WORDS):
        yield f"{', '.join(strange)} says nothing here. Give report, columns, filters, exceptions_only."
    columns, filters = one.get("columns"), one.get("filters") or {}
    if columns is not None and (names := _texts(columns)) is None:
        yield "Give columns as a list of names, or null for all of them."
    elif columns is not None and (unknown := sorted(set(names or ()) - set(report.header))):
        yield f"There is no column {', '.join(unknown)}."
    if not isinstance(one.get("exceptions_only", False), bool):
        yield "exceptions_only is true or false."
    if not isinstance(filters, Mapping):
        yield "Give filters as columns with lists of values."
        return
    yield from (said for column, values in filters.items() for said in _problems_with(report, str(column), values))


def _problems_with(report: Report, column: str, values: object) -> Iterator[str]:
    if column not in filters_of(report):
        yield f"Its rows cannot be chosen by {column}, but by {', '.join(filters_of(report)) or 'nothing'}."
    elif not (texts := _texts(values)) or len(texts) > MOST_VALUES:
        yield f"Give 1 to {MOST_VALUES} values of {column} as a list of texts."
    elif any(len(value) > LONGEST_VALUE or "\x00" in value for value in texts):
        yield f"A value of {column} has at most {LONGEST_VALUE} characters, and no null character."


def _texts(value: object) -> list[str] | None:
    """Return a list of texts as one, and None for anything else."""
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return list(value)
    return None


def _chosen(report: Report, one: Mapping[str, Any]) -> Chosen:
    """Return the choice in the one form it has: columns in the report's order, values sorted and each once."""
    wanted, filters = one.get("columns"), one.get("filters") or {}
    optional = [column.name for column in choosable(report)]
    columns = None if wanted is None else tuple(name for name in optional if name in wanted)
    return Chosen(
        report.id,
        None if columns is not None and len(columns) == len(optional) else columns,
        tuple((name, tuple(sorted(set(filters[name])))) for name in filters_of(report) if name in filters),
        bool(one.get("exceptions_only", False)),
    )
