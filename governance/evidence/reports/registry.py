"""The reports there are."""

from __future__ import annotations

from governance.evidence.reports import access_changes, access_population, leavers
from governance.evidence.reports.base import Report

#: In the order they stand in a bundle. The cover, R00, is made from them and in every bundle.
REPORTS: tuple[Report, ...] = (access_population.REPORT, access_changes.REPORT, leavers.REPORT)
BY_ID = {report.id: report for report in REPORTS}
COVER_ID = "R00"
COVER_TITLE = "Cover and sources"
