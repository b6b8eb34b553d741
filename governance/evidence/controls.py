"""Which control each report speaks to.

Ids only, with our own words beside them: the standards' texts are not ours to ship. A practitioner has not reviewed
the mapping yet, and every page and bundle that shows it says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.core.errors import Invalid
from governance.evidence.reports.base import Report
from governance.evidence.reports.registry import BY_ID, COVER_ID

REVIEW_NOTE = "Mapping not yet reviewed by a practitioner."


@dataclass(frozen=True, slots=True)
class Control:
    """A control of a framework: its id there, what we take it to ask, and the reports that speak to it."""

    id: str
    intent: str
    reports: tuple[str, ...]


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
        return tuple(BY_ID[report] for report in sorted(wanted))


_SOC2 = Framework(
    slug="soc2",
    name="SOC 2",
    edition="TSC 2017, points of focus revised 2022",
    controls=(
        Control("CC1.3", "It is clear who may authorise access, and they did.", ("R03",)),
        Control("CC2.1", "What is used as evidence is complete, accurate and traceable to its source.", ("R00",)),
        Control("CC4.1", "Controls are looked at, and what was looked at can be looked at again.", ("R00",)),
        Control("CC6.1", "Only those who should can reach protected systems.", ("R01",)),
        Control("CC6.2", "People are authorised before they get in, and removed when they go.", ("R01", "R03", "R05")),
        Control(
            "CC6.3", "Access follows role and need, changes with them, and nobody decides alone.", ("R01", "R03", "R05")
        ),
    ),
)

_HIPAA = Framework(
    slug="hipaa",
    name="HIPAA",
    edition="45 CFR part 164",
    controls=(
        Control("164.308(a)(3)(ii)(A)", "Somebody entitled to authorises work with patient data.", ("R03",)),
        Control("164.308(a)(3)(ii)(B)", "Access is appropriate to the person before it is given.", ("R03",)),
        Control("164.308(a)(3)(ii)(C)", "Access ends when the work ends.", ("R05",)),
        Control("164.308(a)(4)(ii)(B)", "There is a way to grant access, and it was followed.", ("R03",)),
        Control("164.308(a)(4)(ii)(C)", "Access is established, reviewed and changed on record.", ("R01", "R03")),
        Control("164.312(a)(1)", "Only those with rights reach systems with patient data.", ("R01",)),
        Control("164.312(a)(2)(i)", "Everybody who can get in is a person who can be named.", ("R01",)),
        Control("164.316(b)(1)", "Actions and their records are kept in written form.", ("R00",)),
    ),
)

FRAMEWORKS: dict[str, Framework] = {framework.slug: framework for framework in (_SOC2, _HIPAA)}


def framework_named(slug: str) -> Framework:
    """Return the framework. Raises Invalid naming `framework`."""
    if slug not in FRAMEWORKS:
        raise Invalid({"framework": f"Choose one of {', '.join(sorted(FRAMEWORKS))}."})
    return FRAMEWORKS[slug]


def framework_pack(slug: str) -> tuple[Report, ...]:
    """Return the reports of the framework's bundle besides the cover. Raises Invalid naming `framework`."""
    return framework_named(slug).reports
