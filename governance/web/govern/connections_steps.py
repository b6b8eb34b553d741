"""What to do at each identity provider to connect it, in its own words for menus and fields. Plain data.

The names of menus and fields are those of the providers' own manuals; `docs/scim.md` has the long version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, slots=True)
class SetUp:
    """The steps at one provider, and what is good to know there. Each is a sentence or two."""

    steps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    #: What its form calls the base URL and the token.
    url_field: str = "Base URL"
    token_field: str = "Token"


_GROUPS_LATER = "Groups arrive with the members that are assigned to the application at the provider, not with more."
_SET_UPS: Mapping[str, SetUp] = {
    "okta": SetUp(
        steps=(
            (
                "In the Okta Admin Console, open Applications. Choose your SCIM application, or make one with "
                "Create App Integration and turn on SCIM under General, App Settings, Provisioning."
            ),
            "Open Provisioning, then Integration, and press Edit.",
            "Put the base URL into SCIM connector base URL, and userName into Unique identifier field for users.",
            (
                "Tick Push New Users, Push Profile Updates and Push Groups. Choose HTTP Header as Authentication Mode, "
                "and put in the token."
            ),
            "Press Test Connector Configuration, then Save. This page shows the first request.",
            (
                "Under Provisioning, To App, turn on Create Users, Update User Attributes and Deactivate Users. Then "
                "assign people, and push groups under Push Groups."
            ),
        ),
        notes=(
            "Suspending somebody in Okta sends nothing. Deactivating them, or taking the application from them, does.",
            _GROUPS_LATER,
        ),
        url_field="SCIM connector base URL",
        token_field="Authorization, under HTTP Header",
    ),
    "entra": SetUp(
        steps=(
            (
                "In the Microsoft Entra admin center, open Enterprise applications. Choose your application, or press "
                "New application, Create your own application, and choose the one that is not in the gallery."
            ),
            "Open Provisioning and set the mode to Automatic.",
            "Put the base URL into Tenant URL and the token into Secret Token.",
            "Press Test Connection, then Save. This page shows the first request.",
            "Under Users and groups, choose who is sent. Then start provisioning.",
        ),
        notes=(
            "A cycle begins about every 40 minutes. Provision on demand sends one person at once.",
            "You may add ?aadOptscim062020 to the tenant URL. Both forms of requests are understood.",
        ),
        url_field="Tenant URL",
        token_field="Secret Token",
    ),
    "google": SetUp(
        steps=(
            "In the Google Admin console, open Apps, then Web and mobile apps, and choose the application.",
            (
                "Google provisions applications of its own catalogue only. When yours is not there, add one from the "
                "catalogue that lets you enter an endpoint."
            ),
            "Open Autoprovisioning and press Configure autoprovisioning.",
            "Put in the token as access token, and the base URL as endpoint URL.",
            "Check the attribute mapping, choose who is sent, and choose what happens when somebody leaves.",
            "Turn on autoprovisioning. This page shows the first request.",
        ),
        notes=("Groups choose who is sent; most of these applications do not send the groups themselves.",),
        url_field="Endpoint URL",
        token_field="Access token",
    ),
    "onelogin": SetUp(
        steps=(
            (
                "In the OneLogin administration, open Applications, press Add App, and choose SCIM Provisioner with "
                "SAML (SCIM v2 Enterprise)."
            ),
            "On Configuration, put the base URL into SCIM Base URL and the token into SCIM Bearer Token.",
            "Press Enable beside API Connection. This page shows the first request.",
            "On Provisioning, tick Enable provisioning, and choose which actions need an approval of yours.",
            "Choose Suspend for what happens when somebody is removed. Then give people the application.",
        ),
        notes=("With Delete in place of Suspend, a person who comes back is a new one.",),
        url_field="SCIM Base URL",
        token_field="SCIM Bearer Token",
    ),
    "jumpcloud": SetUp(
        steps=(
            (
                "In the JumpCloud Admin Portal, open SSO Applications, and choose your application or add a custom one "
                "that exports users."
            ),
            "Open Identity Management and choose SCIM 2.0.",
            "Put in the base URL, the token as Token Key, and the address of a test user.",
            "Press Test Connection, then Activate and Save. This page shows the first request.",
            "On User Groups, choose the groups that are sent.",
        ),
        notes=(
            "The test makes a user and a group and takes them away again. The user stays here as somebody who left.",
        ),
        url_field="Base URL",
        token_field="Token Key",
    ),
    "ping": SetUp(
        steps=(
            (
                "In PingOne, open Integrations, then Provisioning, and add a New connection of the kind Identity "
                "Store, SCIM Outbound."
            ),
            "Put in the base URL, /Users as users resource and /Groups as groups resource, and SCIM version 2.0.",
            (
                "Choose OAuth 2 Bearer Token and put in the token. OAuth 2 Client Credentials works as well: make a "
                "client under Keys."
            ),
            'Leave the user filter at userName eq "%s".',
            "Press Test connection and save. This page shows the first request.",
            "Turn the connection on, and add a rule that says who is sent and what happens when they leave.",
        ),
        url_field="SCIM Base URL",
        token_field="OAuth Access Token",
    ),
    "authentik": SetUp(
        steps=(
            "In the authentik Admin interface, open Applications, then Providers, and make one of the kind SCIM.",
            "Put in the base URL as URL, and the token as Token.",
            "Open your application, press Edit, and add the provider under Backchannel providers.",
            "Start a synchronisation on the page of the provider. This page shows the first request.",
        ),
        notes=("authentik asks first what this server can do, and remembers it for an hour.",),
        url_field="URL",
        token_field="Token",
    ),
    "keycloak": SetUp(
        steps=(
            "Keycloak needs an extension in order to send people: install one that acts as a SCIM client.",
            "In the admin console, choose the realm, open User federation, and add the SCIM provider.",
            (
                "Put in the base URL as endpoint, choose application/scim+json as content type and a bearer token as "
                "authentication, and put in the token."
            ),
            "Turn on the propagation of users and groups, and save.",
            (
                "In Realm settings, Events, add the listener of the extension. Change somebody: this page shows the "
                "first request."
            ),
        ),
        notes=(
            "When an answer is an error, Keycloak keeps its own change. Let it send everything again once a night.",
        ),
        url_field="SCIM 2.0 endpoint",
        token_field="Bearer token",
    ),
}
_OTHER = SetUp(
    steps=(
        (
            "Find where your provider sends people and groups to another application. It is often called provisioning "
            "or SCIM."
        ),
        "Put in the base URL. Choose a bearer token, also called HTTP header, and put in the token.",
        "Let userName be what people are matched by.",
        "Test the connection. This page shows the first request.",
        "Choose who is sent, and turn it on.",
    ),
    notes=("A provider that asks for a client id and a secret gets them under Keys.",),
)


def set_up_of(dialect: str) -> SetUp:
    """Return the steps at the provider of a dialect; for one we do not know, those that fit all."""
    return _SET_UPS.get(dialect, _OTHER)


def base_url() -> str:
    """Return what providers are given as the base URL (README: `/scim/v2/`)."""
    return f"{settings.PUBLIC_URL}/scim/v2"


def token_url() -> str:
    """Return where OAuth 2.0 clients get their access tokens."""
    return f"{settings.PUBLIC_URL}/scim/oauth/token"


def is_reachable_from_outside() -> bool:
    """Tell whether a provider on the internet can use the base URL: they all insist on https."""
    return settings.PUBLIC_URL.startswith("https://")
