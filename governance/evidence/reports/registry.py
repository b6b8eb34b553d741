"""The reports there are."""

from __future__ import annotations

from governance.evidence.reports import (
    access_changes,
    access_population,
    accounts,
    duties,
    emergencies,
    exposure,
    failures,
    joiners,
    leavers,
    log_events,
    log_integrity,
    movers,
    out_of_band,
    privileged,
    roll_forward,
    temporary,
)
from governance.evidence.reports.base import Report, Unbuilt

#: In the order they stand in a bundle. The cover, R00, is made from them and in every bundle.
REPORTS: tuple[Report, ...] = (
    access_population.REPORT,
    roll_forward.REPORT,
    access_changes.REPORT,
    joiners.REPORT,
    leavers.REPORT,
    movers.REPORT,
    privileged.PRIVILEGED,
    privileged.CHANGES,
    temporary.REPORT,
    duties.REPORT,
    emergencies.REPORT,
    failures.REPORT,
    accounts.REPORT,
    log_events.CREDENTIALS,
    log_integrity.REPORT,
    log_events.LOG_REVIEW,
    out_of_band.REPORT,
    log_events.POLICY_CHANGES,
    log_events.RETENTION,
    log_events.EVIDENCE_ACCESS,
    exposure.REPORT,
)
#: Reports on what this version of Gatehouse does not do: a gap in the coverage, never an empty population.
UNBUILT: tuple[Unbuilt, ...] = (
    Unbuilt("R12", "Access reviews", "Periodic reviews of access are not part of this version, so none can be shown."),
    Unbuilt("R13", "Review decisions", "Periodic reviews of access are not part of this version, so none decided."),
)
BY_ID = {report.id: report for report in REPORTS}
COVER_ID = "R00"
COVER_TITLE = "Cover and sources"
