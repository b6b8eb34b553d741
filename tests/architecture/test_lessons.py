"""Every fault that others reported and that we say we test for has its test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_lesson_names_tests_that_exist() -> None:
    defined = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    rows = [line for line in (ROOT / "docs" / "lessons.md").read_text().splitlines() if line.startswith("| ")][1:]

    named = {row.split("|")[1].strip(): re.findall(r"`(test_\w+)`", row) for row in rows}

    assert len(named) > 20
    assert {seen: tests for seen, tests in named.items() if not tests or not set(tests) <= defined} == {}
