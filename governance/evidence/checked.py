"""What a bundle checked of itself: the log at the pinned size, and the populations that are counted a second time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.evidence.cover import Row, Told
from governance.evidence.questions import Question
from governance.evidence.second_count import SecondCount, second_counts
from governance.evidence.verified import Verified, verified


@dataclass(frozen=True, slots=True)
class Checked:
    """The verifier's output, and each second count."""

    log: Verified
    counts: tuple[SecondCount, ...]

    def holes(self) -> Iterator[Row]:
        """Yield what did not hold, as gaps: code, what it is about, and a sentence."""
        if not self.log.holds:
            yield "log_damaged", "ledger", self.log.verdict
        for one in self.counts:
            if not one.agrees:
                yield "not_counted" if one.why_not else "count_differs", one.report, one.in_words()

    def lines(self) -> Iterator[Row]:
        """Yield the lines of the cover."""
        yield from (("verifier", str(number), line) for number, line in enumerate(self.log.lines, start=1))
        yield from (("second_count", one.report, one.in_words()) for one in self.counts)

    def as_json(self) -> dict[str, object]:
        """Return what the manifest says of it."""
        return {
            "verifier": {"holds": self.log.holds, "said": list(self.log.lines)},
            "second_count": [
                {
                    "report": one.report,
                    "agrees": one.agrees,
                    "rows": one.rows,
                    "counted": one.counted,
                    "differing": one.differing,
                    "said": one.in_words(),
                }
                for one in self.counts
            ],
        }


def check(folder: Path, question: Question, told: Sequence[Told]) -> Checked:
    """Check the log and count again what was written, inside the snapshot it was read in."""
    return Checked(verified(question.ledger_size), tuple(second_counts(folder, question, told)))
