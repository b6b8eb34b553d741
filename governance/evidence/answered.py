"""The exceptions of a bundle with what was said about them: read last, from what its other reports show."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.evidence.cover import Told
from governance.evidence.questions import Question, Value
from governance.evidence.reading import copy_out, count
from governance.evidence.reports.exceptions import REPORT

#: The states in the order they are shown.
STATES = ("open", "explained", "overdue", "accepted", "fixed", "not read yet")
#: So many are spelled out in other forms than the CSV, those that nobody answered first.
MOST_SPELLED = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """R24 as it was written: how many exceptions are in each state, and some of them as rows of the CSV."""

    told: Told
    by_state: Mapping[str, int]
    spelled: tuple[dict[str, str], ...]

    def in_words(self) -> str:
        """Return how many there are of each state, in one line."""
        counted = ", ".join(f"{number} {state}" for state, number in self.by_state.items() if number)
        return counted or "none"


def write_answered(folder: Path, question: Question, told: Sequence[Told]) -> Answered:
    """Write R24 into the folder, from the rows of the other reports. Inside the snapshot they were read in."""
    file, rows_file = copy_out(REPORT, {**question.parameters(), **_found(question, told)}, folder)
    made = Told(REPORT, file, rows_file, count(REPORT, folder / file.path))
    by_state: Counter[str] = Counter()
    spelled: list[dict[str, str]] = []
    with (folder / file.path).open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            by_state[row["state"]] += 1
            if len(spelled) < MOST_SPELLED:
                spelled.append(row)
    return Answered(made, {state: by_state[state] for state in STATES}, tuple(spelled))


def _found(question: Question, told: Sequence[Told]) -> dict[str, Value]:
    """Return what the report asks beyond the question: the rows of the others that have something to look at."""
    found = [(one.report.id, *row) for one in told for row in one.totals.flagged]
    names = ("found_reports", "found_rows", "found_codes", "found_applications", "found_people")
    columns: Sequence[Sequence[str]] = list(zip(*found, strict=True)) or [()] * len(names)
    return {
        "zone": question.period.zone,
        "pack": [one.report.id for one in told],
        **{name: list(column) for name, column in zip(names, columns, strict=True)},
    }
