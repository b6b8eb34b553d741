"""A condition in plain words: `department is “Finance” and not (type of person is “Contractor”)`."""

from __future__ import annotations

import re

from governance.identity.conditions.terms import (
    All,
    Any,
    Attribute,
    Comparison,
    Element,
    Kind,
    Not,
    Operator,
    Present,
    Term,
    Undeclared,
)

#: What people call what the schema names otherwise.
NAMES = {
    "userName": "user name",
    "displayName": "name",
    "userType": "type of person",
    "name.givenName": "given name",
    "name.familyName": "family name",
    "emails": "e-mails",
    "emails.value": "e-mails",
    "groups": "groups",
    "groups.value": "groups",
    "groups.display": "groups",
    "manager.value": "manager",
    "manager.displayName": "manager",
    "active": "active",
    "externalId": "id in the directory",
}
_RELATIONS = {
    Operator.EQ: "is",
    Operator.CO: "contains",
    Operator.SW: "begins with",
    Operator.EW: "ends with",
    Operator.GT: "is after",
    Operator.GE: "is not before",
    Operator.LT: "is before",
    Operator.LE: "is not after",
}


def words_of(term: Term) -> str:
    """Return a term in words. Brackets stand where they are needed to read it one way only."""
    match term:
        case Comparison():
            return _comparison(term)
        case Present(attribute):
            return _there(attribute, "is a")
        case Not(inner):
            return _negation(inner)
        case All(terms):
            return " and ".join(f"({words_of(each)})" if isinstance(each, Any) else words_of(each) for each in terms)
        case Any(terms):
            return " or ".join(f"({words_of(each)})" if isinstance(each, All) else words_of(each) for each in terms)
        case Element(attribute, inner):
            return f"one of the {name_of(attribute.name)} has ({words_of(inner)})"
        case Undeclared(name):
            return f"{name_of(name)} (which people do not have)"


def _negation(term: Term) -> str:
    match term:
        case Comparison(attribute, Operator.EQ, None):
            return _there(attribute, "is a")
        case Comparison(attribute, Operator.EQ, value) if not isinstance(value, bool):
            return f"{_subject(attribute)} {'do not include' if attribute.is_list else 'is not'} {_value(value)}"
        case Present(attribute):
            return _there(attribute, "is no")
        case inner:
            return f"not ({words_of(inner)})"


def name_of(attribute: str) -> str:
    """Return what an attribute is called: `employeeNumber` is the employee number."""
    if attribute in NAMES:
        return NAMES[attribute]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", attribute.replace(".", " ")).lower()


def _comparison(comparison: Comparison) -> str:
    attribute, operator, value = comparison.attribute, comparison.operator, comparison.value
    if value is None:
        return _there(attribute, "is no")
    if isinstance(value, bool):
        return f"{_subject(attribute)} is {'true' if value else 'false'}"
    if attribute.is_list and operator is Operator.EQ:
        return f"{_subject(attribute)} include {_value(value)}"
    if operator in (Operator.GT, Operator.GE, Operator.LT, Operator.LE) and attribute.kind is not Kind.INSTANT:
        return f"{_subject(attribute)} {_RELATIONS[operator]} {_value(value)} in the alphabet"
    if attribute.is_list:
        return f"one of the {_subject(attribute)} {_RELATIONS[operator]} {_value(value)}"
    return f"{_subject(attribute)} {_RELATIONS[operator]} {_value(value)}"


def _there(attribute: Attribute, which: str) -> str:
    plural = {"is a": "are", "is no": "are no"}
    return f"there {plural[which] if attribute.is_list else which} {name_of(attribute.name)}"


def _subject(attribute: Attribute) -> str:
    return name_of(attribute.name)


def _value(value: object) -> str:
    return f"“{value}”"
