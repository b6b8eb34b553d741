"""Where clients get access tokens: beside the SCIM addresses, which need one."""

from __future__ import annotations

from django.urls import path

from scim_bridge.oauth import token

urlpatterns = [path("token", token, name="scim-oauth-token")]
