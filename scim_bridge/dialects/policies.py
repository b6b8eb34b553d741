"""How far each identity provider may depart from the RFC. Everything behind this is one strict engine.

A dialect is a policy of scim2-models and the rules that turn what a provider sends into what the RFC describes. The
engine asks it three things: `document` for the body of every POST and PUT, `patch` for the body of every PATCH, and
`filter` for every filter, in the address or in a search body, within Bulk as outside. `strict` changes nothing and is
what conformance runs use; `default` has every rule, and none of them can change what a strict client means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim2_models import ScimPolicy

from governance.identity.conditions.folding import folded
from scim_bridge.dialects import documents, filters, operations, patches, unknown, values
from scim_bridge.dialects.shapes import SHAPES


def _comparison_key(binding: Any, text: str) -> str:
    """Compare in PATCH paths and uniqueness checks as filters do."""
    return text if binding.case_exact else folded(text)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of identity provider sends, and how much of it is taken as it is."""

    name: str
    policy: ScimPolicy
    #: `"members": ["id"]` and `remove` with a value array: only what is listed goes (Entra, JumpCloud, authentik).
    is_lenient_about_members: bool
    document_rules: tuple[documents.DocumentRule, ...] = ()
    value_rules: tuple[values.ValueRule, ...] = ()
    operation_rules: tuple[patches.OperationRule, ...] = ()
    filter_rules: tuple[filters.FilterRule, ...] = ()

    def document(self, type_name: str, raw: Any) -> Any:
        """Return the body of a POST or PUT of a resource of this type as the strict engine expects it.

        What is not an object is returned as it is, for the engine to refuse. Raises InvalidValueException.
        """
        shape = SHAPES.get(type_name)
        if shape is None or not isinstance(raw, Mapping):
            return raw
        for rule in self.document_rules:
            raw = rule(shape, raw)
        return values.normalised_document(shape, raw, self.value_rules) if self.value_rules else raw

    def patch(self, type_name: str, raw: Any, resource_id: str | None = None) -> Any:
        """Return the body of a PATCH as the strict engine expects it; None when nothing is left to do.

        `resource_id` is the id of what is patched: a value that repeats it is no change. Raises InvalidSyntax,
        InvalidPath, InvalidValue and Mutability exceptions of scim2-models.
        """
        shape = SHAPES.get(type_name)
        if shape is None or not self.operation_rules:
            return raw
        return patches.normalised_patch(patches.Target(shape, resource_id), raw, self.operation_rules)

    def kept(self, type_name: str, patch: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a patched document with what a PATCH (as `patch` returned it) says about unknown attributes.

        The engine passes over those; without this they would be answered with success and lost.
        """
        shape = SHAPES.get(type_name)
        if shape is None or not self.operation_rules or not isinstance(patch, Mapping):
            return document
        return unknown.with_unknown(shape, patch["Operations"], document)

    def filter(self, type_names: tuple[str, ...], text: str) -> str:
        """Return a filter over resources of these types as the strict engine expects it; never a wider one."""
        shapes = [SHAPES[name] for name in type_names if name in SHAPES]
        return filters.normalised_filter(shapes, text, self.filter_rules) if self.filter_rules else text


_LENIENT = ScimPolicy(
    # Okta sends urn:okta extensions and templates send their own attributes: kept, returned, never understood.
    unknown=ScimPolicy.Unknown.keep,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    # Entra adds `phoneNumbers[type eq "mobile"].value` to a user who has none.
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    comparison_key=_comparison_key,
)

#: What every provider does, or may do in a template that an administrator edits.
_DOCUMENTS: tuple[documents.DocumentRule, ...] = (
    documents.names_without_their_urn,
    documents.schemas_that_are_present,
    documents.no_unknown_nulls,
)
_FILTERS: tuple[filters.FilterRule, ...] = (
    filters.booleans_compared_as_booleans,
    filters.complex_compared_by_its_value,
)
_COMMON_VALUES: tuple[values.ValueRule, ...] = (
    values.lists_from_one,
    values.without_empty_elements,
    values.complex_from_text,
    values.without_read_only_parts,
    values.blank_is_unassigned,
    values.booleans_from_text,
)
#: Entra's alone: what else could it mean, but no other provider sends it.
_ENTRA_VALUES: tuple[values.ValueRule, ...] = (
    values.simple_from_wrapped,
    values.lists_from_one,
    values.roles_from_packed,
    *_COMMON_VALUES[1:],
)


def _operations(value_rules: tuple[values.ValueRule, ...]) -> tuple[patches.OperationRule, ...]:
    """Return the rules for a PATCH, in their order."""
    return (
        operations.split_by_key,
        operations.colon_after_urn,
        operations.without_echo,
        operations.qualified,
        operations.without_unknown,
        operations.whole_elements,
        operations.with_brackets(_FILTERS),
        operations.with_values(value_rules),
        operations.only_what_is_listed,
        operations.blank_removes,
        operations.merged_additions,
    )


def _lenient(name: str, value_rules: tuple[values.ValueRule, ...] = _COMMON_VALUES) -> Dialect:
    return Dialect(
        name=name,
        policy=_LENIENT,
        is_lenient_about_members=True,
        document_rules=_DOCUMENTS,
        value_rules=value_rules,
        operation_rules=_operations(value_rules),
        filter_rules=_FILTERS,
    )


_ALL = (
    _lenient("default", _ENTRA_VALUES),
    _lenient("okta"),
    _lenient("entra", _ENTRA_VALUES),
    _lenient("onelogin"),
    _lenient("jumpcloud"),
    _lenient("google"),
    _lenient("ping"),
    _lenient("authentik"),
    _lenient("keycloak"),
    Dialect("strict", ScimPolicy(comparison_key=_comparison_key), is_lenient_about_members=False),
)

#: What people call them is `governance.identity.connections.dialects`; a test holds that both lists are the same.
DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
