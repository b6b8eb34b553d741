"""Applications and what can be had in them."""

from __future__ import annotations

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.doorway import DoorView
from governance.api.reading import PAGE_WORDS, ListView, page_of
from governance.api.shapes import ApplicationIn, ApplicationShape, EntitlementShape
from governance.catalog.actions import add_from_catalogue
from governance.catalog.models import Application, Entitlement
from governance.core.errors import Invalid, NotFound
from governance.identity.models import Person, RoleName


def visible_applications(view: DoorView) -> QuerySet[Application]:
    """Return the applications somebody may read about: those in use, and their own or all of the retired ones."""
    applications = Application.objects.prefetch_related("ownerships__person")
    if view.sees_everything:
        return applications
    return applications.filter(Q(retired_at__isnull=True) | Q(pk__in=view.owned))


class Applications(ListView):
    """Applications."""

    shape = ApplicationShape
    needs = frozenset({RoleName.SECURITY_ADMIN})

    @extend_schema(
        operation_id="applications_list",
        summary="Applications",
        parameters=[*PAGE_WORDS],
        responses=page_of(ApplicationShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of applications."""
        return self.page(visible_applications(self))

    @extend_schema(
        summary="Add an application of the shipped catalogue", request=ApplicationIn, responses={201: ApplicationShape}
    )
    def post(self, request: Request) -> Response:
        """Add the application, with a first role to ask for."""
        said = ApplicationIn(data=request.data)
        said.is_valid(raise_exception=True)
        refs = said.validated_data["owners"]
        owners = list(Person.objects.filter(ref__in=refs))
        if len(owners) != len(set(refs)):
            raise Invalid({"owners": "One of these people does not exist."})
        try:
            added = add_from_catalogue(said.validated_data["catalogue_id"], owners=owners, actor=self.actor)
        except NotFound as error:
            raise Invalid({"catalogue_id": str(error)}) from error
        return Response(ApplicationShape(added).data, status=201)


class OneApplication(DoorView):
    """One application."""

    @extend_schema(summary="One application", responses=ApplicationShape)
    def get(self, request: Request, slug: str) -> Response:
        """Return the application."""
        found = visible_applications(self).filter(slug=slug).first()
        if found is None:
            raise NotFound(f"There is no application called {slug}.")
        return Response(ApplicationShape(found).data)


class Entitlements(ListView):
    """Entitlements."""

    shape = EntitlementShape
    filters = frozenset({"application"})

    @extend_schema(
        operation_id="entitlements_list",
        summary="Roles, groups, licences and permissions",
        parameters=[OpenApiParameter("application", str, description="Slug of an application"), *PAGE_WORDS],
        responses=page_of(EntitlementShape),
    )
    def get(self, request: Request) -> Response:
        """Return one page of entitlements."""
        return self.page(_narrowed(_visible(self), request))


class OneEntitlement(DoorView):
    """One entitlement."""

    @extend_schema(summary="One role, group, licence or permission", responses=EntitlementShape)
    def get(self, request: Request, application: str, slug: str) -> Response:
        """Return the entitlement."""
        found = _visible(self).filter(application__slug=application, slug=slug).first()
        if found is None:
            raise NotFound(f"There is no {slug} in {application}.")
        return Response(EntitlementShape(found).data)


def _visible(view: DoorView) -> QuerySet[Entitlement]:
    applications = visible_applications(view).prefetch_related(None).values("pk")
    return Entitlement.objects.filter(application__in=applications).select_related("application", "policy")


def _narrowed(rows: QuerySet[Entitlement], request: Request) -> QuerySet[Entitlement]:
    slug = request.query_params.get("application")
    return rows.filter(application__slug=slug) if slug is not None else rows
