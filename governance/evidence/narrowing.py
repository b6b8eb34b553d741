"""What a definition chooses: which reports, which of their columns, and which rows, by the values in a column.

A choice never hides that it was made. What a row is known by, what it is about, what there is to look at in it and the
ledger entries that support it stay in every report, so that a narrowed bundle is counted and verified like a whole one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from governance.core.errors import Conflict
from governance.evidence.controls import framework_named
from governance.evidence.reports.base import SUPPORT, Column, Report
from governance.evidence.reports.registry import BY_ID, REPORTS
from governance.ledger.canonical import canonical

#: Columns that rows can be chosen by, where a report has them.
FILTERS = (
    "application", "entitlement", "department", "person_type", "privileged", "cause", "change", "verdict", "source",
    "what", "event", "person_ref",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """One report of a definition. `columns`: names beside those that always stay, in order; None means all of them.

    `filters`: column to the values of which a cell must be one, as the CSV writes them; an empty text: no value.
    """

    report: str
    columns: tuple[str, ...] | None = None
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    exceptions_only: bool = False

    def as_json(self) -> dict[str, object]:
        """Return it as definitions and manifests have it."""
        return {
            "report": self.report,
            "columns": None if self.columns is None else list(self.columns),
            "filters": {name: list(values) for name, values in self.filters},
            "exceptions_only": self.exceptions_only,
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Chosen:
        """Return what `as_json` gave."""
        columns = said["columns"]
        return cls(
            said["report"],
            None if columns is None else tuple(columns),
            tuple((name, tuple(values)) for name, values in said["filters"].items()),
            said["exceptions_only"],
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """A version of a definition: all that it chooses, and what it is called."""

    ref: str
    name: str
    version: int
    framework: str
    applications: tuple[str, ...]
    chosen: tuple[Chosen, ...]

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what is chosen, hexadecimal: two versions with the same one choose the same."""
        return hashlib.sha256(canonical(self.content()).encode()).hexdigest()

    @property
    def title(self) -> str:
        """Return its name with the version."""
        return f"{self.name}, version {self.version}"

    @property
    def reports(self) -> tuple[Report, ...]:
        """Return the chosen reports, narrowed. Raises Conflict where what was chosen is not there any more."""
        return tuple(narrowed(one) for one in self.chosen)

    @property
    def left_out(self) -> tuple[Report, ...]:
        """Return the reports of the framework that are not chosen."""
        chosen = {one.report for one in self.chosen}
        return tuple(report for report in framework_named(self.framework).reports if report.id not in chosen)

    def content(self) -> dict[str, object]:
        """Return what is chosen, as the digest covers it."""
        return {
            "framework": self.framework,
            "applications": list(self.applications),
            "reports": [one.as_json() for one in self.chosen],
        }

    def as_json(self) -> dict[str, object]:
        """Return what a manifest says of it."""
        return {
            "ref": self.ref,
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256,
            **self.content(),
        }

    def parameters(self) -> dict[str, list[str]]:
        """Return the values of the named parameters that the conditions of its reports use."""
        return {_parameter(one.report, name): list(values) for one in self.chosen for name, values in one.filters}


def filters_of(report: Report) -> tuple[str, ...]:
    """Return the columns by which the rows of a report can be chosen, in the order of its columns."""
    return tuple(column.name for column in report.columns if column.name in FILTERS)


def always_kept(report: Report) -> frozenset[str]:
    """Return the names of the columns that no choice leaves out."""
    about = (report.subject, report.or_subject) if report.or_subject else (report.subject,)
    needed = {report.person, report.system, *(column for column, _ in about), *report.order}
    supporting = {column.name for column in SUPPORT}
    return frozenset(name for name in ("row_id", *needed, *supporting) if name)


def choosable(report: Report) -> tuple[Column, ...]:
    """Return the columns that a definition may leave out."""
    kept = always_kept(report)
    return tuple(column for column in report.columns if column.name not in kept)


def narrowed(chosen: Chosen) -> Report:
    """Return a report as it was chosen. Raises Conflict where it, or a column, is not there (any more)."""
    report = BY_ID.get(chosen.report)
    if report is None:
        raise Conflict(f"The definition chooses {chosen.report}, which this version does not have. Make a new version.")
    _check_columns(report, chosen)
    kept = always_kept(report) | set(chosen.columns or ())
    columns = tuple(one for one in report.columns if chosen.columns is None or one.name in kept)
    return replace(
        report,
        columns=columns,
        left_out=tuple(one.name for one in report.columns if one not in columns),
        only=tuple(_conditions(report, chosen)),
        only_said=conditions_said(chosen),
    )


def conditions_said(chosen: Chosen) -> tuple[str, ...]:
    """Return in words what must hold of each row that is chosen."""
    said = [f"{name} is {' or '.join(value or 'empty' for value in values)}" for name, values in chosen.filters]
    return (*said, "there is something to look at") if chosen.exceptions_only else tuple(said)


def in_order(report_ids: Iterable[str]) -> list[str]:
    """Return ids of reports in the order of a bundle, each once."""
    wanted = set(report_ids)
    return [report.id for report in REPORTS if report.id in wanted]


def _check_columns(report: Report, chosen: Chosen) -> None:
    there = set(report.header)
    for name in (*(chosen.columns or ()), *(name for name, _ in chosen.filters)):
        if name not in there:
            raise Conflict(f"{report.id} has no column {name} in this version. Make a new version of the definition.")


def _conditions(report: Report, chosen: Chosen) -> Iterator[str]:
    """Yield the same as SQL."""
    cells = {column.name: column.cell for column in report.columns}
    for name, _ in chosen.filters:
        yield f"coalesce({cells[name]}, '') = ANY(%({_parameter(report.id, name)})s::text[])"
    if chosen.exceptions_only:
        yield f"{cells['exceptions']} IS NOT NULL"


def _parameter(report_id: str, column: str) -> str:
    return f"{report_id.lower()}_{column}"


def changes(before: Selection, after: Selection) -> list[str]:
    """Return what differs between two versions of a definition, a sentence each."""
    was, now = ({one.report: one for one in version.chosen} for version in (before, after))
    found = [f"Now called {after.name}."] if after.name != before.name else []
    if after.applications != before.applications:
        found.append(f"Applications: {', '.join(after.applications) or 'all'}.")
    found += [f"{id_} {BY_ID[id_].title} added." for id_ in in_order(now.keys() - was.keys())]
    found += [f"{id_} {BY_ID[id_].title} left out." for id_ in in_order(was.keys() - now.keys())]
    for id_ in in_order(was.keys() & now.keys()):
        differing = [
            word
            for word, old, new in (
                ("columns", was[id_].columns, now[id_].columns),
                ("rows", (was[id_].filters, was[id_].exceptions_only), (now[id_].filters, now[id_].exceptions_only)),
            )
            if old != new
        ]
        if differing:
            found.append(f"{id_} {BY_ID[id_].title}: other {' and '.join(differing)}.")
    return found
