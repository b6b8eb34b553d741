"""The one condition language: SCIM filter expressions (RFC 7644 §3.4.2.2), parsed once into terms.

Birthright rules, review scopes and the SCIM door's `filter` all come through here. The grammar is scim2-models';
names, types and operators are checked here, so that a condition that was accepted can always be evaluated.
Beyond the RFC: a bare name that the core schema lacks is looked up in the enterprise extension
(`department eq "Finance"`), and `emails[type eq "work"].value eq "x"` is understood, as Microsoft Entra sends it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from inspect import isclass
from typing import Any as AnyType

from scim2_models import BaseModel, Extension, InvalidFilterException, Mutability, Resource, Returned, ScimFilter
from scim2_models import path as scim

from governance.core.errors import Invalid
from governance.identity.conditions import terms
from governance.identity.conditions.schemas import ENTERPRISE_USER, GroupModel, UserModel
from governance.identity.conditions.terms import About, Attribute, Condition, Kind, Operator, Term

MAX_LENGTH = 4096
MAX_DEPTH = 16
MAX_TERMS = 100

#: Declared, but not kept in a form that could be compared: what the server makes from its own address, and secrets.
NOT_COMPARABLE = frozenset(
    {"meta.location", "password", "groups.$ref", "groups.type", "members.$ref", "members.type", "members.display"}
)

_ORDERING = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})
_SUBSTRING = frozenset({Operator.CO, Operator.SW, Operator.EW})
_OPERATORS: Mapping[Kind, frozenset[Operator]] = {
    Kind.TEXT: frozenset(Operator),
    Kind.BOOLEAN: frozenset({Operator.EQ}),
    Kind.BINARY: frozenset({Operator.EQ}),
    Kind.INSTANT: _ORDERING | {Operator.EQ},
    Kind.COMPLEX: frozenset(),
}


class InvalidCondition(Invalid):
    """The condition cannot be understood, is too large, or compares what cannot be compared."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__({"condition": sentence})


class UnknownAttribute(InvalidCondition):
    """The condition names an attribute that does not exist."""


def about_people(text: str) -> Condition:
    """Return the condition about people that `text` spells, or raise InvalidCondition."""
    return _plain_equality(About.PEOPLE, text) or _condition(About.PEOPLE, text, _refuse_unknown)


def about_groups(text: str) -> Condition:
    """Return the condition about groups that `text` spells, or raise InvalidCondition."""
    return _plain_equality(About.GROUPS, text) or _condition(About.GROUPS, text, _refuse_unknown)


def about_both(text: str, *others: type[Resource[AnyType]]) -> Mapping[About, Condition]:
    """Return the condition for people and for groups, for a search over both (RFC 7644 §3.4.2.1).

    An attribute that only one of the two has is unknown for the other, and never selects there, negated or not.
    One that neither has is refused, unless a resource of the `others` that are searched too has it.
    """
    searched = [*_NAMESPACES.values(), *(_namespace(model) for model in others)]
    for path in _Paths().visit(_parse(text)):
        if not any(names.find(path) for names in searched):
            _refuse_unknown(str(path))
    return {about: _condition(about, text, terms.Undeclared) for about in About}


def term_about(model: type[Resource[AnyType]], text: str, *, is_among_others: bool = False) -> Term:
    """Return the checked term that `text` spells over resources of another model, for which the caller makes SQL.

    `is_among_others`: other types are searched too, so that an attribute this one lacks is unknown, not refused.
    """
    return _Builder(_namespace(model), terms.Undeclared if is_among_others else _refuse_unknown).visit(_parse(text))


def attribute_of(about: About, name: str) -> Attribute:
    """Return the attribute that `name` names (`emails` means `emails.value`), or raise InvalidCondition."""
    term = _condition(about, f"{name} eq null", _refuse_unknown).term
    if not isinstance(term, terms.Comparison):
        raise InvalidCondition(f"{name!r} is not the name of one attribute.")
    return term.attribute


def is_plain_equality(text: str) -> bool:
    """Tell whether a condition compares one name or id with a plain text: what providers ask before each write."""
    return _EQUALITY.fullmatch(text) is not None


_EQUALITY = re.compile(r'(userName|externalId|displayName|id) eq "([^"\\\x00-\x1f\ud800-\udfff]{1,320})"')


def _plain_equality(about: About, text: str) -> Condition | None:
    """Return the condition of a plain equality without parsing it: the grammar takes longer than the question."""
    found = _EQUALITY.fullmatch(text)
    attribute = _equality_attribute(about, found[1]) if found else None
    if found is None or attribute is None:
        return None
    return Condition(about, text, terms.Comparison(attribute, Operator.EQ, found[2]))


@cache
def _equality_attribute(about: About, name: str) -> Attribute | None:
    """Return the attribute, or None when this type lacks it."""
    try:
        return attribute_of(about, name)
    except UnknownAttribute:
        return None


def _refuse_unknown(name: str) -> Term:
    raise UnknownAttribute(f"There is no attribute {name!r}.")


def _condition(about: About, text: str, unknown: Callable[[str], Term]) -> Condition:
    return Condition(about, text, _Builder(_NAMESPACES[about], unknown).visit(_parse(text)))


def _parse(text: str) -> scim.FilterNode:
    if len(text) > MAX_LENGTH:
        raise InvalidCondition(f"The condition is longer than {MAX_LENGTH} characters.")
    try:
        node = ScimFilter[AnyType](text).ast
    except InvalidFilterException as error:
        raise InvalidCondition(f"The condition cannot be read: {error.detail}.") from error
    depth, count = _Size().visit(node)
    if depth > MAX_DEPTH:
        raise InvalidCondition(f"The condition nests more than {MAX_DEPTH} levels.")
    if count > MAX_TERMS:
        raise InvalidCondition(f"The condition has more than {MAX_TERMS} comparisons.")
    return node


class _Size(scim.FilterVisitor[tuple[int, int]]):
    """Depth and number of comparisons of a parsed filter."""

    def visit_comparison(self, node: scim.Comparison) -> tuple[int, int]:
        return 1, 1

    def visit_present(self, node: scim.Present) -> tuple[int, int]:
        return 1, 1

    def visit_not(self, node: scim.Not) -> tuple[int, int]:
        depth, count = self.visit(node.expr)
        return depth + 1, count

    def visit_logical_expr(self, node: scim.LogicalExpr) -> tuple[int, int]:
        sizes = [self.visit(term) for term in node.terms]
        return max(depth for depth, _ in sizes) + 1, sum(count for _, count in sizes)

    def visit_value_path(self, node: scim.ValuePath) -> tuple[int, int]:
        depth, count = self.visit(node.val_filter)
        return depth + 1, count


class _Paths(scim.FilterVisitor[list[scim.AttrPath]]):
    """Every attribute path outside brackets, as written."""

    def visit_comparison(self, node: scim.Comparison) -> list[scim.AttrPath]:
        return [node.attr_path]

    def visit_present(self, node: scim.Present) -> list[scim.AttrPath]:
        return [node.attr_path]

    def visit_not(self, node: scim.Not) -> list[scim.AttrPath]:
        return self.visit(node.expr)

    def visit_logical_expr(self, node: scim.LogicalExpr) -> list[scim.AttrPath]:
        return [path for term in node.terms for path in self.visit(term)]

    def visit_value_path(self, node: scim.ValuePath) -> list[scim.AttrPath]:
        return [node.attr_path]


@dataclass(frozen=True, slots=True)
class _Namespace:
    """Where the attribute names of a condition are looked up."""

    resolver: ScimFilter[AnyType]
    #: Extensions whose attributes may be named without their URN.
    extensions: tuple[str, ...]

    def find(self, written: scim.AttrPath) -> scim.AttributeBinding | None:
        """Return the attribute a written path names, or None when there is none."""
        candidates = [written]
        if written.uri is None:
            candidates += [scim.AttrPath(written.attr, written.sub_attr, urn) for urn in self.extensions]
        found = (self.resolver.resolve(candidate, strict=False) for candidate in candidates)
        return next((binding for binding in found if binding is not None), None)


@cache
def _namespace(model: type[Resource[AnyType]], *extensions: str) -> _Namespace:
    return _Namespace(ScimFilter.__class_getitem__(model)("id pr"), extensions)


_NAMESPACES = {About.PEOPLE: _namespace(UserModel, ENTERPRISE_USER), About.GROUPS: _namespace(GroupModel)}


class _Builder(scim.FilterVisitor[Term]):
    """Turn the grammar's tree into checked terms."""

    def __init__(self, names: _Namespace, unknown: Callable[[str], Term], inside: scim.AttrPath | None = None) -> None:
        self.names = names
        self.unknown = unknown
        #: The list whose brackets we are in.
        self.inside = inside

    def visit_comparison(self, node: scim.Comparison) -> Term:
        binding = self._find(node.attr_path)
        if binding is None:
            return self._missing(node.attr_path)
        binding = self._compared(binding, node.attr_path)
        attribute = self._attribute(binding)
        is_negated = node.op is scim.CompareOperator.ne
        operator = Operator.EQ if is_negated else Operator(node.op.value)
        term = terms.Comparison(attribute, operator, _checked_value(attribute, binding, operator, node.value))
        return terms.Not(term) if is_negated else term

    def visit_present(self, node: scim.Present) -> Term:
        binding = self._find(node.attr_path)
        return self._missing(node.attr_path) if binding is None else terms.Present(self._attribute(binding))

    def visit_not(self, node: scim.Not) -> Term:
        return terms.Not(self.visit(node.expr))

    def visit_logical_expr(self, node: scim.LogicalExpr) -> Term:
        join = terms.All if node.op is scim.LogicalOperator.and_ else terms.Any
        return join(tuple(self.visit(term) for term in node.terms))

    def visit_value_path(self, node: scim.ValuePath) -> Term:
        binding = self._find(node.attr_path)
        if binding is None:
            return self._missing(node.attr_path)
        attribute = self._attribute(binding)
        if not attribute.is_list or attribute.kind is not Kind.COMPLEX:
            raise InvalidCondition(f"{attribute.name} is not a list of complex values, so [ ] does not apply to it.")
        return terms.Element(attribute, _Builder(self.names, _refuse_unknown, node.attr_path).visit(node.val_filter))

    def _missing(self, written: scim.AttrPath) -> Term:
        return self.unknown(str(written) if self.inside is None else f"{self.inside}.{written}")

    def _find(self, written: scim.AttrPath) -> scim.AttributeBinding | None:
        if self.inside is None:
            return self.names.find(written)
        if written.sub_attr is not None or written.uri is not None:
            return None
        return self.names.find(scim.AttrPath(self.inside.attr, written.attr, self.inside.uri))

    def _compared(self, binding: scim.AttributeBinding, written: scim.AttrPath) -> scim.AttributeBinding:
        """Return what a comparison reads: `emails co "x"` compares `emails.value` (RFC 7644 §3.4.2.2)."""
        if self.inside is not None or not binding.is_multivalued or binding.sub_field_name is not None:
            return binding
        return self.names.find(scim.AttrPath(written.attr, "value", written.uri)) or binding

    def _attribute(self, binding: scim.AttributeBinding) -> Attribute:
        schema = str(binding.model.__schema__)  # type: ignore[attr-defined]  # every resource and extension has one
        name = binding.urn.removeprefix(f"{schema}:")
        if name in NOT_COMPARABLE or _is_secret(binding):
            raise InvalidCondition(f"{name} cannot be used in a condition.")
        head, _, part = name.partition(".")
        prefix = (schema,) if issubclass(binding.model, Extension) else ()
        path = (*prefix, head) if binding.is_multivalued or not part else (*prefix, head, part)
        return Attribute(
            name=name,
            path=path if self.inside is None else (),
            part=part if binding.is_multivalued and part else None,
            is_list=binding.is_multivalued and self.inside is None,
            kind=_kind(binding),
            is_case_exact=binding.case_exact,
        )


def _is_secret(binding: scim.AttributeBinding) -> bool:
    return bool(
        binding.get_annotation(Mutability) == Mutability.write_only
        or binding.get_annotation(Returned) == Returned.never
    )


_KINDS: tuple[tuple[type, Kind], ...] = (
    (BaseModel, Kind.COMPLEX),
    (bool, Kind.BOOLEAN),
    (datetime, Kind.INSTANT),
    (bytes, Kind.BINARY),
    (str, Kind.TEXT),
)


def _kind(binding: scim.AttributeBinding) -> Kind:
    python = binding.target_type
    for base, kind in _KINDS:
        if isclass(python) and issubclass(python, base):
            return kind
    raise InvalidCondition(f"{binding.urn} cannot be used in a condition.")


def _checked_value(
    attribute: Attribute, binding: scim.AttributeBinding, operator: Operator, raw: AnyType
) -> terms.Value:
    """Return the value to compare with, in the type of the attribute."""
    if operator not in _OPERATORS[attribute.kind]:
        raise InvalidCondition(f"{operator} does not apply to {attribute.name} ({attribute.kind.value}).")
    if raw is None:
        if operator is Operator.EQ:
            return None
        raise InvalidCondition(f"{attribute.name} {operator} null can never hold; compare with a value.")
    if isinstance(raw, str) and not _is_storable(raw):
        raise InvalidCondition(f"The value for {attribute.name} holds a character that text cannot hold.")
    if attribute.kind is Kind.TEXT and not isinstance(raw, str):
        raise InvalidCondition(f'{attribute.name} is text; write the value in quotation marks: "{raw}".')
    return _coerced(attribute, binding, raw)


def _coerced(attribute: Attribute, binding: scim.AttributeBinding, raw: AnyType) -> terms.Value:
    try:
        value = scim.coerce_value(binding, raw)
    except InvalidFilterException as error:
        raise InvalidCondition(f"{raw!r} is not a value for {attribute.name} ({attribute.kind.value}).") from error
    if isinstance(value, datetime) and value.tzinfo is None:
        raise InvalidCondition(f"{raw!r} needs a time zone, for instance a Z at the end.")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value) if attribute.kind is Kind.TEXT else value


def _is_storable(text: str) -> bool:
    """Tell whether PostgreSQL can hold the text: neither NUL nor half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
