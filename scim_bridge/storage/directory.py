"""Both shelves as the storage of scim2-server, so that its contract tests hold for them.

The handler of `scim_bridge.engine` reads plain dicts from the shelves; this class makes models of them, which the
protocol engine needs to apply a PATCH or a PUT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import transaction
from scim2_models import (
    NotImplementedException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimPolicy,
    SearchRequest,
)
from scim2_server.storage import ScimStorage, SearchPage

from governance.core.errors import DomainError, Invalid
from governance.identity.conditions.language import about_both, about_groups, about_people
from governance.identity.conditions.ordering import ordered_by
from governance.identity.conditions.schemas import GroupModel, UserModel
from governance.identity.conditions.terms import About, Condition
from scim_bridge.adapters import Caller
from scim_bridge.errors import scim_error
from scim_bridge.projection import Projection
from scim_bridge.storage.groups import Groups
from scim_bridge.storage.shelf import Listing, Shelf
from scim_bridge.storage.users import Users

#: Stored documents are read and written whole, whatever the dialect of the connection that asks.
_KEEP = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
_MODELS: Mapping[str, type[Resource[Any]]] = {"User": UserModel, "Group": GroupModel}

EVERYTHING = Projection()


class Directory(ScimStorage):
    """Users and groups of PostgreSQL, on behalf of one connection."""

    def __init__(self, caller: Caller, base_url: str = "") -> None:
        self.users = Users(caller, base_url)
        self.groups = Groups(caller, base_url)

    def shelf(self, resource_type: ResourceType) -> Shelf:
        """Return where resources of this type are."""
        return self.users if resource_type.name == "User" else self.groups

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Enclose one operation: all of it or nothing, and domain errors as SCIM errors."""
        try:
            with transaction.atomic():
                yield
        except DomainError as error:
            raise scim_error(error) from error

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        """Return a resource, without what the response leaves out."""
        asked = response_parameters or ResponseParameters()
        projection = Projection.of(asked.attributes, asked.excluded_attributes)
        shelf = self.shelf(resource_type)
        return resource(resource_type, shelf.views([shelf.row(resource_id)], projection)[0])

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        """Return a page of resources."""
        text = None if search_request.filter is None else str(search_request.filter)
        total, found = self.found(resource_types, text, search_request, EVERYTHING)
        return SearchPage(total, [resource(resource_type, view) for resource_type, view in found])

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Store a new resource."""
        with self.operation():
            return self._stored(resource_type, None, document(resource))

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        """Replace a resource."""
        with self.operation():
            row = self._locked(resource_type, str(resource.id), expected_version)
            return self._stored(resource_type, row, document(resource))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        """Delete a resource."""
        with self.operation():
            row = self._locked(resource_type, resource_id, expected_version)
            self.shelf(resource_type).adapter(row).delete()

    def found(
        self,
        resource_types: list[ResourceType],
        text: str | None,
        request: SearchRequest[Any],
        projection: Projection,
    ) -> tuple[int, list[tuple[ResourceType, dict[str, Any]]]]:
        """Return how many resources match, and the page: the types one after the other."""
        with self.operation():
            shelves = [(each, self.shelf(each)) for each in resource_types]
            conditions = _conditions(text, [shelf.about for _, shelf in shelves])
            if request.sort_by is not None and len(shelves) > 1:
                raise NotImplementedException(detail="sortBy: a search over several resource types is not sorted.")
            start, left = request.start_index or 1, request.count
            total, page = 0, []
            for resource_type, shelf in shelves:
                listing = Listing(conditions[shelf.about], _order(shelf, request), max(start - total, 1), left)
                number, views = shelf.page(listing, projection)
                total += number
                page += [(resource_type, view) for view in views]
                left = None if left is None else left - len(views)
            return total, page

    def _locked(self, resource_type: ResourceType, resource_id: str, expected_version: str | None) -> Any:
        row = self.shelf(resource_type).locked(resource_id)
        if expected_version is not None and expected_version != f'W/"{row.version}"':
            raise PreconditionFailedException
        return row

    def _stored(self, resource_type: ResourceType, row: Any, document: dict[str, Any]) -> Resource[Any]:
        if resource_type.name == "User":
            stored: Any = self.users.write(row, document)
        else:
            members = [member["value"] for member in document.get("members", [])]
            stored = self.groups.write(row, document, members)
        return resource(resource_type, self.shelf(resource_type).views([stored], EVERYTHING)[0])


def resource(resource_type: ResourceType, view: Mapping[str, Any]) -> Resource[Any]:
    """Return the model of a resource read from the shelves."""
    return _MODELS[str(resource_type.name)].model_validate(view, scim_policy=_KEEP)


def document(resource: Resource[Any]) -> dict[str, Any]:
    """Return the document of a model, unknown attributes included."""
    return resource.model_dump(scim_policy=_KEEP)


def _conditions(text: str | None, abouts: list[About]) -> Mapping[About, Condition | None]:
    if text is None:
        return dict.fromkeys(abouts)
    if len(abouts) > 1:
        return about_both(text)
    return {abouts[0]: about_people(text) if abouts[0] is About.PEOPLE else about_groups(text)}


def _order(shelf: Shelf, request: SearchRequest[Any]) -> list[Any]:
    if request.sort_by is None:
        return []
    is_descending = request.sort_order == SearchRequest.SortOrder.descending
    try:
        return [ordered_by(shelf.about, str(request.sort_by), descending=is_descending)]
    except Invalid as error:
        raise Invalid({"sortBy": str(error)}) from error
