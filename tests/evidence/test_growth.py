"""How the reports grow: nobody's plan may read a part of a query again for each of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection

from governance.evidence.periods import Period
from governance.evidence.questions import Question
from governance.evidence.reports.base import Report
from governance.evidence.reports.registry import REPORTS

AT = datetime(2026, 7, 1, tzinfo=UTC)
QUESTION = Question("soc2", Period(date(2026, 1, 1), date(2026, 6, 30), "UTC"), AT, 1, 24, 24)
Plan = dict[str, Any]


@pytest.mark.django_db
@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.id)
def test_no_report_reads_a_part_of_its_query_again_for_each_row(report: Report) -> None:
    plan = _plan(report)

    assert not [loop["Node Type"] for loop in _loops(plan) if _parts(loop)]


def test_a_part_that_is_looked_up_for_each_row_is_found() -> None:
    part = {"Node Type": "CTE Scan", "CTE Name": "known", "Parent Relationship": "Outer"}
    looked_up = {
        "Node Type": "Aggregate",
        "Parent Relationship": "SubPlan",
        "Subplan Name": "SubPlan 1",
        "Plans": [part],
    }
    joined = {"Node Type": "Hash Join", "Parent Relationship": "Outer", "Plans": [part]}

    found = [loop for plan in (looked_up, joined) for loop in _loops({"Node Type": "Sort", "Plans": [plan]})]

    assert found == [looked_up]
    assert _parts(looked_up) == [part]


def _plan(report: Report) -> Plan:
    """Return how the report is read where nothing but necessity leads to a loop: rows are few in a test."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(f"EXPLAIN (FORMAT json) {report.sql}", QUESTION.parameters())
        (answer,) = cursor.fetchone()
    return (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]


def _loops(plan: Plan) -> Iterator[Plan]:
    """Yield what is done again for each row of something else."""
    for child in plan.get("Plans", []):
        if _is_inside_a_loop(plan, child):
            yield child
        yield from _loops(child)


def _is_inside_a_loop(plan: Plan, child: Plan) -> bool:
    if child["Parent Relationship"] == "SubPlan":
        return not child["Subplan Name"].startswith("CTE")
    return plan["Node Type"] == "Nested Loop" and child["Parent Relationship"] == "Inner"


def _parts(plan: Plan) -> list[Plan]:
    inside = [found for child in plan.get("Plans", []) for found in _parts(child)]
    return [*([plan] if plan["Node Type"] == "CTE Scan" else []), *inside]
