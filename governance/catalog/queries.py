"""Questions about what can be had and under which rules."""

from __future__ import annotations

from datetime import datetime

from governance.catalog.models import (
    AccessPolicyVersion,
    Application,
    ApplicationOwner,
    Entitlement,
)
from governance.core.errors import NotFound


def policy_in_force(policy_id: int, at: datetime) -> AccessPolicyVersion:
    """Return the version of a policy that is in force at an instant. Raises NotFound before the first."""
    version = (
        AccessPolicyVersion.objects.filter(policy_id=policy_id, effective_at__lte=at)
        .select_related("policy")
        .order_by("-number")
        .first()
    )
    if version is None:
        raise NotFound("This policy says nothing yet.")
    return version


def application(slug: str) -> Application:
    """Return the application by its slug. Raises NotFound."""
    found = Application.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound(f"There is no application called {slug}.")
    return found


def entitlement(application_slug: str, slug: str) -> Entitlement:
    """Return an entitlement by the slugs of its application and itself. Raises NotFound."""
    found = (
        Entitlement.objects.select_related("application", "policy")
        .filter(application__slug=application_slug, slug=slug)
        .first()
    )
    if found is None:
        raise NotFound(f"There is no {slug} in {application_slug}.")
    return found


def applications_owned_by(person_id: int) -> list[int]:
    """Return the primary keys of the applications a person answers for."""
    return list(ApplicationOwner.objects.filter(person_id=person_id).values_list("application_id", flat=True))
