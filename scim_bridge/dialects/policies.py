"""How far each identity provider may depart from the RFC. Everything behind this is one strict engine.

A dialect is a policy of scim2-models plus what the door itself has to tolerate. `strict` is the RFC to the letter and
what conformance runs use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scim2_models import ScimPolicy

from governance.identity.conditions.folding import folded


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

    def document(self, type_name: str, raw: Any) -> Any:
        """Return the body of a POST or PUT of a resource of this type as the strict engine expects it."""
        return raw

    def patch(self, type_name: str, raw: Any) -> Any:
        """Return the body of a PATCH as the strict engine expects it."""
        return raw

    def filter(self, type_names: tuple[str, ...], text: str) -> str:
        """Return a filter over resources of these types as the strict engine expects it."""
        return text


_STRICT = Dialect("strict", ScimPolicy(comparison_key=_comparison_key), is_lenient_about_members=False)


def _lenient(name: str) -> Dialect:
    policy = ScimPolicy(
        # Okta sends urn:okta extensions, Entra an ADSCIM schema URN: kept, returned, never understood.
        unknown=ScimPolicy.Unknown.keep,
        remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        # Entra adds `phoneNumbers[type eq "mobile"].value` to a user who has none.
        unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
        comparison_key=_comparison_key,
    )
    return Dialect(name, policy, is_lenient_about_members=True)


DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (_STRICT, _lenient("okta"), _lenient("entra"))}
