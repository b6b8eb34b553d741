"""The protocol engine: the one module that knows scim2-server's service and handler (0.8, pinned exactly).

The service routes, validates, applies PATCH and PUT, evaluates conditional headers and makes errors. The handler here
replaces its reads by plain dicts from the shelves, locks what it writes, and takes member lists out of the models' way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, cast

from pydantic import ValidationError
from scim2_models import (
    Context,
    InvalidFilterException,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimProvider,
    SearchRequest,
    ServiceProviderConfig,
)
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService, scim_exception_of
from scim2_server.utils import parametrize

from governance.identity.conditions.schemas import (
    ENTERPRISE_USER,
    GROUP,
    USER,
    BareUserModel,
    EnterpriseUserModel,
    GroupModel,
)
from scim_bridge.adapters import Caller
from scim_bridge.dialects.policies import DIALECTS, Dialect
from scim_bridge.members import NO_CHANGE, split_members, split_operations
from scim_bridge.projection import Projection
from scim_bridge.storage.directory import Directory, document, resource
from scim_bridge.storage.shelf import Shelf

#: The most resources of one answer.
MAX_RESULTS = 1000
LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


_RESOURCE_TYPES: tuple[Mapping[str, Any], ...] = (
    {
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "A person",
        "schema": USER,
        "schemaExtensions": [{"schema": ENTERPRISE_USER, "required": False}],
    },
    {"id": "Group", "name": "Group", "endpoint": "/Groups", "description": "A group of people", "schema": GROUP},
)
_CONFIG: Mapping[str, Any] = {
    "patch": {"supported": True},
    # Not supported, but authentik reads maxOperations as the limit of one PATCH.
    "bulk": {"supported": False, "maxOperations": 1000, "maxPayloadSize": 1_048_576},
    "filter": {"supported": True, "maxResults": MAX_RESULTS},
    "changePassword": {"supported": False},
    "sort": {"supported": True},
    "etag": {"supported": True},
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token made by `manage.py scim_token create`, sent in the Authorization header.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": True,
        }
    ],
}


def serve(request: ScimRequest, *, dialect: str, caller: Caller) -> ScimResponse:
    """Answer a request on behalf of a connection.

    Raises a SCIMException for whatever has to be answered with an error; anything else is a bug of ours.
    """
    spoken = DIALECTS[dialect]
    return Handler(service_for(dialect), Directory(caller, request.base_url), spoken).handle(request)


@cache
def service_for(dialect: str) -> Service:
    """Return the service that speaks this dialect."""
    return Service(provider_for(dialect))


@cache
def provider_for(dialect: str) -> ScimProvider:
    """Return what we publish about ourselves, read under the policy of this dialect."""
    types = [ResourceType.model_validate(each) for each in _RESOURCE_TYPES]
    models = (BareUserModel, GroupModel, EnterpriseUserModel)
    return ScimProvider(models, types, ServiceProviderConfig.model_validate(_CONFIG), DIALECTS[dialect].policy)


class Service(ScimService):
    """The steps of the protocol, for bodies that are already parsed."""

    def validated(self, model: type[Any], raw: Any, context: Context) -> Any:
        """Return the model of a parsed body. Raises the SCIM error of the first thing that is wrong with it."""
        try:
            return model.model_validate(raw, scim_ctx=context)
        except ValidationError as error:
            raise scim_exception_of(error) from error

    def projection(self, resource_type: ResourceType, query: Mapping[str, str]) -> Projection:
        """Return what the client asked to see."""
        return _projection(self.read_response_parameters(resource_type, query))


class Handler(ScimHandler):
    """One request of one connection. `handle` calls the method that is named after the operation."""

    service: Service
    storage: Directory

    def __init__(self, service: Service, storage: Directory, dialect: Dialect) -> None:
        super().__init__(service, storage)
        self.dialect = dialect

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644 §3.3)."""
        with self.service.provider:
            resource_type, shelf, _ = self._addressed(request, Operation.create)
            projection = self.service.projection(resource_type, request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self._created(resource_type, raw)
                view = shelf.views([row], projection)[0]
        response = _answer(view, shelf.adapter(row), HTTPStatus.CREATED)
        response.headers["Location"] = shelf.adapter(row).location
        return response

    def query(self, request: ScimRequest) -> ScimResponse:
        """Read a resource (RFC 7644 §3.4.1)."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.query)
            projection = self.service.projection(resource_type, request.query)
            with self.storage.operation():
                row = shelf.row(str(target.resource_id))
                adapter = shelf.adapter(row)
                if not self.service.read_conditions(request).check(adapter.version, "GET"):
                    return ScimResponse(HTTPStatus.NOT_MODIFIED, None, {"ETag": adapter.version})
                return _answer(shelf.views([row], projection)[0], adapter)

    def replace(self, request: ScimRequest) -> ScimResponse:
        """Replace a resource (RFC 7644 §3.5.1)."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.replace)
            projection = self.service.projection(resource_type, request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            with self.storage.operation():
                row = self._locked(resource_type, request, target)
                row = self._replaced(resource_type, row, raw)
                view = shelf.views([row], projection)[0]
        return _answer(view, shelf.adapter(row))

    def patch(self, request: ScimRequest) -> ScimResponse:
        """Modify a resource (RFC 7644 §3.5.2): a user is answered whole, a group only when attributes are asked for."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.patch)
            projection = self.service.projection(resource_type, request.query)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            with self.storage.operation():
                if resource_type.name == "User":
                    row = self._patched_user(resource_type, request, target, raw)
                else:
                    row = self._patched_group(resource_type, request, target, raw)
                adapter = shelf.adapter(row)
                if resource_type.name == "Group" and projection.is_everything:
                    return ScimResponse(HTTPStatus.NO_CONTENT, None, {"ETag": adapter.version})
                return _answer(shelf.views([row], projection)[0], adapter)

    def delete(self, request: ScimRequest) -> ScimResponse:
        """Delete a resource (RFC 7644 §3.6): a user leaves, and their history stays."""
        with self.service.provider:
            resource_type, shelf, target = self._addressed(request, Operation.delete)
            with self.storage.operation():
                shelf.adapter(self._locked(resource_type, request, target)).delete()
        return ScimResponse(HTTPStatus.NO_CONTENT)

    def search(self, request: ScimRequest) -> ScimResponse:
        """Search with GET (RFC 7644 §3.4.2)."""
        with self.service.provider:
            target = self.service.route(request, Operation.search)
            types = self.service.searched_types(target.endpoint)
            query = {name: value for name, value in request.query.items() if name != "filter"}
            asked, _ = self.service.read_search_query(types, query)
            return self._listed(types, request.query.get("filter"), asked)

    def search_with_body(self, request: ScimRequest) -> ScimResponse:
        """Search with POST (RFC 7644 §3.4.3)."""
        with self.service.provider:
            target = self.service.route(request, Operation.search_with_body)
            types = self.service.searched_types(target.endpoint)
            raw = self.service.decode_body(request.body, request.header("Content-Type"))
            text, rest = _without_filter(raw)
            asked, _ = self.service.read_search(types, rest)
            return self._listed(types, text, asked)

    def _listed(self, types: list[ResourceType], text: str | None, asked: SearchRequest[Any]) -> ScimResponse:
        if text is not None:
            text = self.dialect.filter(tuple(str(each.name) for each in types), text)
        total, found = self.storage.found(types, text, asked, _projection(asked))
        body = {
            "schemas": [LIST_RESPONSE],
            "totalResults": total,
            "itemsPerPage": len(found),
            "startIndex": asked.start_index,
            "Resources": [view for _, view in found],
        }
        return ScimResponse(HTTPStatus.OK, body)

    def _addressed(self, request: ScimRequest, operation: Operation) -> tuple[ResourceType, Shelf, Target]:
        target = self.service.route(request, operation)
        resource_type = self.service.resource_type_at(cast(str, target.endpoint))
        return resource_type, self.storage.shelf(resource_type), target

    def _locked(self, resource_type: ResourceType, request: ScimRequest, target: Target) -> Any:
        """Return the row, locked, once the conditional headers of the request hold."""
        shelf = self.storage.shelf(resource_type)
        row = shelf.locked(str(target.resource_id))
        self.service.read_conditions(request).check(shelf.adapter(row).version, request.method.upper())
        return row

    def _current(self, resource_type: ResourceType, row: Any) -> Resource[Any]:
        """Return the stored resource without its links: a PATCH of a user does not read their groups."""
        return resource(resource_type, self.storage.shelf(resource_type).adapter(row).to_dict())

    def _created(self, resource_type: ResourceType, raw: Any) -> Any:
        model = self.service.get_model(resource_type)
        raw = self.dialect.document(str(resource_type.name), raw)
        if resource_type.name == "User":
            new = document(self.service.validated(model, raw, Context.RESOURCE_CREATION_REQUEST))
            return self.storage.users.write(None, {"active": True, **new})
        members, rest = split_members(raw, lenient=self.dialect.is_lenient_about_members)
        new = document(self.service.validated(model, rest, Context.RESOURCE_CREATION_REQUEST))
        return self.storage.groups.write(None, new, members)

    def _replaced(self, resource_type: ResourceType, row: Any, raw: Any) -> Any:
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
        return self.storage.users.write(row, {"active": row.is_active, **document(replacement)})

    def _patched_user(self, resource_type: ResourceType, request: ScimRequest, target: Target, raw: Any) -> Any:
        raw = self.dialect.patch(str(resource_type.name), raw, target.resource_id)
        operations = None if raw is None else self._patch_op(resource_type, raw)
        row = self._locked(resource_type, request, target)
        new = self._patched(resource_type, row, operations, raw)
        return row if new is None else self.storage.users.write(row, new)

    def _patched_group(self, resource_type: ResourceType, request: ScimRequest, target: Target, raw: Any) -> Any:
        raw = self.dialect.patch(str(resource_type.name), raw, target.resource_id)
        change, rest = (
            (NO_CHANGE, None) if raw is None else split_operations(raw, lenient=self.dialect.is_lenient_about_members)
        )
        operations = None if rest is None else self._patch_op(resource_type, rest)
        row = self._locked(resource_type, request, target)
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
        current = self._current(resource_type, row)
        is_changed = operations.patch(current)
        patched = document(current)
        kept = self.dialect.kept(str(resource_type.name), raw, patched)
        return kept if is_changed or kept != patched else None

    def _patch_op(self, resource_type: ResourceType, raw: Any) -> PatchOp[Any]:
        model = parametrize(PatchOp, self.service.get_model(resource_type))
        return cast("PatchOp[Any]", self.service.validated(model, raw, Context.RESOURCE_PATCH_REQUEST))


def _projection(asked: ResponseParameters[Any]) -> Projection:
    return Projection.of(asked.attributes, asked.excluded_attributes)


def _answer(view: dict[str, Any], adapter: Any, status: HTTPStatus = HTTPStatus.OK) -> ScimResponse:
    return ScimResponse(status, view, {"Content-Location": adapter.location, "ETag": adapter.version})


def _without_filter(raw: Any) -> tuple[str | None, Any]:
    """Return the filter of a search body, and the body without it."""
    if not isinstance(raw, Mapping):
        return None, raw
    found = [value for name, value in raw.items() if name.lower() == "filter" and value is not None]
    if found and not isinstance(found[0], str):
        raise InvalidFilterException(detail="filter: must be a text.")
    rest = {name: value for name, value in raw.items() if name.lower() != "filter"}
    return (found[0] if found else None), rest
