"""Rules about one comparison of a filter. Each returns the comparison as the RFC wants it; none widens. Pure.

An attribute that does not exist is left as it is: the engine answers 400 `invalidFilter`, which is what keeps Ping's
documented `email Co "x"` from linking the wrong account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from scim2_models import InvalidFilterException, ScimFilter
from scim2_models import path as scim

from scim_bridge.dialects.shapes import Attribute, Shape

FilterRule = Callable[[Attribute, scim.Comparison], scim.Comparison]

#: Longer than any filter the engine takes: it is refused there, unread.
_TOO_LONG = 4096


def booleans_compared_as_booleans(part: Attribute, comparison: scim.Comparison) -> scim.Comparison:
    """Compare a boolean with "True" as with true: Entra's `roles[primary eq "True"]` (azure-docs 50772)."""
    if part.kind != "boolean" or not isinstance(comparison.value, str):
        return comparison
    text = comparison.value.strip().lower()
    return replace(comparison, value=text == "true") if text in ("true", "false") else comparison


def complex_compared_by_its_value(part: Attribute, comparison: scim.Comparison) -> scim.Comparison:
    """Compare `manager eq "id"` as `manager.value`: Entra asks so before it writes a reference (use-scim guide)."""
    is_whole = part.has_value and not part.is_list
    if not is_whole or comparison.attr_path.sub_attr is not None or not isinstance(comparison.value, str):
        return comparison
    return replace(comparison, attr_path=replace(comparison.attr_path, sub_attr="value"))


def normalised_filter(shapes: Iterable[Shape], text: str, rules: Iterable[FilterRule]) -> str:
    """Return the text of the filter after all rules; one that cannot be read is left for the engine to refuse."""
    if len(text) > _TOO_LONG:
        return text
    try:
        node = ScimFilter[Any](text).ast
    except InvalidFilterException:
        return text
    changed = _Rewriter(tuple(shapes), tuple(rules)).visit(node)
    return text if changed == node else str(changed)


def normalised_brackets(attribute: Attribute, node: scim.FilterNode, rules: Iterable[FilterRule]) -> scim.FilterNode:
    """Return what stands in the brackets after this attribute, after all rules."""
    return _Rewriter((), tuple(rules), attribute).visit(node)


class _Rewriter(scim.FilterVisitor[scim.FilterNode]):
    """Apply rules to every comparison whose attribute is known."""

    def __init__(
        self, shapes: tuple[Shape, ...], rules: tuple[FilterRule, ...], inside: Attribute | None = None
    ) -> None:
        self.shapes = shapes
        self.rules = rules
        self.inside = inside

    def visit_comparison(self, node: scim.Comparison) -> scim.FilterNode:
        part = self._part(node.attr_path)
        for rule in self.rules if part else ():
            node = rule(part, node)  # type: ignore[arg-type]  # no rules without a part
        return node

    def visit_present(self, node: scim.Present) -> scim.FilterNode:
        return node

    def visit_not(self, node: scim.Not) -> scim.FilterNode:
        return replace(node, expr=self.visit(node.expr))

    def visit_logical_expr(self, node: scim.LogicalExpr) -> scim.FilterNode:
        return replace(node, terms=tuple(self.visit(term) for term in node.terms))

    def visit_value_path(self, node: scim.ValuePath) -> scim.FilterNode:
        attribute = self._attribute(node.attr_path)
        if attribute is None:
            return node
        return replace(node, val_filter=normalised_brackets(attribute, node.val_filter, self.rules))

    def _part(self, path: scim.AttrPath) -> Attribute | None:
        """Return what a comparison reads: an attribute, or a part of one."""
        if self.inside is not None:
            return self.inside.parts.get(path.attr.lower())
        attribute = self._attribute(path)
        if attribute is None or path.sub_attr is None:
            return attribute
        return attribute.parts.get(path.sub_attr.lower())

    def _attribute(self, path: scim.AttrPath) -> Attribute | None:
        return next((found for shape in self.shapes if (found := shape.find(path)) is not None), None)
