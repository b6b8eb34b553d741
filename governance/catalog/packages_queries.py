"""Questions about packages: what each holds now."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet

from governance.catalog.models import Entitlement, Package, PackageVersion
from governance.core.errors import NotFound


@dataclass(frozen=True, slots=True)
class PackageInForce:
    """A package with its latest version and the roles in it that still are in use."""

    package: Package
    version: PackageVersion
    roles: tuple[Entitlement, ...]


def packages_in_force(*, with_retired: bool = False) -> list[PackageInForce]:
    """Return the packages by name. Two statements."""
    found = _versions()
    if not with_retired:
        found = found.filter(package__retired_at__isnull=True)
    return sorted((_in_force(one) for one in found), key=lambda one: (one.version.name.casefold(), one.package.pk))


def package_in_force(slug: str, *, even_retired: bool = False) -> PackageInForce:
    """Return a package. Raises NotFound, also when it is retired."""
    version = _versions().filter(package__slug=slug).first()
    if version is None or (version.package.retired_at is not None and not even_retired):
        raise NotFound(f"There is no package called {slug}.")
    return _in_force(version)


def versions_of_package(slug: str) -> list[PackageVersion]:
    """Return every version of a package, the latest first."""
    return list(
        PackageVersion.objects.filter(package__slug=slug)
        .prefetch_related(Prefetch("entitlements", _ROLES))
        .order_by("-number")
    )


_ROLES = Entitlement.objects.select_related("application").order_by("application__name", "name", "id")


def _versions() -> QuerySet[PackageVersion]:
    return (
        PackageVersion.objects.select_related("package")
        .prefetch_related(Prefetch("entitlements", _ROLES))
        .order_by("package_id", "-number")
        .distinct("package_id")
    )


def _in_force(version: PackageVersion) -> PackageInForce:
    live = (one for one in version.entitlements.all() if not one.retired_at and not one.application.retired_at)
    return PackageInForce(version.package, version, tuple(live))
