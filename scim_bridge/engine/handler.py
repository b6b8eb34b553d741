"""One request of one connection, in place of scim2-server's handler: reads are plain dicts from the shelves, writes
lock what they change, and member lists never become models.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from scim2_models import ResourceType
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target

from governance.identity.conditions.language import is_plain_equality
from scim_bridge.dialects.policies import Dialect
from scim_bridge.engine.bulk import BulkRun
from scim_bridge.engine.plan import BulkRequest
from scim_bridge.engine.service import Asked, Service
from scim_bridge.engine.writing import Writer
from scim_bridge.projection import Projection
from scim_bridge.storage.directory import Directory
from scim_bridge.storage.shelf import Shelf

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


class Handler(ScimHandler):
    """`handle` calls the method that is named after the operation a request asks for."""

    service: Service
    storage: Directory

    def __init__(self, service: Service, storage: Directory, dialect: Dialect) -> None:
        super().__init__(service, storage)
        self.dialect = dialect
        self.writer = Writer(service, storage, dialect)

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644 §3.3)."""
        with self.service.provider:
            resource_type, shelf, _ = self._addressed(request, Operation.create)
            projection = Projection.asked(request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self.writer.create(resource_type, raw)
                view = shelf.view_of_new(row, projection)
        response = _answer(view, shelf.adapter(row), HTTPStatus.CREATED)
        response.headers["Location"] = shelf.adapter(row).location
        return response

    def query(self, request: ScimRequest) -> ScimResponse:
        """Read a resource (RFC 7644 §3.4.1)."""
        with self.service.provider:
            _, shelf, target = self._addressed(request, Operation.query)
            projection = Projection.asked(request.query)
            with self.storage.reading():
                row = shelf.row(str(target.resource_id))
                adapter = shelf.adapter(row)
                if not self.service.read_conditions(request).check(adapter.version, "GET"):
                    return ScimResponse(HTTPStatus.NOT_MODIFIED, None, {"ETag": adapter.version})
                return _answer(shelf.views([row], projection)[0], adapter)

    def replace(self, request: ScimRequest) -> ScimResponse:
        """Replace a resource (RFC 7644 §3.5.1)."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.replace)
            projection = Projection.asked(request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            conditions = self.service.read_conditions(request)
            with self.storage.operation():
                row = self.writer.replace(resource_type, str(target.resource_id), raw, conditions)
                view = shelf.views([row], projection)[0]
        return _answer(view, shelf.adapter(row))

    def patch(self, request: ScimRequest) -> ScimResponse:
        """Modify a resource (RFC 7644 §3.5.2): a user is answered whole, a group only when attributes are asked for."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.patch)
            projection = Projection.asked(request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            conditions = self.service.read_conditions(request)
            with self.storage.operation():
                row = self.writer.patch(resource_type, str(target.resource_id), raw, conditions)
                adapter = shelf.adapter(row)
                if resource_type.name == "Group" and projection.is_everything:
                    return ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": adapter.version})
                return _answer(shelf.views([row], projection)[0], adapter)

    def delete(self, request: ScimRequest) -> ScimResponse:
        """Delete a resource (RFC 7644 §3.6): a user leaves, and their history stays."""
        with self.service.provider:
            resource_type, _, target = self._addressed(request, Operation.delete)
            with self.storage.operation():
                self.writer.delete(resource_type, str(target.resource_id), self.service.read_conditions(request))
        return ScimResponse(HTTPStatus.NO_CONTENT)

    def search(self, request: ScimRequest) -> ScimResponse:
        """Search with GET (RFC 7644 §3.4.2)."""
        with self.service.provider:
            return self._listed(self.service.asked(request, Operation.search))

    def search_with_body(self, request: ScimRequest) -> ScimResponse:
        """Search with POST (RFC 7644 §3.4.3)."""
        with self.service.provider:
            return self._listed(self.service.asked(request, Operation.search_with_body))

    def bulk(self, request: ScimRequest) -> ScimResponse:
        """Run a Bulk request (RFC 7644 §3.7)."""
        with self.service.provider:
            asked = BulkRequest.read(self.service.decode_body(request.body, request.header("Content-Type")))
            body = BulkRun(self.service, self.storage, self.writer, request.base_url).answered(asked)
        return ScimResponse(HTTPStatus.OK, body)

    def _listed(self, asked: Asked) -> ScimResponse:
        text = asked.text
        # A plain equality means the same in every dialect.
        if text is not None and not is_plain_equality(text):
            text = self.dialect.filter(tuple(str(each.name) for each in asked.types), text)
        found = self.storage.found(asked.types, text, asked.search, asked.projection, position=asked.position)
        body: dict[str, Any] = {"schemas": [LIST_RESPONSE]}
        if found.total is not None:
            body["totalResults"] = found.total
        body["itemsPerPage"] = len(found.views)
        if asked.search.cursor is None:
            body["startIndex"] = asked.search.start_index
        body["Resources"] = [view for _, view in found.views]
        for name, position in (("previousCursor", found.previous), ("nextCursor", found.next)):
            if position is not None:
                body[name] = self.service.sealed(asked, position)
        return ScimResponse(HTTPStatus.OK, body)

    def _addressed(self, request: ScimRequest, operation: Operation) -> tuple[ResourceType, Shelf, Target]:
        target = self.service.route(request, operation)
        resource_type = self.service.resource_type_at(cast(str, target.endpoint))
        return resource_type, self.storage.shelf(resource_type), target


def _answer(view: dict[str, Any], adapter: Any, status: HTTPStatus = HTTPStatus.OK) -> ScimResponse:
    return ScimResponse(status, view, {"Content-Location": adapter.location, "ETag": adapter.version})
