"""The shelves as the storage of scim2-server, so that its contract tests hold for them.

The handler of `scim_bridge.engine` reads plain dicts from the shelves; this class makes models of them, which the
protocol engine needs to apply a PATCH or a PUT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from scim2_models import (
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimPolicy,
    SearchRequest,
)
from scim2_server.storage import ScimStorage, SearchPage

from governance.core.errors import DomainError
from governance.core.transactions import all_or_nothing
from governance.identity.conditions.schemas import GroupModel, UserModel
from scim_bridge.adapters import Caller
from scim_bridge.errors import scim_error
from scim_bridge.projection import Projection
from scim_bridge.storage.catalogue import CATALOGUE
from scim_bridge.storage.groups import Groups
from scim_bridge.storage.ownership import NameTaken, told_of_conflict
from scim_bridge.storage.paging import Position
from scim_bridge.storage.searching import Found, Search
from scim_bridge.storage.shelf import Shelf
from scim_bridge.storage.users import Users

#: Stored documents are read and written whole, whatever the dialect of the connection that asks.
_KEEP = ScimPolicy(unknown=ScimPolicy.Unknown.keep)
_MODELS: Mapping[str, type[Resource[Any]]] = {"User": UserModel, "Group": GroupModel}

EVERYTHING = Projection()
#: Characters. What providers send to match one person or group is shorter.
SHORT_FILTER = 160
#: Okta gives up after 60 seconds.
MAX_SEARCH_MILLISECONDS = 10_000


class Directory(ScimStorage):
    """Users, groups and the catalogue in PostgreSQL, on behalf of one connection."""

    supports_cursors = True

    def __init__(self, caller: Caller, base_url: str = "") -> None:
        self.users = Users(caller, base_url)
        self.groups = Groups(caller, base_url)
        self._shelves: Mapping[str, Shelf] = {
            "User": self.users,
            "Group": self.groups,
            **{name: shelf(caller, base_url) for name, shelf in CATALOGUE.items()},
        }

    def shelf(self, resource_type: ResourceType) -> Shelf:
        """Return where resources of this type are."""
        return self._shelves[str(resource_type.name)]

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Enclose reads: domain errors as SCIM errors. No transaction, which would only cost two statements more."""
        try:
            yield
        except DomainError as error:
            raise scim_error(error) from error

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Enclose one operation: all of it or nothing, and domain errors as SCIM errors."""
        try:
            with all_or_nothing():
                yield
        except NameTaken as error:
            raise scim_error(told_of_conflict(error, self.users.caller)) from error
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
        found = self.found(resource_types, text, search_request, EVERYTHING, position=position)
        resources = [resource(resource_type, view) for resource_type, view in found.views]
        return SearchPage(found.total, resources, found.next, found.previous)

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
        *,
        position: Any = None,
    ) -> Found:
        """Return a page of what matches, by index or, when the request has a cursor, by position."""
        with self.reading(), bounded_time(text):
            search = Search([(each, self.shelf(each)) for each in resource_types], text, request)
            if request.cursor is None:
                return search.by_index(projection)
            return search.by_cursor(projection, None if position is None else Position.read(position))

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


@contextmanager
def bounded_time(text: str | None) -> Iterator[None]:
    """Let the statements of a search with a long filter run for so long and no longer.

    A short one has no room for what takes long (each comparison without an index reads everybody), and is spared the
    statement that this costs. What is cut off is answered 400 `tooMany`.
    """
    if text is None or len(text) <= SHORT_FILTER:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(MAX_SEARCH_MILLISECONDS)])
        yield


def resource(resource_type: ResourceType, view: Mapping[str, Any]) -> Resource[Any]:
    """Return the model of a resource read from the shelves."""
    return _MODELS[str(resource_type.name)].model_validate(view, scim_policy=_KEEP)


def document(resource: Resource[Any]) -> dict[str, Any]:
    """Return the document of a model, unknown attributes included."""
    return resource.model_dump(scim_policy=_KEEP)
