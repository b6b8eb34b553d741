"""Attributes that live in the canonical document: jsonb, with a folded copy under a GIN index.

Equality is containment in the folded copy (`document_key @> …`), which the index answers; when letter case counts,
the exact document is asked as well. Everything else reads the value out. The folded copy has the same shape as the
document, with keys in lower case.
"""

from __future__ import annotations

import json
from typing import Any as AnyType

from governance.identity.conditions import terms
from governance.identity.conditions.folding import folded
from governance.identity.conditions.fragments import Fragment, all_of, any_of, compiled, relation
from governance.identity.conditions.language import InvalidCondition
from governance.identity.conditions.terms import Attribute, Comparison, Kind, Operator, Term

#: A text that is not empty, or any boolean or number, at any depth. A constant: no input enters it.
_SOMETHING = """'$.** ? (@.type() == "string" && @ != "" || @.type() == "boolean" || @.type() == "number")'"""
#: Strict and silent: what is not a list has no elements, while the lax mode would make a null one of them.
_ELEMENTS = "'strict $[*]', '{{}}', true"


class DocumentSource:
    """Values read from `document` and `document_key`."""

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison."""
        attribute = comparison.attribute
        if comparison.value is None:
            return _missing(comparison)
        if attribute.is_list:
            read_out = _any_element(attribute, ElementSource().compare(comparison))
        else:
            read_out = relation(comparison, _read_out(attribute)).but_never_null()
        if comparison.operator is not Operator.EQ:
            return read_out
        contained = _contains(attribute, _looked_for(comparison))
        return all_of((contained, read_out)) if attribute.is_case_exact else contained

    def present(self, attribute: Attribute) -> Fragment:
        """Return "has a value that is not empty"."""
        if attribute.is_list and attribute.part is not None:
            return _any_element(attribute, ElementSource().present(attribute))
        if attribute.is_list or attribute.kind is Kind.COMPLEX:
            sql = f"jsonb_path_exists({{document_key}} #> %s::text[], {_SOMETHING})"
            return Fragment(sql, (_folded_path(attribute),)).but_never_null()
        return Fragment("COALESCE({document_key} #>> %s::text[], '') <> ''", (_folded_path(attribute),))

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Return "one element satisfies all of `inner`", with what containment can answer in front."""
        conjuncts = inner.terms if isinstance(inner, terms.All) else (inner,)
        equal = [each for each in conjuncts if isinstance(each, Comparison) and _is_equality(each)]
        wanted = {part: value for each in equal for part, value in _looked_for_inside(each).items()}
        contained = _contains(attribute, [wanted])
        if len(wanted) == len(conjuncts) and not any(each.attribute.is_case_exact for each in equal):
            return contained
        exists = _any_element(attribute, compiled(inner, lambda _: ElementSource()))
        return all_of((contained, exists)) if wanted else exists


class ElementSource:
    """Values read from one element of a list, which `_any_element` calls `element`."""

    def compare(self, comparison: Comparison) -> Fragment:
        """Return the comparison."""
        value = _part(comparison.attribute)
        if comparison.value is None:
            return Fragment(f"{value.sql} IS NULL", value.params)
        return relation(comparison, value).but_never_null()

    def present(self, attribute: Attribute) -> Fragment:
        """Return "has a value that is not empty"."""
        value = _part(attribute)
        return Fragment(f"COALESCE({value.sql}, '') <> ''", value.params)

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Refuse: SCIM has no lists inside list elements."""
        raise InvalidCondition("Brackets cannot stand inside brackets.")


def first_value(attribute: Attribute) -> Fragment:
    """Return the SQL of the value that orders by this attribute: of a list, the primary element, else the first."""
    if not attribute.is_list:
        return _read_out(attribute)
    document = "{document}" if attribute.is_case_exact else "{document_key}"
    path = list(attribute.path) if attribute.is_case_exact else _folded_path(attribute)
    element = (
        f"COALESCE(jsonb_path_query_first({document} #> %s::text[], '$[*] ? (@.primary == true)'),"
        f" jsonb_path_query_first({document} #> %s::text[], '$[*]'))"
    )
    part = [] if attribute.part is None else [attribute.part if attribute.is_case_exact else attribute.part.lower()]
    return Fragment(f"{element} #>> %s::text[]", (path, path, part))


def _is_equality(comparison: Comparison) -> bool:
    return comparison.operator is Operator.EQ and comparison.value is not None


def _missing(comparison: Comparison) -> Fragment:
    attribute = comparison.attribute
    missing = Fragment("{document_key} #>> %s::text[] IS NULL", (_folded_path(attribute),))
    if not attribute.is_list or attribute.part is None:
        return missing
    return any_of((missing, _any_element(attribute, ElementSource().compare(comparison))))


def _read_out(attribute: Attribute) -> Fragment:
    if attribute.is_case_exact:
        return Fragment("{document} #>> %s::text[]", (list(attribute.path),))
    return Fragment("{document_key} #>> %s::text[]", (_folded_path(attribute),))


def _part(attribute: Attribute) -> Fragment:
    column = "element.exact" if attribute.is_case_exact else "element.folded"
    if attribute.part is None:
        return Fragment(f"{column} #>> ARRAY[]::text[]")
    return Fragment(f"{column} ->> %s", (attribute.part if attribute.is_case_exact else attribute.part.lower(),))


def _any_element(attribute: Attribute, inner: Fragment) -> Fragment:
    elements = (
        f"ROWS FROM (jsonb_path_query({{document_key}} #> %s::text[], {_ELEMENTS}),"
        f" jsonb_path_query({{document}} #> %s::text[], {_ELEMENTS})) AS element(folded, exact)"
    )
    sql = f"EXISTS (SELECT 1 FROM {elements} WHERE {inner.sql})"  # noqa: S608 - constants; values are parameters
    return Fragment(sql, (_folded_path(attribute), list(attribute.path), *inner.params))


def _folded_path(attribute: Attribute) -> list[str]:
    return [name.lower() for name in attribute.path]


def _contains(attribute: Attribute, value: AnyType) -> Fragment:
    for name in reversed(_folded_path(attribute)):
        value = {name: value}
    return Fragment("{document_key} @> %s::jsonb", (json.dumps(value),))


def _looked_for(comparison: Comparison) -> AnyType:
    if not comparison.attribute.is_list:
        return _folded_value(comparison)
    return [_folded_value(comparison) if comparison.attribute.part is None else _looked_for_inside(comparison)]


def _looked_for_inside(comparison: Comparison) -> dict[str, AnyType]:
    return {str(comparison.attribute.part).lower(): _folded_value(comparison)}


def _folded_value(comparison: Comparison) -> AnyType:
    return folded(comparison.value) if isinstance(comparison.value, str) else comparison.value
