"""Play what is under `captured/` against the real door, in the order of the files, and hold it to what must come of it.

An exchange names what is sent, what must be answered, and what must be true afterwards. `{{ada}}` stands for a value
that an earlier answer gave. Where a strict server has to refuse, the exchange says why and what a client that keeps to
the RFC would send instead; a strict connection is held to both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.http import HttpResponse
from django.test import Client

from governance.identity.models import Person

CAPTURED = Path(__file__).with_name("captured")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

Exchange = Mapping[str, Any]


def providers() -> list[str]:
    """Return the names of the providers whose payloads are kept."""
    return sorted(folder.name for folder in CAPTURED.iterdir() if folder.is_dir())


def exchanges(provider: str) -> Iterator[tuple[str, Exchange]]:
    """Yield every exchange of a provider in its order, with a name for failures."""
    for file in sorted((CAPTURED / provider).glob("[0-9]*.json")):
        for number, exchange in enumerate(json.loads(file.read_text(encoding="utf-8"))["exchanges"], start=1):
            yield f"{provider}/{file.stem} #{number} {exchange['method']} {exchange['path']}", exchange


@dataclass
class Player:
    """One provider that talks to one connection."""

    provider: str
    token: str
    is_strict: bool
    known: dict[str, str] = field(default_factory=dict)
    #: The names of the exchanges that a strict connection refused.
    refused: list[str] = field(default_factory=list)
    last: Any = None

    def __post_init__(self) -> None:
        described = json.loads((CAPTURED / self.provider / "client.json").read_text(encoding="utf-8"))
        self.headers: dict[str, str] = described["headers"]
        self.answers: str = described["answers"]

    def play(self, name: str, exchange: Exchange) -> None:
        """Send an exchange and hold the answer, the state after, and a repeat to what must come of them."""
        body = self._body(exchange)
        strict = exchange.get("strict")
        if strict and self.is_strict:
            if strict["status"] != exchange["answer"]["status"]:
                self._refused(name, exchange, body, strict)
            if "means" not in strict:
                return
            body = self._filled(strict["means"])
        self._played(name, exchange, body)
        if exchange.get("again"):
            before = self._meta(exchange)
            self._played(f"{name} (again)", exchange, body)
            assert self._meta(exchange) == before, f"{name}: a repeat moved the version"

    def _played(self, name: str, exchange: Exchange, body: Any) -> None:
        response = self._send(exchange, body)
        self._answered(name, response, exchange["answer"])
        self._saved(exchange)
        if not self.is_strict:
            self._has(name, self.last, exchange.get("kept", {}))
        for look in exchange.get("then", ()):
            self._answered(f"{name} → {look['path']}", self._send({"method": "GET", **look}, None), look, status=200)
        for person, status in exchange.get("status_of", {}).items():
            assert Person.objects.get(scim_id=self.known[person]).status == status, f"{name}: status of {person}"

    def _refused(self, name: str, exchange: Exchange, body: Any, strict: Mapping[str, Any]) -> None:
        before = self._meta(exchange)
        response = self._send(exchange, body)
        told = json.loads(response.content)
        assert (response.status_code, told["status"]) == (strict["status"], str(strict["status"])), f"{name}: {told}"
        assert strict["scimType"] in (None, told.get("scimType")), f"{name}: {told}"
        assert self._meta(exchange) == before, f"{name}: a refusal changed something"
        self.refused.append(name)

    def _answered(self, name: str, response: HttpResponse, wanted: Mapping[str, Any], status: int = 0) -> None:
        assert response.status_code == (status or wanted["status"]), f"{name}: {response.content!r}"
        self.last = json.loads(response.content) if response.content else None
        if response.content:
            assert response["Content-Type"].partition(";")[0] == self.answers, name
        self._has(name, self.last, wanted.get("has", {}))
        for path in wanted.get("hasnt", ()):
            assert not _holds(self.last, path), f"{name}: {path} in {self.last}"
        if wanted.get("located"):
            assert response["Location"] == self.last["meta"]["location"], name

    def _has(self, name: str, found: Any, wanted: Any) -> None:
        filled = self._filled(wanted)
        if not filled:
            return
        assert _matches(found, filled), f"{name}:\nwanted {json.dumps(filled)}\nfound  {json.dumps(found)}"

    def _saved(self, exchange: Exchange) -> None:
        for variable, attribute in exchange.get("save", {}).items():
            self.known[variable] = self.last[attribute]
        for one, other in exchange.get("differs", {}).items():
            assert self.known[one] != self.known[other]

    def _meta(self, exchange: Exchange) -> Any:
        """Return version and time of what an exchange addresses, None for a collection."""
        if "{{" not in exchange["path"] or "?" in exchange["path"]:
            return None
        found = json.loads(self._send({"method": "GET", "path": exchange["path"]}, None).content)
        return found["meta"]["version"], found["meta"]["lastModified"]

    def _body(self, exchange: Exchange) -> Any:
        body = self._filled(exchange.get("body"))
        return {**self.last, **body} if exchange.get("echo") else body

    def _send(self, exchange: Exchange, body: Any) -> HttpResponse:
        headers = {**self.headers, **exchange.get("headers", {}), "Authorization": f"Bearer {self.token}"}
        content = b"" if body is None else json.dumps(body).encode()
        path = self._filled(exchange["path"])
        response: HttpResponse = Client().generic(
            exchange["method"], f"/scim/v2{path}", content, content_type=headers.pop("Content-Type"), headers=headers
        )
        return response

    def _filled(self, value: Any) -> Any:
        """Return the value with every placeholder replaced."""
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda found: self.known[found[1]], value)
        if isinstance(value, Mapping):
            return {name: self._filled(inner) for name, inner in value.items()}
        return [self._filled(inner) for inner in value] if isinstance(value, list) else value


def _matches(found: Any, wanted: Any) -> bool:
    """Tell whether everything wanted is there: parts of objects, and all elements of lists in any order."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and _matches(found[name], inner) for name, inner in wanted.items()
        )
    if isinstance(wanted, list):
        left = list(found) if isinstance(found, list) else []
        for each in wanted:
            position = next((i for i, one in enumerate(left) if _matches(one, each)), None)
            if position is None:
                return False
            left.pop(position)
        return not left
    return bool(found == wanted)


def _holds(found: Any, path: str) -> bool:
    """Tell whether there is anything at a path, whose names may hold dots (URNs): the longest name wins."""
    if isinstance(found, list):
        head, _, rest = path.partition(".")
        return int(head) < len(found) and _holds(found[int(head)], rest)
    if not isinstance(found, Mapping):
        return False
    if path in found:
        return True
    return any(path.startswith(f"{name}.") and _holds(found[name], path[len(name) + 1 :]) for name in found)
