"""What became known since an earlier bundle: rows that came, went and changed, and the entries that brought them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from governance.core.errors import Conflict, Invalid, NotAllowed
from governance.evidence import actions
from governance.evidence.cover import Told
from governance.evidence.late_facts import LateReport, late_facts
from governance.evidence.questions import Pin, Question
from governance.evidence.reading import copy_out, count
from governance.evidence.reports.registry import BY_ID
from tests.cast import TESTING, acting, hire
from tests.evidence import issued as story
from tests.evidence.by_hand import counted
from tests.evidence.organisation import CUT, END, WINDOWS, Organisation

NOT_COMPARED = ("row_no", "first_entry", "last_entry", "hours_open", "overrun_minutes")


def compared(world: Organisation, report_id: str, folder: Path) -> tuple[LateReport, list[dict[str, str]]]:
    """Ask about most of a year at both cuts; return the difference and its rows."""
    asked = Question("soc2", WINDOWS["most of a year"], END, world.sizes[1], 24, 24)
    file, rows_file = copy_out(BY_ID[report_id], asked.parameters(), folder)
    told = Told(BY_ID[report_id], file, rows_file, count(BY_ID[report_id], folder / file.path))
    (late,) = late_facts(folder, asked, Pin(CUT, world.sizes[0]), [told]).reports
    text = (folder / late.file.path).read_bytes().decode() if late.file else ""
    return late, list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("report_id", sorted(BY_ID))
def test_late_facts_are_the_difference_that_is_counted_by_hand(
    organisation: Organisation, db: None, tmp_path: Path, report_id: str
) -> None:
    late, rows = compared(organisation, report_id, tmp_path)

    cuts = ((CUT, organisation.sizes[0]), (END, organisation.sizes[1]))
    before, after = (
        {
            row["row_id"]: {name: cell for name, cell in row.items() if name not in NOT_COMPARED}
            for row in counted(organisation, Question("soc2", WINDOWS["most of a year"], at, size, 24, 24)).report(
                report_id
            )
        }
        for at, size in cuts
    )
    changed = {row_id for row_id in before.keys() & after.keys() if before[row_id] != after[row_id]}
    assert {(row["what"], row["row_id"]) for row in rows} == (
        {("came", row_id) for row_id in after.keys() - before.keys()}
        | {("went", row_id) for row_id in before.keys() - after.keys()}
        | {("changed", row_id) for row_id in changed}
    )
    assert (late.came, late.went, late.changed) == tuple(
        [row["what"] for row in rows].count(what) for what in ("came", "went", "changed")
    )
    for row in rows:
        old, new = (json.loads(row[side] or "null") for side in ("before", "after"))
        whole = [before.get(row["row_id"]), after.get(row["row_id"])]
        names = row["columns"].split()
        if row["what"] == "changed":
            assert (old, new) == tuple({name: (side or {})[name] for name in names} for side in whole)
        else:
            assert [old, new] == whole
    assert not (tmp_path / "earlier").exists()


@pytest.mark.parametrize(
    ("report_id", "kind", "column"), [("R03", "grant", "grant_id"), ("R05", "person", "person_ref")]
)
def test_each_row_names_the_entries_between_the_two_sizes_that_are_about_it(
    organisation: Organisation, db: None, tmp_path: Path, report_id: str, kind: str, column: str
) -> None:
    late, rows = compared(organisation, report_id, tmp_path)

    first, second = organisation.sizes
    by_time = 0
    for row in rows:
        ref = row["row_id"].split(":")[1]
        wanted = [
            one.index
            for one in organisation.told
            if one.index is not None and first <= one.index < second and (kind, ref) in one.subjects
        ]
        assert [int(one) for one in row["entries"].split()] == sorted(wanted)
        by_time += not wanted
    assert late.entries
    assert by_time < len(rows)


def test_only_a_ready_cut_can_be_compared_with(db: None) -> None:
    with pytest.raises(Invalid) as refused:
        story.ask_for(since=Pin(CUT.replace(year=2020), 17))

    assert set(refused.value.fields) == {"since"}
    with pytest.raises(Conflict):
        actions.ask_what_came_since(story.ask_for(), actor=TESTING)


def test_nobody_else_asks_what_came_since(db: None) -> None:
    bundle = story.ask_for()
    bundle.ledger_size = 1
    mallory = hire("Mallory Grey")

    with pytest.raises(NotAllowed):
        actions.ask_what_came_since(bundle, actor=acting(mallory))
