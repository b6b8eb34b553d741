"""The shipped catalogue of real applications: what an administrator picks from.

See `data/README.md` for its sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from governance.catalog.models import DataClass, Risk
from governance.core.errors import NotFound

FILE = Path(__file__).parent / "data" / "app_catalog.json"

#: What a hint about data means for the risk an application starts with; owners change it.
_RISK = {"phi": Risk.CRITICAL, "financial": Risk.HIGH, "source_code": Risk.HIGH, "pii": Risk.MEDIUM}


@dataclass(frozen=True, slots=True)
class ShippedApplication:
    """One application of the shipped catalogue. None means unknown, never a guess."""

    id: str
    name: str
    vendor: str | None
    category: str
    description: str
    icon: str
    protocol: str | None
    base_url_template: str | None
    auth: str | None
    can_push_groups: bool | None
    quirks: tuple[str, ...]
    data_classes: tuple[str, ...]
    risk: int
    sources: tuple[str, ...]

    @property
    def speaks_scim(self) -> bool:
        """Tell whether it is known to take SCIM 2.0."""
        return self.protocol == "scim2"


@cache
def applications() -> tuple[ShippedApplication, ...]:
    """Return the whole catalogue, sorted by id."""
    with FILE.open(encoding="utf-8") as file:
        return tuple(_shipped(entry) for entry in json.load(file)["apps"])


def application(catalogue_id: str) -> ShippedApplication:
    """Return one application of the catalogue. Raises NotFound."""
    found = next((one for one in applications() if one.id == catalogue_id), None)
    if found is None:
        raise NotFound(f"The catalogue has no application {catalogue_id}.")
    return found


def search(text: str, *, limit: int = 30) -> list[ShippedApplication]:
    """Return applications whose name, vendor, category or description has the text; names that begin with it first."""
    wanted = text.strip().casefold()
    hits = [
        one
        for one in applications()
        if wanted in f"{one.name} {one.vendor or ''} {one.category} {one.description}".casefold()
    ]
    return sorted(hits, key=lambda one: (not one.name.casefold().startswith(wanted), one.name.casefold()))[:limit]


def _shipped(entry: dict[str, Any]) -> ShippedApplication:
    provisioning = entry["provisioning"]
    hint = entry["data_sensitivity"]
    return ShippedApplication(
        id=entry["id"],
        name=entry["name"],
        vendor=entry["vendor"],
        category=entry["category"],
        description=entry["description"] or "",
        icon=entry["icon"] or "",
        protocol=provisioning["protocol"],
        base_url_template=provisioning["base_url_template"],
        auth=provisioning["auth"],
        can_push_groups=provisioning["groups"],
        quirks=tuple(provisioning["quirks"] or ()),
        data_classes=(hint,) if hint in DataClass.values else (),
        risk=int(_RISK.get(hint, Risk.LOW)),
        sources=tuple(entry["sources"]),
    )
