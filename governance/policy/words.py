"""What people write about a request: long enough to be read, short enough to be kept. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from governance.core.errors import Reason

SHORTEST = 5
LONGEST = 2000


def refuse_words(text: str, *, field: str) -> Iterator[Reason]:
    """Return why a sentence cannot be kept, as reasons about its field."""
    if len(text.strip()) < SHORTEST:
        yield Reason("needs_words", "Write a sentence. The others will read it.", field)
    elif len(text) > LONGEST:
        yield Reason("words_too_long", f"Keep it under {LONGEST} characters.", field)
