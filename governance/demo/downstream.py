"""Relay, the application of the demo that is really there: a SCIM 2.0 server that Gatehouse did not write."""

from __future__ import annotations

from django.db import transaction

from governance.catalog.models import Application
from governance.core.actor import Actor
from governance.demo.software import RELAY
from governance.provisioning.connecting import save_connector
from governance.provisioning.models import Connector, ConnectorKind


@transaction.atomic
def connect_relay(base_url: str, token: str, *, actor: Actor) -> Connector:
    """Have Relay reached at `base_url`; what waits there is delivered as soon as a worker runs.

    Raises Invalid naming each wrong field.
    """
    return save_connector(
        Application.objects.get(slug=RELAY),
        kind=ConnectorKind.SCIM2,
        base_url=base_url,
        secret=token,
        # A SCIM server that was started empty has none of the groups yet.
        options={"creates_missing_groups": True},
        actor=actor,
    )
