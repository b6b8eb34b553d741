"""Entitlements and roles of the catalogue, read-only: what can be requested in applications that are in use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar

import orjson
from django.db.models import DateTimeField, QuerySet, TextField
from django.db.models.expressions import OrderBy
from scim2_models import NotFoundException, Resource
from scim2_server.errors import MethodNotAllowedException

from governance.catalog.models import Entitlement, EntitlementKind
from governance.identity.conditions.columns import Column
from governance.identity.conditions.fragments import FALSE, TRUE, Fragment, Source, compiled
from governance.identity.conditions.language import InvalidCondition, term_about
from governance.identity.conditions.sql import Matching, Template
from governance.identity.conditions.terms import Attribute, Comparison, Kind, Term
from scim_bridge.adapters import Adapter, rfc3339
from scim_bridge.catalogue import ENTITLEMENT, ROLE, EntitlementModel, RoleModel
from scim_bridge.projection import Projection
from scim_bridge.storage.paging import Order, without_value
from scim_bridge.storage.shelf import Shelf

#: Primary keys are numbers, and an id must not be that of anything else (RFC 7643 §3.1).
ID_PREFIX = "entitlement-"


class Absent:
    """An attribute these resources declare and never have."""

    def compare(self, comparison: Comparison) -> Fragment:
        """Return whether "no value" was asked for."""
        return TRUE if comparison.value is None else FALSE

    def present(self, attribute: Attribute) -> Fragment:
        """Return no."""
        return FALSE

    def element(self, attribute: Attribute, inner: Term) -> Fragment:
        """Return no: there is no element."""
        return FALSE


class CatalogueAdapter(Adapter):
    """A row of the catalogue as a SCIM resource."""

    urn: ClassVar[str]

    @property
    def location(self) -> str:
        """Return the address of the resource."""
        return f"{self.base_url}/{self.endpoint}/{ID_PREFIX}{self.obj.id}"

    @property
    def version(self) -> str:
        """Return the weak entity tag: a digest, because the catalogue numbers no versions."""
        return f'W/"{sha256(orjson.dumps(self._attributes())).hexdigest()[:16]}"'

    @property
    def meta(self) -> dict[str, str]:
        """Return the metadata, without a time of the last change, which the catalogue does not keep by row."""
        return {
            "resourceType": self.resource_type,
            "created": rfc3339(self.obj.created_at),
            "version": self.version,
            "location": self.location,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the resource."""
        return {"schemas": [self.urn], "id": f"{ID_PREFIX}{self.obj.id}", **self._attributes(), "meta": self.meta}

    def _attributes(self) -> dict[str, str]:
        described = {"description": self.obj.sentence} if self.obj.sentence else {}
        name = f"{self.obj.application__name}: {self.obj.name}"
        return {"displayName": name, "type": EntitlementKind(self.obj.kind).label, **described}


class EntitlementAdapter(CatalogueAdapter):
    """A group, licence or permission."""

    resource_type = "Entitlement"
    endpoint = "Entitlements"
    urn = ENTITLEMENT


class RoleAdapter(CatalogueAdapter):
    """A role."""

    resource_type = "Role"
    endpoint = "Roles"
    urn = ROLE


class Catalogue(Shelf):
    """What both types have in common. Letter case is folded by the database here, not by `conditions.folding`."""

    link = "members"  # there is none, so nothing is read for it
    fields = ("id", "name", "kind", "sentence", "created_at", "application__name")
    has_stamp = False
    model: ClassVar[type[Resource[Any]]]
    adapter_class: ClassVar[type[CatalogueAdapter]]

    def row(self, scim_id: str) -> Any:
        """Return the fields of one resource. Raises NotFoundException."""
        number = scim_id.removeprefix(ID_PREFIX)
        is_ours = scim_id.startswith(ID_PREFIX) and number.isascii() and number.isdecimal() and len(number) < 19
        found = self.listed().filter(id=int(number)) if is_ours and str(int(number)) == number else None
        row = None if found is None else found.values_list(*self.fields, named=True).first()
        if row is None:
            raise self.missing(scim_id)
        return row

    def missing(self, scim_id: str) -> NotFoundException:
        """Return the error that says that there is no such resource."""
        return NotFoundException(detail=f"There is no requestable {self.name.lower()} with the id {scim_id}.")

    def locked(self, scim_id: str) -> Any:
        """Refuse: these are read-only."""
        raise MethodNotAllowedException(allowed=["GET"], detail=f"{self.name} resources are read-only here.")

    def listed(self) -> QuerySet[Entitlement]:
        """Return what can be requested in applications that are in use."""
        return Entitlement.objects.filter(
            is_requestable=True, retired_at__isnull=True, application__retired_at__isnull=True
        )

    def condition(self, text: str, *, is_among_others: bool = False) -> Matching:
        """Return a filter as an expression over the catalogue."""
        fragment = compiled(term_about(self.model, text, is_among_others=is_among_others), self._find)
        return Matching(fragment.sql, fragment.params)

    def order(self, name: str, *, descending: bool) -> Order:
        """Return the order by an attribute."""
        term = term_about(self.model, f"{name} eq null", is_among_others=True)
        source = self._find(term.attribute) if isinstance(term, Comparison) else Absent()
        if not isinstance(source, Column) or not isinstance(term, Comparison):
            return without_value(descending=descending)
        if term.attribute.kind is Kind.INSTANT:
            return Order(OrderBy(Template(source.as_text(), (), DateTimeField()), descending=descending))
        return Order(OrderBy(Template(f'{source.as_text()} COLLATE "C"', (), TextField()), descending=descending))

    def adapter(self, row: Any) -> CatalogueAdapter:
        """Return the adapter of a row."""
        return self.adapter_class(row, base_url=self.base_url, caller=self.caller)

    def view(self, row: Any, links: Sequence[Any]) -> dict[str, Any]:
        """Return one resource."""
        return self.adapter(row).to_dict()

    def views(self, rows: Sequence[Any], projection: Projection) -> list[dict[str, Any]]:
        """Return the resources of these rows as the client asked for them."""
        return [projection.apply(self.adapter(row).to_dict()) for row in rows]

    def links(self, ids: Collection[int], projection: Projection) -> Mapping[int, list[Any]]:
        """Return nothing: these resources have no links."""
        return {}

    def _find(self, attribute: Attribute) -> Source:
        if attribute.name == "meta.resourceType":
            return Column(f"'{self.name}'::text")
        found = _SOURCES.get(attribute.name)
        if found is None:
            raise InvalidCondition(f"{attribute.name} cannot be used in a condition about the catalogue.")
        return found


_LABELS = " ".join(f"WHEN '{kind.value}' THEN '{kind.label.lower()}'" for kind in EntitlementKind)
_SOURCES: Mapping[str, Source] = {
    "id": Column(f"('{ID_PREFIX}' || {{id}}::text)"),
    "displayName": Column("lower({application__name} || ': ' || {name})"),
    "type": Column(f"(CASE {{kind}} {_LABELS} ELSE '' END)"),
    "description": Column("lower({sentence})", can_be_blank=True),
    "meta.created": Column("{created_at}"),
    **dict.fromkeys(("externalId", "meta.lastModified"), Absent()),
}


class Entitlements(Catalogue):
    """Groups, licences and permissions."""

    name = "Entitlement"
    model = EntitlementModel
    adapter_class = EntitlementAdapter

    def listed(self) -> QuerySet[Entitlement]:
        """Return everything but the roles."""
        return super().listed().exclude(kind=EntitlementKind.ROLE)


class Roles(Catalogue):
    """Roles."""

    name = "Role"
    model = RoleModel
    adapter_class = RoleAdapter

    def listed(self) -> QuerySet[Entitlement]:
        """Return the roles."""
        return super().listed().filter(kind=EntitlementKind.ROLE)


#: The shelves of the catalogue, by the name of their type.
CATALOGUE: Mapping[str, Callable[..., Catalogue]] = {"Entitlement": Entitlements, "Role": Roles}
