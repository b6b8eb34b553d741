"""The steps of the protocol: with `handler`, the only module that knows scim2-server's service (0.8, pinned exactly).

The service routes, validates, evaluates conditional headers, seals cursors and makes discovery documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any, cast

from django.conf import settings
from pydantic import ValidationError
from pydantic_core import from_json
from scim2_models import (
    Context,
    InvalidCursorException,
    InvalidFilterException,
    InvalidSyntaxException,
    PatchOp,
    ResourceType,
    SCIMException,
    ScimProvider,
    SearchRequest,
    default_comparison_key,
)
from scim2_server.requests import ScimRequest
from scim2_server.routing import ROUTES, Operation, Route, Target, match, match_pattern
from scim2_server.service import SEARCH_REQUEST_PARAMETERS, ScimService, scim_exception_of
from scim2_server.utils import parametrize

from scim_bridge.engine.bounds import check_search
from scim_bridge.engine.offers import CURSOR_TIMEOUT, READ_ONLY, provider_for
from scim_bridge.engine.simple import simple_page
from scim_bridge.projection import Projection

WRITES = frozenset({Operation.create, Operation.replace, Operation.patch, Operation.delete})


@cache
def service_for(dialect: str) -> Service:
    """Return the service that speaks this dialect."""
    return Service(provider_for(dialect), secret=settings.SECRET_KEY)


class Service(ScimService):
    """The steps of the protocol, for bodies that are already parsed."""

    def __init__(self, provider: ScimProvider, *, secret: str) -> None:
        super().__init__(provider, secret=secret)
        # Under a comparison key of its own, a policy makes the models look at every attribute there is for a text that
        # cannot be compared: nine tenths of a validation. There is no such text here, `folded` takes any.
        self._reading = provider.policy.model_copy(update={"comparison_key": default_comparison_key})
        self._types = {self.endpoint_of(each).casefold(): each for each in provider.resource_types}
        #: The methods of a list and of one resource, by endpoint: they are asked for with every request.
        self._allowed: dict[str, tuple[set[str], set[str]]] = {}
        self._allowed = {
            name: (self.allowed_at(name), self.allowed_at(f"{name}/-"))
            for name in map(self.endpoint_of, provider.resource_types)
        }

    def get_resource_type_by_endpoint(self, endpoint: str) -> ResourceType | None:
        """Return the resource type an endpoint serves, if any."""
        return self._types.get(endpoint.strip("/").casefold())

    def allowed_at(self, path: str) -> set[str]:
        """Return the methods of an address; none when there is no such address."""
        endpoint, _, rest = path.strip("/").partition("/")
        if endpoint in self._allowed and "/" not in rest and rest != ".search":
            return self._allowed[endpoint][bool(rest)]
        segments = path.strip("/").split("/") if path.strip("/") else []
        allowed = {route.method for route in ROUTES if self._is_served(route, match_pattern(route.pattern, segments))}
        return {*allowed, "OPTIONS", *(("HEAD",) if "GET" in allowed else ())} if allowed else set()

    @staticmethod
    def match(request: ScimRequest) -> Target:
        """Return what a request asks for. The address of one resource is read once for each type."""
        endpoint, _, resource_id = request.path.strip("/").partition("/")
        if not endpoint or "/" in resource_id or resource_id == ".search":
            return match(request.method.upper(), request.path)
        if not resource_id:
            return _matched(request.method.upper(), endpoint)
        return replace(_matched(request.method.upper(), f"{endpoint}/-"), resource_id=resource_id)

    def validated(self, model: type[Any], raw: Any, context: Context) -> Any:
        """Return the model of a parsed body. Raises the SCIM error of the first thing that is wrong with it."""
        policy = self.provider.policy if context is Context.RESOURCE_PATCH_REQUEST else self._reading
        try:
            return model.model_validate(raw, scim_ctx=context, scim_policy=policy)
        except ValidationError as error:
            raise scim_exception_of(error) from error

    def patch_op(self, resource_type: ResourceType, raw: Any) -> PatchOp[Any]:
        """Return the model of a PATCH."""
        model = parametrize(PatchOp, self.get_model(resource_type))
        return cast("PatchOp[Any]", self.validated(model, raw, Context.RESOURCE_PATCH_REQUEST))

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        """Return the JSON value of a body. Raises InvalidSyntaxException, for NaN as well, which is no JSON."""
        self.ensure_json(content_type)
        if not body:
            raise InvalidSyntaxException(detail="The request has no body.")
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidSyntaxException(detail=f"The body is not JSON: {error}.") from error

    def asked(self, request: ScimRequest, operation: Operation) -> Asked:
        """Return what a search asks for, in the address or in the body."""
        types = self.searched_types(self.route(request, operation).endpoint)
        if operation is Operation.search:
            raw: Any = {name: request.query[name] for name in SEARCH_REQUEST_PARAMETERS if name in request.query}
        else:
            raw = self.decode_body(request.body, request.header("Content-Type"))
            check_search(raw)
        if operation is Operation.search and (page := simple_page(raw)) is not None:
            return self._simply_asked(types, raw.get("filter"), *page)
        text, raw = _taken(raw, "filter", InvalidFilterException(detail="filter: must be a text."))
        cursor, raw = _taken(raw, "cursor", InvalidCursorException())
        search, _ = self.read_search(types, raw if cursor is None else {**raw, "cursor": ""})
        asked = Asked(types, text, search, Projection.asked(raw))
        return replace(asked, position=self._opened(asked, cursor)) if cursor else asked

    def _simply_asked(self, types: list[ResourceType], text: str | None, start: int, count: int | None) -> Asked:
        """Return a search by index without sorting or projection, which needs no model to be read."""
        search = _PLAIN_SEARCH.model_copy(update={"start_index": start, "count": count})
        self._bound_count(search)
        return Asked(types, text, search, Projection())

    def sealed(self, asked: Asked, position: Any) -> str | None:
        """Return the cursor of a position, or None when there is no such page."""
        if position is None or self._cursors is None:
            return None
        return self._cursors.seal(asked.digest, asked.search.count, position)

    def _is_served(self, route: Route, values: Mapping[str, str] | None) -> bool:
        if values is None or values.get("resource_id") == ".search":
            return False
        if "endpoint" not in values:
            return True
        found = self.get_resource_type_by_endpoint(values["endpoint"])
        return found is not None and (found.name not in READ_ONLY or route.operation not in WRITES)

    def _opened(self, asked: Asked, cursor: str) -> Any:
        """Return the position of a cursor. Raises InvalidCursor, InvalidCount and ExpiredCursor exceptions."""
        if self._cursors is None:
            raise InvalidCursorException
        return self._cursors.open(cursor, asked.digest, asked.search.count, CURSOR_TIMEOUT)


_PLAIN_SEARCH = SearchRequest[Any]()


@lru_cache(maxsize=256)
def _matched(method: str, path: str) -> Target:
    return match(method, path)


@dataclass(frozen=True, slots=True)
class Asked:
    """A search. Its filter stays a text, which the condition language reads in place of the models."""

    types: list[ResourceType]
    text: str | None
    search: SearchRequest[Any]
    projection: Projection
    position: Any = None

    @property
    def digest(self) -> str:
        """Return what a cursor belongs to: everything that has to be repeated with it (RFC 9865 §2)."""
        rest = self.search.model_dump(mode="json", include={"sort_by", "sort_order"})
        projection = [self.projection.wanted, self.projection.unwanted]
        query = [[each.id for each in self.types], self.text, rest, projection]
        return sha256(json.dumps(query, sort_keys=True).encode()).hexdigest()[:32]


def _taken(raw: Any, wanted: str, refusal: SCIMException) -> tuple[str | None, Any]:
    """Return a text of a search, and the search without it. Raises the refusal for what is not a text."""
    if not isinstance(raw, Mapping):
        return None, raw
    found = [value for name, value in raw.items() if name.lower() == wanted and value is not None]
    if found and not isinstance(found[0], str):
        raise refusal
    rest = {name: value for name, value in raw.items() if name.lower() != wanted}
    return (found[0] if found else None), rest
