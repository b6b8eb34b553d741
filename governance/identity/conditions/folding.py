"""The form in which texts are compared: letter case does not count, unless the schema says caseExact.

It is the form `profiles.normalised` gives the copy of each document that filters read, so that a literal in a
condition, the copy in the database and the predicate all agree.
"""

from __future__ import annotations

from governance.identity.conditions.terms import Attribute, Value
from governance.identity.profiles import normalised


def folded(text: str) -> str:
    """Return `text` without its letter case."""
    return str(normalised(text))


def comparable(attribute: Attribute, value: Value) -> Value:
    """Return what stands in for `value` in comparisons of this attribute."""
    return folded(value) if isinstance(value, str) and not attribute.is_case_exact else value
