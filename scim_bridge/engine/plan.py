"""The order of a Bulk request and the references between its operations (RFC 7644 §3.7). Pure.

An operation may refer to what another one creates by `bulkId:<bulkId>`, also forwards. Operations run in the order of
the request, except that a creation runs before the first operation that refers to it. Creations that refer to each
other in a circle form a ring: RFC 7644 §3.7.1 wants an attempt, so each is created without the references that cannot
be resolved yet, and completed when all are there. A ring stands or falls as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scim2_models import ConflictException, InvalidSyntaxException, InvalidValueException

from scim_bridge.engine.offers import MAX_OPERATIONS
from scim_bridge.errors import TooLarge

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"

_REFERENCE = re.compile(r"bulkId:(.+)", re.DOTALL)
#: In the path of a PATCH operation: members[value eq "bulkId:qwerty"].
_QUOTED = re.compile(r'"bulkId:([^"]+)"')
_METHODS = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class BulkOperation:
    """One operation as it was sent, its names found in any letter case."""

    method: str = ""
    path: str = ""
    bulk_id: str | None = None
    version: str | None = None
    data: Any = None
    #: What is wrong with it, if anything: it is answered in its place, and the others run.
    problem: str | None = None

    @classmethod
    def read(cls, raw: Any) -> BulkOperation:
        """Return the operation; whatever is missing or of the wrong kind is its `problem`."""
        if not isinstance(raw, Mapping):
            return cls(problem="Operations: every operation must be an object.")
        named = {name.lower(): value for name, value in raw.items()}
        method, path, bulk_id, version = (named.get(name) for name in ("method", "path", "bulkid", "version"))
        method = method.upper() if isinstance(method, str) else ""
        problem = _problem(method, path, bulk_id, version, named.get("data"))
        return cls(
            method,
            path if isinstance(path, str) else "",
            bulk_id if isinstance(bulk_id, str) else None,
            version if isinstance(version, str) else None,
            named.get("data"),
            problem,
        )


@dataclass(frozen=True)
class BulkRequest:
    """A Bulk request whose envelope is in order."""

    operations: Sequence[BulkOperation]
    #: After so many errors the rest is left alone; None runs everything.
    fail_on_errors: int | None = None

    @classmethod
    def read(cls, raw: Any) -> BulkRequest:
        """Return the request. Raises InvalidSyntax, InvalidValue and, over `maxOperations`, TooLarge."""
        if not isinstance(raw, Mapping):
            raise InvalidSyntaxException(detail="The body must be a BulkRequest object.")
        named = {name.lower(): value for name, value in raw.items()}
        if not isinstance(named.get("schemas"), list) or BULK_REQUEST not in named["schemas"]:
            raise InvalidValueException(detail=f"schemas: must hold {BULK_REQUEST}.")
        operations = named.get("operations")
        if not isinstance(operations, list) or not operations:
            raise InvalidSyntaxException(detail="Operations: must be a list of one or more operations.")
        if len(operations) > MAX_OPERATIONS:
            raise TooLarge(detail=f"{len(operations)} operations are more than the maxOperations, {MAX_OPERATIONS}.")
        return cls([BulkOperation.read(each) for each in operations], _fail_on_errors(named.get("failonerrors")))

    @cached_property
    def creations(self) -> Mapping[str, int]:
        """Return which operation creates what each bulkId stands for: the first POST that has it."""
        found: dict[str, int] = {}
        for index, operation in enumerate(self.operations):
            if operation.method == "POST" and operation.bulk_id is not None:
                found.setdefault(operation.bulk_id, index)
        return found

    def steps(self) -> Iterator[tuple[int, ...]]:
        """Yield the operations in the order to run them, those of a ring together."""
        creations = self.creations
        wanted = [
            [creations[name] for name in references(each) if name in creations] if each.problem is None else []
            for each in self.operations
        ]
        for ring in _rings(wanted):
            yield tuple(sorted(ring))

    def is_ring(self, step: Sequence[int]) -> bool:
        """Tell whether the operations of a step refer to each other, or the one of it to itself."""
        creations = self.creations
        return any(creations.get(name) in step for index in step for name in references(self.operations[index]))


def references(operation: BulkOperation) -> list[str]:
    """Return the bulkIds an operation refers to, each once, in their order."""
    found: list[str] = []

    def note(name: str) -> str:
        found.append(name)
        return ""

    resolved(operation, note)
    return list(dict.fromkeys(found))


def resolved(operation: BulkOperation, find: Callable[[str], str]) -> tuple[str, Any]:
    """Return the path and the data of an operation with every reference replaced by what `find` returns."""
    path = "/".join(_replaced(segment, find) for segment in operation.path.split("/"))
    return path, _replaced(operation.data, find)


def without(data: Any, names: Iterable[str]) -> Any:
    """Return the data of a creation without the references to these bulkIds, and without what only held one.

    A reference is the `value` of a complex attribute (RFC 7643 §2.4): the whole of it goes, `type` and all.
    """
    return _pruned(data, frozenset(names))


def not_created(name: str) -> ConflictException:
    """Return the error of a reference to what is not there (RFC 7644 §3.7.2)."""
    return ConflictException(detail=f"No resource was created with the bulkId {name}.")


def _problem(method: str, path: Any, bulk_id: Any, version: Any, data: Any) -> str | None:
    if method not in _METHODS:
        return f"method: must be one of {', '.join(_METHODS)}."
    if not isinstance(path, str) or not path:
        return "path: must be the relative address of a resource or of a type of resource."
    if not isinstance(bulk_id, str | None) or (method == "POST" and not bulk_id):
        return "bulkId: a text is required for POST (RFC 7644 §3.7)."
    if not isinstance(version, str | None):
        return "version: must be a text."
    return "data: is required unless the method is DELETE." if data is None and method != "DELETE" else None


def _fail_on_errors(raw: Any) -> int | None:
    if raw is None:
        return None
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1:
        raise InvalidValueException(detail="failOnErrors: must be a whole number from 1 on.")
    return raw


def _replaced(value: Any, find: Callable[[str], str], *, is_path: bool = False) -> Any:
    if isinstance(value, str):
        if "bulkId:" not in value:
            return value
        if is_path:
            return _QUOTED.sub(lambda match: f'"{find(match[1])}"', value)
        match = _REFERENCE.fullmatch(value)
        return find(match[1]) if match else value
    if isinstance(value, list):
        return [_replaced(each, find) for each in value]
    if isinstance(value, Mapping):
        return {name: _replaced(each, find, is_path=name.lower() == "path") for name, each in value.items()}
    return value


class _Missing:
    """What stands where a reference was."""


_MISSING = _Missing()


def _pruned(value: Any, names: frozenset[str]) -> Any:
    if isinstance(value, str):
        match = _REFERENCE.fullmatch(value)
        return _MISSING if match and match[1] in names else value
    if isinstance(value, list):
        return [kept for each in value if (kept := _pruned(each, names)) is not _MISSING]
    if isinstance(value, Mapping):
        kept = {name: _pruned(each, names) for name, each in value.items()}
        if any(each is _MISSING and name.lower() in ("value", "$ref") for name, each in kept.items()):
            return _MISSING
        return {name: each for name, each in kept.items() if each is not _MISSING}
    return value


def _rings(wanted: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the strongly connected components of "needs", what is needed first (Tarjan's algorithm).

    Without recursion, so that a long chain of references cannot exhaust the stack.
    """
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for root in range(len(wanted)):
        work = [] if root in number else [(root, iter(wanted[root]))]
        while work:
            node, needs = work[-1]
            if node not in number:
                number[node] = lowest[node] = len(number)
                path.append(node)
                on_path.add(node)
            following = next((need for need in needs if _is_news(node, need, number, lowest, on_path)), None)
            if following is not None:
                work.append((following, iter(wanted[following])))
                continue
            work.pop()
            if work:
                lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[node])
            if lowest[node] == number[node]:
                ring = path[path.index(node) :]
                del path[-len(ring) :]
                on_path.difference_update(ring)
                yield ring


def _is_news(node: int, need: int, number: Mapping[int, int], lowest: dict[int, int], on_path: set[int]) -> bool:
    """Tell whether a needed operation was not visited; note how far back one on the path reaches."""
    if need not in number:
        return True
    if need in on_path:
        lowest[node] = min(lowest[node], number[need])
    return False
