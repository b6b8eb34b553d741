"""Whether one document satisfies a condition. The twin of `sql`: both are tested to agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from governance.identity.conditions import terms
from governance.identity.conditions.folding import comparable
from governance.identity.conditions.terms import Attribute, Condition, Kind, Operator, Term, Value


def holds(condition: Condition, document: Mapping[str, Any]) -> bool:
    """Tell whether the condition selects this document.

    `document` is the SCIM view of one resource: the canonical document with `id`, `active`, `meta` and, when the
    condition reads them, `groups` or `members`. Instants may be datetimes or RFC 3339 texts.
    """
    return _evaluate(condition.term, document) is True


def _evaluate(term: Term, document: Mapping[str, Any]) -> bool | None:
    """Return true, false, or None for unknown (an attribute of another type of resource)."""
    match term:
        case terms.Comparison(attribute, operator, value):
            return _compare(attribute, operator, value, document)
        case terms.Present(attribute):
            return any(_is_present(value) for value in _values(attribute, document))
        case terms.Not(inner):
            result = _evaluate(inner, document)
            return None if result is None else not result
        case terms.All(inner_terms):
            return _conjunction(_evaluate(each, document) for each in inner_terms)
        case terms.Any(inner_terms):
            return _disjunction(_evaluate(each, document) for each in inner_terms)
        case terms.Element(attribute, inner):
            return any(_evaluate(inner, element) is True for element in _elements(attribute, document))
        case terms.Undeclared():
            return None


def _conjunction(results: Iterable[bool | None]) -> bool | None:
    seen = set(results)
    if False in seen:
        return False
    return None if None in seen else True


def _disjunction(results: Iterable[bool | None]) -> bool | None:
    seen = set(results)
    if True in seen:
        return True
    return None if None in seen else False


def _compare(attribute: Attribute, operator: Operator, value: Value, document: Mapping[str, Any]) -> bool:
    if value is None:
        return any(each is None for each in _values(attribute, document))
    expected = comparable(attribute, value)
    return any(
        _relation(operator, comparable(attribute, _typed(attribute, each)), expected)
        for each in _values(attribute, document)
        if each is not None
    )


def _relation(operator: Operator, actual: Any, expected: Any) -> bool:
    match operator:
        case Operator.EQ:
            return bool(actual == expected)
        case Operator.CO:
            return expected in actual
        case Operator.SW:
            return bool(actual.startswith(expected))
        case Operator.EW:
            return bool(actual.endswith(expected))
        case Operator.GT:
            return bool(actual > expected)
        case Operator.GE:
            return bool(actual >= expected)
        case Operator.LT:
            return bool(actual < expected)
        case Operator.LE:
            return bool(actual <= expected)


def _typed(attribute: Attribute, value: Any) -> Any:
    if attribute.kind is Kind.INSTANT and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _values(attribute: Attribute, document: Mapping[str, Any]) -> list[Any]:
    """Return every value of the attribute; a missing one counts as a single None."""
    if not attribute.path:
        return [document.get(attribute.part or "")]
    found = _reach(document, attribute.path)
    if not attribute.is_list or found is None:
        return [found]
    return [element if attribute.part is None else element.get(attribute.part) for element in found]


def _elements(attribute: Attribute, document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = _reach(document, attribute.path)
    return found if isinstance(found, list) else []


def _reach(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _is_present(value: Any) -> bool:
    """Tell whether a value is "non-empty or non-null" (RFC 7644 §3.4.2.2): false is a value, an empty text is not."""
    if isinstance(value, Mapping):
        return any(_is_present(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_is_present(inner) for inner in value)
    return value is not None and value != ""
