"""An attribute as the order of a list (RFC 7644 §3.4.2.3)."""

from __future__ import annotations

from django.db.models import DateTimeField, Field, TextField
from django.db.models.expressions import OrderBy

from governance.identity.conditions.columns import Column, finder
from governance.identity.conditions.document import first_value
from governance.identity.conditions.fragments import Fragment
from governance.identity.conditions.language import InvalidCondition, attribute_of
from governance.identity.conditions.sql import Template
from governance.identity.conditions.terms import About, Attribute, Kind


def ordered_by(about: About, name: str, *, descending: bool) -> OrderBy:
    """Return the order by an attribute: without letter case, by code point, without a value last (first if descending).

    Of a list, the primary element counts, else the first. Raises InvalidCondition.
    """
    attribute = attribute_of(about, name)
    field: Field[object, object] = DateTimeField() if attribute.kind is Kind.INSTANT else TextField()
    value = _value(about, attribute)
    collation = "" if attribute.kind is Kind.INSTANT else ' COLLATE "C"'
    expression = Template(f"{value.sql}{collation}", value.params, field)
    return OrderBy(expression, descending=descending)


def _value(about: About, attribute: Attribute) -> Fragment:
    source = finder(about)(attribute)
    if isinstance(source, Column):
        return Fragment(source.as_text())
    if attribute.name.partition(".")[0] in ("groups", "members"):
        raise InvalidCondition(f"A list cannot be sorted by {attribute.name}.")
    return first_value(attribute)
