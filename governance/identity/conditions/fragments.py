"""Pieces of SQL with their parameters, and how a term becomes one piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any as AnyType
from typing import Protocol

from governance.identity.conditions import terms
from governance.identity.conditions.folding import comparable
from governance.identity.conditions.terms import Attribute, Comparison, Kind, Operator, Term


@dataclass(frozen=True, slots=True)
class Fragment:
    """A boolean SQL expression; `{field}` stands for a column of the model that is queried, `%s` for a parameter."""

    sql: str
    params: tuple[AnyType, ...] = ()

    def negated(self) -> Fragment:
        """Return NOT this."""
        return Fragment(f"NOT ({self.sql})", self.params)

    def but_never_null(self) -> Fragment:
        """Return this with NULL counted as false."""
        return Fragment(f"COALESCE({self.sql}, FALSE)", self.params)


TRUE = Fragment("TRUE")
FALSE = Fragment("FALSE")
UNKNOWN = Fragment("NULL::boolean")


def all_of(fragments: Iterable[Fragment]) -> Fragment:
    """Return the conjunction."""
    return _joined(" AND ", fragments)


def any_of(fragments: Iterable[Fragment]) -> Fragment:
    """Return the disjunction."""
    return _joined(" OR ", fragments)


def _joined(word: str, fragments: Iterable[Fragment]) -> Fragment:
    parts = tuple(fragments)
    sql = word.join(f"({part.sql})" for part in parts)
    return Fragment(sql, tuple(param for part in parts for param in part.params))


class Source(Protocol):
    """Where the values of an attribute are, and so how SQL compares them."""

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison; its value is already checked, not yet folded."""

    def present(self, attribute: Attribute) -> Fragment:
        """Return "has a value that is not empty"."""

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Return "one element satisfies all of `inner`"."""


def compiled(term: Term, find: Callable[[Attribute], Source]) -> Fragment:
    """Return the SQL of a term whose attributes `find` locates."""
    match term:
        case terms.Comparison(attribute):
            return find(attribute).compare(term)
        case terms.Present(attribute):
            return find(attribute).present(attribute)
        case terms.Not(inner):
            return compiled(inner, find).negated()
        case terms.All(inner_terms):
            return all_of(compiled(each, find) for each in inner_terms)
        case terms.Any(inner_terms):
            return any_of(compiled(each, find) for each in inner_terms)
        case terms.Element(attribute, inner):
            return find(attribute).element(attribute, inner)
        case terms.Undeclared():
            return UNKNOWN


_SYMBOLS: Mapping[Operator, str] = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}


def relation(comparison: Comparison, value: Fragment) -> Fragment:
    """Return how the SQL expression `value` relates to the comparison's value. NULL when `value` is NULL.

    Texts are ordered by code point, whatever the collation of the database, as the predicate orders them.
    """
    operand = _operand(comparison)
    match comparison.operator:
        case Operator.EQ:
            return Fragment(f"{value.sql} = %s", (*value.params, operand))
        case Operator.CO:
            return Fragment(f"strpos({value.sql}, %s) > 0", (*value.params, operand))
        case Operator.SW:
            return Fragment(f"starts_with({value.sql}, %s)", (*value.params, operand))
        case Operator.EW:
            return Fragment(f"right({value.sql}, length(%s::text)) = %s", (*value.params, operand, operand))
        case _:
            collation = "" if comparison.attribute.kind is Kind.INSTANT else ' COLLATE "C"'
            return Fragment(f"{value.sql}{collation} {_SYMBOLS[comparison.operator]} %s", (*value.params, operand))


def _operand(comparison: Comparison) -> AnyType:
    value = comparable(comparison.attribute, comparison.value)
    return ("true" if value else "false") if isinstance(value, bool) else value
