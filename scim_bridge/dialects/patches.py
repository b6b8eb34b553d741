"""The body of a PATCH, read into operations and written again after the rules of a dialect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scim2_models import InvalidPathException, InvalidSyntaxException

from scim_bridge.dialects.shapes import Shape

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_VERBS = ("add", "remove", "replace")
ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation with its verb in lower case. `path` None: the whole resource; `value` absent is not null."""

    verb: str
    path: str | None = None
    value: Any = ABSENT
    #: It was a key of a value without a path.
    is_keyed: bool = False

    @property
    def has_value(self) -> bool:
        """Tell whether a value was sent, null included."""
        return self.value is not ABSENT

    @property
    def is_blank(self) -> bool:
        """Tell whether the value sent means "no value"."""
        return self.has_value and (self.value is None or self.value in ("", []))

    def as_sent(self) -> dict[str, Any]:
        """Return the operation as it stands in a PATCH."""
        path = {} if self.path is None else {"path": self.path}
        return {"op": self.verb, **path, **({"value": self.value} if self.has_value else {})}


@dataclass(frozen=True, slots=True)
class Target:
    """The resource a PATCH is about."""

    shape: Shape
    #: None where the id is not known before the write (none today).
    id: str | None = None


OperationRule = Callable[[Target, Operation], list[Operation]]


def normalised_patch(target: Target, raw: Any, rules: Iterable[OperationRule]) -> dict[str, Any] | None:
    """Return the body of a PATCH after all rules; None when nothing is left that could change anything.

    Raises InvalidSyntax, InvalidPath, InvalidValue and Mutability exceptions of scim2-models.
    """
    operations = _operations(raw)
    for rule in rules:
        operations = [each for operation in operations for each in rule(target, operation)]
    sent = [operation.as_sent() for operation in operations]
    return {"schemas": [PATCH_OP], "Operations": sent} if sent else None


def _operations(raw: Any) -> list[Operation]:
    if not isinstance(raw, Mapping):
        raise InvalidSyntaxException(detail="The body must be a PatchOp object.")
    listed = lowered(raw).get("operations")
    if not isinstance(listed, list) or not listed:
        raise InvalidSyntaxException(detail="Operations: must be a list of one or more operations.")
    return [_operation(each) for each in listed]


def _operation(raw: Any) -> Operation:
    """Read an operation whose verb and keys may have any letter case (Entra: `Add`, `Replace`, `Remove`)."""
    if not isinstance(raw, Mapping):
        raise InvalidSyntaxException(detail="Operations: every operation must be an object.")
    named = lowered(raw)
    verb = named.get("op")
    if not isinstance(verb, str) or verb.lower() not in _VERBS:
        raise InvalidSyntaxException(detail=f"op: {verb!r} is not one of add, remove, replace.")
    path = named.get("path")
    if path is not None and not isinstance(path, str):
        raise InvalidPathException(path=str(path), detail="path: must be a text.")
    return Operation(verb.lower(), path.strip() or None if path else None, named.get("value", ABSENT))


def lowered(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its names in lower case (RFC 7643 §2.1)."""
    return {str(name).lower(): value for name, value in raw.items()}
