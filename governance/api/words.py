"""What may come in at all: query words that are known, and bodies that are documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from governance.core.errors import Invalid

PAGING = frozenset({"cursor", "limit", "format"})
MOST_ROWS = 200


class DocumentParser(JSONParser):
    """JSON that can be kept and answered: not nested without end, no half characters."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """Return the document. Raises ParseError with what is wrong."""
        try:
            found = super().parse(stream, media_type, parser_context)
            json.dumps(found, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("The document is nested too deeply.") from error
        except UnicodeError as error:
            raise ParseError("The document holds half a character, or is not UTF-8.") from error
        return found


def check_words(request: Request, known: frozenset[str]) -> None:
    """Refuse words in the query that mean nothing here. Raises Invalid naming each."""
    said = request.query_params
    problems = {_shown(name): "This word means nothing here." for name in said if name not in known | PAGING}
    problems |= {name: "The character NUL cannot be searched for." for name in said if "\x00" in said[name]}
    limit = said.get("limit")
    if limit is not None and not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST_ROWS):
        problems["limit"] = f"A whole number from 1 to {MOST_ROWS}."
    if problems:
        raise Invalid(dict(sorted(problems.items())))


def _shown(name: str) -> str:
    return name.encode(errors="replace").decode()[:80]
