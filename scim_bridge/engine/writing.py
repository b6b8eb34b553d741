"""One write of one resource: what a single request does, and an operation of a Bulk request as well.

Each method has to run inside `Directory.operation()`, which makes it all or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scim2_models import Context, PatchOp, Resource, ResourceType
from scim2_server.conditions import Conditions
from scim2_server.errors import MethodNotAllowedException

from scim_bridge.dialects.policies import Dialect
from scim_bridge.engine.bounds import check_names, check_operations, check_steps
from scim_bridge.engine.offers import READ_ONLY
from scim_bridge.engine.service import Service
from scim_bridge.engine.simple import changed, is_simple_user, simple_changes
from scim_bridge.members import NO_CHANGE, split_members, split_operations
from scim_bridge.storage.directory import Directory, document, resource

UNCONDITIONAL = Conditions()


class Writer:
    """Creates, replaces, modifies and deletes on behalf of one connection."""

    def __init__(self, service: Service, storage: Directory, dialect: Dialect) -> None:
        self.service = service
        self.storage = storage
        self.dialect = dialect

    def create(self, resource_type: ResourceType, raw: Any) -> Any:
        """Return the row of a new resource (RFC 7644 §3.3)."""
        if resource_type.name == "User" and is_simple_user(raw):
            return self.storage.users.write(None, {"active": True, **raw})
        self._refuse_read_only(resource_type)
        check_names(raw)
        model = self.service.get_model(resource_type)
        raw = self.dialect.document(str(resource_type.name), raw)
        if resource_type.name == "User":
            new = document(self.service.validated(model, raw, Context.RESOURCE_CREATION_REQUEST))
            return self.storage.users.write(None, {"active": True, **new})
        members, rest = split_members(raw, lenient=self.dialect.is_lenient_about_members)
        new = document(self.service.validated(model, rest, Context.RESOURCE_CREATION_REQUEST))
        return self.storage.groups.write(None, new, members)

    def replace(self, resource_type: ResourceType, scim_id: str, raw: Any, conditions: Conditions) -> Any:
        """Return the row of a replaced resource (RFC 7644 §3.5.1)."""
        self._refuse_read_only(resource_type)
        row = self._locked(resource_type, scim_id, conditions, "PUT")
        check_names(raw)
        model = self.service.get_model(resource_type)
        raw = self.dialect.document(str(resource_type.name), raw)
        current = self._current(resource_type, row)
        members: list[str] = []
        if resource_type.name == "Group":
            members, raw = split_members(raw, lenient=self.dialect.is_lenient_about_members)
        replacement = self.service.validated(model, raw, Context.RESOURCE_REPLACEMENT_REQUEST)
        replacement.replace(current)
        if resource_type.name == "Group":
            return self.storage.groups.write(row, document(replacement), members)
        # Left out, `active` keeps its value: a PUT that does not mention it must not bring a leaver back.
        # Once removed by a PATCH it stays unassigned, so that what was read can be sent back unchanged.
        # It is the directory's word that is kept, which the brake may hold (`lifecycle.actions.leave`).
        kept = {"active": row.document["active"]} if "active" in row.document else {}
        return self.storage.users.write(row, {**kept, **document(replacement)})

    def patch(self, resource_type: ResourceType, scim_id: str, raw: Any, conditions: Conditions) -> Any:
        """Return the row of a modified resource (RFC 7644 §3.5.2)."""
        if resource_type.name == "User" and (changes := simple_changes(raw)) is not None:
            row = self._locked(resource_type, scim_id, conditions, "PATCH")
            if (new := changed(row.document, changes)) is not None:
                return row if new == row.document else self.storage.users.write(row, new)
        self._refuse_read_only(resource_type)
        check_operations(raw)
        raw = self.dialect.patch(str(resource_type.name), raw, scim_id)
        if resource_type.name == "User":
            return self._patched_user(resource_type, scim_id, raw, conditions)
        return self._patched_group(resource_type, scim_id, raw, conditions)

    def delete(self, resource_type: ResourceType, scim_id: str, conditions: Conditions) -> None:
        """Delete a resource (RFC 7644 §3.6): a user leaves, and their history stays."""
        self._refuse_read_only(resource_type)
        row = self._locked(resource_type, scim_id, conditions, "DELETE")
        self.storage.shelf(resource_type).adapter(row).delete()

    def _refuse_read_only(self, resource_type: ResourceType) -> None:
        if resource_type.name in READ_ONLY:
            raise MethodNotAllowedException(allowed=["GET"], detail=f"{resource_type.endpoint} is read-only here.")

    def _locked(self, resource_type: ResourceType, scim_id: str, conditions: Conditions, method: str) -> Any:
        """Return the row, locked, once the conditional headers of the request hold."""
        shelf = self.storage.shelf(resource_type)
        row = shelf.locked(scim_id)
        conditions.check(shelf.adapter(row).version, method)
        return row

    def _current(self, resource_type: ResourceType, row: Any) -> Resource[Any]:
        """Return the stored resource without its links: a PATCH of a user does not read their groups."""
        return resource(resource_type, self.storage.shelf(resource_type).adapter(row).to_dict())

    def _patched_user(self, resource_type: ResourceType, scim_id: str, raw: Any, conditions: Conditions) -> Any:
        operations = None if raw is None else self.service.patch_op(resource_type, raw)
        row = self._locked(resource_type, scim_id, conditions, "PATCH")
        new = self._patched(resource_type, row, operations, raw)
        # Removed, `active` reads as unassigned and the person stays what they are (RFC 7644 §3.5.2.2).
        return row if new is None else self.storage.users.write(row, new)

    def _patched_group(self, resource_type: ResourceType, scim_id: str, raw: Any, conditions: Conditions) -> Any:
        change, rest = NO_CHANGE, None
        if raw is not None:
            change, rest = split_operations(raw, lenient=self.dialect.is_lenient_about_members)
        operations = None if rest is None else self.service.patch_op(resource_type, rest)
        row = self._locked(resource_type, scim_id, conditions, "PATCH")
        new = self._patched(resource_type, row, operations, rest)
        if new is not None:
            self.storage.groups.write(row, new, None)
        if change != NO_CHANGE:
            self.storage.groups.change(row, change)
        return row

    def _patched(
        self, resource_type: ResourceType, row: Any, operations: PatchOp[Any] | None, raw: Any
    ) -> Mapping[str, Any] | None:
        """Return the document after the operations, unknown attributes included; None when nothing changed."""
        if operations is None:
            return None
        check_steps(raw, row.document)
        current = self._current(resource_type, row)
        is_changed = operations.patch(current)
        patched = document(current)
        kept = self.dialect.kept(str(resource_type.name), raw, patched)
        return kept if is_changed or kept != patched else None
