"""Signing in and out, on allauth's views. Only what we use is here: no sign-up, no addresses, no password by mail."""

from allauth.account import views as allauth
from django.urls import path

from governance.web.accounts import views
from governance.web.roles import open_page, signed_in_page

urlpatterns = [
    path("sign-in/", open_page(allauth.login), name="account_login"),
    path("sign-in/again/", signed_in_page(allauth.reauthenticate), name="account_reauthenticate"),
    path("sign-out/", signed_in_page(allauth.logout), name="account_logout"),
    path("settings/password/", signed_in_page(views.password), name="account_change_password"),
    path("session/prolong/", signed_in_page(views.prolong), name="prolong_session"),
]
