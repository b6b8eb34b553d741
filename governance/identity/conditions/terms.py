"""A condition as values: what the parser makes, and what the SQL compiler and the predicate read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum


class About(StrEnum):
    """What a condition selects."""

    PEOPLE = "people"
    GROUPS = "groups"


class Kind(Enum):
    """How values of an attribute compare."""

    TEXT = "text"
    BOOLEAN = "true or false"
    INSTANT = "date and time"
    BINARY = "binary data"
    COMPLEX = "complex"


class Operator(StrEnum):
    """The operators of RFC 7644 §3.4.2.2 without `ne`, which is parsed as "not eq", and `pr`, which is `Present`."""

    EQ = "eq"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


Value = str | bool | datetime | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the schema, found.

    `path` are the keys in the document that lead to it, spelled as the schema spells them. When it lies in a list
    (`emails.type`), `path` leads to the list and `part` is the key in each element; the elements of a list without
    parts (`schemas`) are the values themselves. Inside an element `path` is empty.
    """

    name: str
    path: tuple[str, ...]
    part: str | None
    is_list: bool
    kind: Kind
    is_case_exact: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value of the attribute stands in the relation to `value`. `EQ` with None: there is no value."""

    attribute: Attribute
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value that is not empty."""

    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: Term


@dataclass(frozen=True, slots=True)
class All:
    """Every term holds."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """At least one term holds."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the list satisfies the whole term: `emails[type eq "work" and value co "@"]`."""

    attribute: Attribute
    term: Term


@dataclass(frozen=True, slots=True)
class Undeclared:
    """The attribute belongs to another type of resource. Neither this nor its negation holds (Kleene's unknown)."""

    name: str


Term = Comparison | Present | Not | All | Any | Element | Undeclared


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed and checked condition about people or about groups. `str(condition)` is the text it came from."""

    about: About
    text: str
    term: Term

    def __str__(self) -> str:
        return self.text


def attributes_of(term: Term) -> frozenset[str]:
    """Return the names of every attribute a term reads."""
    match term:
        case Comparison(attribute) | Present(attribute):
            return frozenset({attribute.name})
        case Not(inner):
            return attributes_of(inner)
        case All(terms) | Any(terms):
            return frozenset[str]().union(*(attributes_of(each) for each in terms))
        case Element(attribute, inner):
            return attributes_of(inner) | {attribute.name}
        case Undeclared():
            return frozenset()
