"""How instants, lengths, names and charts are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from governance.core.clock import OPEN_END
from governance.web import charts, clock_words
from governance.web.templatetags import gatehouse

NOW = datetime(2026, 11, 23, 14, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>\"'&"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (datetime(2026, 11, 23, 16, 24, tzinfo=UTC), "today at 16:24"),
        (datetime(2026, 11, 24, 9, 0, tzinfo=UTC), "tomorrow at 09:00"),
        (datetime(2026, 11, 22, 9, 0, tzinfo=UTC), "yesterday at 09:00"),
        (datetime(2026, 12, 7, 9, 0, tzinfo=UTC), "Mon 7 Dec at 09:00"),
        (datetime(2025, 3, 3, 9, 0, tzinfo=UTC), "3 Mar 2025 at 09:00"),
        (OPEN_END, "no end"),
    ],
)
def test_an_instant_is_said_as_people_say_it(at: datetime, words: str) -> None:
    assert clock_words.moment(at, NOW) == words


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.5, "less than a minute"), (18, "18 min"), (59.9, "59 min"), (60, "1 h"), (132, "2 h 12"), (125, "2 h 05"),
     (24 * 60, "1 d"), (76 * 60, "3 d 4 h"), (24 * 60 * 90 + 60, "90 d")],
)  # fmt: skip
def test_time_left_is_short_and_never_rounded_up(minutes: float, words: str) -> None:
    assert clock_words.short_length(timedelta(minutes=minutes)) == words


def test_the_day_changes_at_midnight_of_the_reader() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)

    with timezone.override("Europe/Berlin"):
        assert clock_words.moment(late, NOW) == "tomorrow at 00:30"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ada Lovelace", "AL"), ("Jean-Luc", "JL"), ("ada", "A"), ("  ", "·"), ("<b> x", "BX"), ("k.olsen", "KO")],
)
def test_initials_are_letters(name: str, letters: str) -> None:
    assert gatehouse.initials(name) == letters


def test_a_time_has_its_zone_and_iso_form_in_the_title() -> None:
    with timezone.override("Europe/Berlin"):
        tag = gatehouse.clock_time(datetime(2026, 6, 1, 12, 30, tzinfo=UTC))

    assert 'title="1 Jun 2026, 14:30:00 CEST (2026-06-01T12:30:00Z)"' in tag


def test_the_hot_loop_escapes_what_comes_from_outside() -> None:
    cell = charts.Cell(HOSTILE, HOSTILE, "standing", HOSTILE, HOSTILE)

    row = charts.row_cells([cell, None], "/static/icons.svg")

    assert "<img" not in row
    assert row.count("&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;") == 5


def test_charts_escape_their_labels() -> None:
    assert "<img" not in charts.bars([1, 0, 3], HOSTILE)
    assert "<img" not in charts.stacked([("keep", 1)], 2, HOSTILE)


@pytest.mark.parametrize("values", [[], [0, 0], [5]], ids=["nothing", "zeros", "one"])
def test_bars_can_be_drawn_of_anything(values: list[int]) -> None:
    assert charts.bars(values, "Use").startswith("<svg")


def test_many_peers_are_drawn_in_proportion() -> None:
    assert charts.dots(1, 400).count('class="v"') == 1
    assert charts.dots(200, 400).count("<circle") == 24


def test_a_brand_we_do_not_ship_shows_letters() -> None:
    assert gatehouse.brand("github").endswith("brands/github.svg")
    assert gatehouse.brand("../../etc/passwd") == ""
