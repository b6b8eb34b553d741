"""Every report of an organisation with the hard cases in it, against the same counted by hand: rows and exceptions."""

from __future__ import annotations

import pytest

from governance.evidence.cover import gaps
from governance.evidence.reading import read_sources
from governance.evidence.reports.registry import BY_ID, UNBUILT
from tests.evidence.by_hand import counted
from tests.evidence.conftest import Rows, rows_of
from tests.evidence.organisation import Organisation, questions

#: What no fact of one log can show: the database or the sequencer refuses it, or it would be an error of ours.
NEVER = {"does_not_balance", "exception_given_to_oneself", "forgery", "first_version_alone", "log_broken_off"}


@pytest.mark.parametrize("report_id", sorted(BY_ID))
def test_a_report_is_what_is_counted_by_hand(organisation: Organisation, db: None, report_id: str) -> None:
    wrong: list[object] = []
    found: set[str] = set()
    for name, asked in questions(organisation).items():
        told, by_hand = rows_of(report_id, asked), counted(organisation, asked).report(report_id)
        found |= {code for row in by_hand for code in row["exceptions"].split()}
        if told != by_hand:
            wrong += [(name, *each) for each in differences(told, by_hand)] or [(name, "in another order")]

    assert wrong == []
    assert {code for code, _ in BY_ID[report_id].exceptions} - found <= NEVER


def differences(told: Rows, by_hand: Rows) -> list[tuple[object, ...]]:
    """Return the rows that only one of the two has, and each cell that differs: as told, and as counted."""
    ours, theirs = ({row["row_id"]: row for row in rows} for rows in (told, by_hand))
    found: list[tuple[object, ...]] = [("only told", ours[row_id]) for row_id in ours.keys() - theirs.keys()]
    found += [("only by hand", theirs[row_id]) for row_id in theirs.keys() - ours.keys()]
    for row_id in sorted(ours.keys() & theirs.keys()):
        pairs = ((name, ours[row_id][name], cell) for name, cell in theirs[row_id].items() if name != "row_no")
        found += [(row_id, *pair) for pair in pairs if pair[1] != pair[2]]
    return found


def test_before_anything_was_there_every_report_is_nil_or_says_what_was_not_read(
    organisation: Organisation, db: None
) -> None:
    asked = questions(organisation)["before anything was there"]

    assert {report_id for report_id in BY_ID if rows_of(report_id, asked)} == set()


def test_every_hole_in_the_sources_is_what_is_counted_by_hand(organisation: Organisation, db: None) -> None:
    for name, asked in questions(organisation).items():
        sources, by_hand = read_sources(asked.parameters()), counted(organisation, asked)

        assert gaps(asked, sources, None)[: -len(UNBUILT)] == list(by_hand.gaps()), name
        assert {read.slug: read.read_at for read in sources} == by_hand.read_at(), name
