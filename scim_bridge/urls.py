"""django-scim2's namespace and route names, over our views, and whatever else is asked below the base."""

from __future__ import annotations

from django.urls import re_path

from scim_bridge.views import Endpoint

app_name = "scim"

_view = Endpoint.as_view()

urlpatterns = [
    re_path(r"^$", _view, name="root"),
    re_path(r"^\.search$", _view, name="search"),
    re_path(r"^Users/\.search$", _view, name="users-search"),
    re_path(r"^Users(?:/(?P<uuid>[^/]+))?$", _view, name="users"),
    re_path(r"^Groups/\.search$", _view, name="groups-search"),
    re_path(r"^Groups(?:/(?P<uuid>[^/]+))?$", _view, name="groups"),
    re_path(r"^Roles/\.search$", _view, name="roles-search"),
    re_path(r"^Roles(?:/(?P<uuid>[^/]+))?$", _view, name="roles"),
    re_path(r"^Entitlements/\.search$", _view, name="entitlements-search"),
    re_path(r"^Entitlements(?:/(?P<uuid>[^/]+))?$", _view, name="entitlements"),
    re_path(r"^Me$", _view, name="me"),
    re_path(r"^ServiceProviderConfig$", _view, name="service-provider-config"),
    re_path(r"^ResourceTypes(?:/(?P<uuid>[^/]+))?$", _view, name="resource-types"),
    re_path(r"^Schemas(?:/(?P<uuid>[^/]+))?$", _view, name="schemas"),
    re_path(r"^Bulk$", _view, name="bulk"),
    re_path(r"^[\s\S]*$", _view, name="unknown"),  # a dot leaves out line feeds, which an address may hold
]
