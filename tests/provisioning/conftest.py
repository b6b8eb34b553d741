"""Applications with a connector, and peers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from governance.catalog.models import Application, Entitlement
from governance.provisioning.connecting import save_connector
from tests.cast import TESTING
from tests.provisioning.peers import TOKEN, Peer, Script, UnrulyPeer, real_peer


@pytest.fixture(scope="session")
def running_peer() -> Iterator[Peer]:
    """The package's own SCIM server, one for the whole run."""
    with real_peer() as running:
        yield running


@pytest.fixture
def peer(running_peer: Peer) -> Peer:
    """The package's own SCIM server, empty."""
    running_peer.empty()
    return running_peer


@pytest.fixture
def connected(peer: Peer, snowflake: Application, analyst: Entitlement) -> Application:
    """Snowflake, reached at the real peer, where its analysts' group exists."""
    peer.add_group(analyst.target_ref)
    save_connector(snowflake, kind="scim2", base_url=peer.base_url, secret=TOKEN, actor=TESTING)
    return snowflake


@pytest.fixture
def unruly(snowflake: Application) -> Iterator[Callable[[Script], UnrulyPeer]]:
    """Connect Snowflake to an application that answers what a script says."""
    made: list[UnrulyPeer] = []

    def connect(script: Script) -> UnrulyPeer:
        made.append(UnrulyPeer(script))
        save_connector(snowflake, kind="scim2", base_url=made[-1].base_url, secret=TOKEN, actor=TESTING)
        return made[-1]

    yield connect
    for one in made:
        one.close()
