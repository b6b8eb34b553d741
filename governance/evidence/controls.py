"""Which control each report speaks to.

Ids only, with our own words beside them: the standards' texts are not ours to ship. A practitioner has not reviewed
the mapping yet, and every page and bundle that shows it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.core.errors import Invalid
from governance.evidence.frameworks import EDITIONS, INTENTS, MAPPING
from governance.evidence.reports.base import Report, Unbuilt
from governance.evidence.reports.registry import BY_ID, COVER_ID, UNBUILT

REVIEW_NOTE = "Mapping not yet reviewed by a practitioner."
_UNBUILT_BY_ID = {one.id: one for one in UNBUILT}


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a framework: its id there, what we take it to ask, and the reports that speak to it."""

    id: str
    intent: str
    reports: tuple[str, ...]

    @property
    def unbuilt(self) -> tuple[Unbuilt, ...]:
        """Return the reports that would speak to it and cannot be given."""
        return tuple(_UNBUILT_BY_ID[report] for report in self.reports if report in _UNBUILT_BY_ID)


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework by its short name, the edition the ids are of, and its controls."""

    slug: str
    name: str
    edition: str
    controls: tuple[Control, ...]

    @property
    def reports(self) -> tuple[Report, ...]:
        """Return the reports of its pack, in order. The cover is in every pack and not among them."""
        wanted = {report for control in self.controls for report in control.reports} - {COVER_ID}
        return tuple(BY_ID[report] for report in sorted(wanted & BY_ID.keys()))

    @property
    def unbuilt(self) -> tuple[Unbuilt, ...]:
        """Return what auditors of this framework ask for and is not there, in order."""
        found = {one.id: one for control in self.controls for one in control.unbuilt}
        return tuple(found[report] for report in sorted(found))

    def control(self, control_id: str) -> Control | None:
        """Return a control by its id, or none."""
        return next((one for one in self.controls if one.id == control_id), None)


def _framework(slug: str) -> Framework:
    name, edition = EDITIONS[slug]
    controls = tuple(
        Control(control_id, intent, tuple(report for report, ids in MAPPING[slug].items() if control_id in ids))
        for control_id, intent in INTENTS[slug].items()
    )
    return Framework(slug, name, edition, controls)


FRAMEWORKS: dict[str, Framework] = {slug: _framework(slug) for slug in EDITIONS}


def framework_named(slug: str) -> Framework:
    """Return the framework. Raises Invalid naming `framework`."""
    if slug not in FRAMEWORKS:
        raise Invalid({"framework": f"Choose one of {', '.join(sorted(FRAMEWORKS))}."})
    return FRAMEWORKS[slug]


def framework_pack(slug: str) -> tuple[Report, ...]:
    """Return the reports of the framework's bundle besides the cover. Raises Invalid naming `framework`."""
    return framework_named(slug).reports
