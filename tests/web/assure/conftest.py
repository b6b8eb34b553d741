"""A ledger that is sealed when a test wants it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from governance.ledger.notes import Signer
from governance.ledger.sequencer import seal_everything


@pytest.fixture(scope="session")
def signer() -> Signer:
    """The sequencer's key."""
    return Signer.generate("example.com/ledger")


@pytest.fixture
def seal(signer: Signer, db: None) -> Callable[[], int]:
    """Seal everything that was recorded."""
    return lambda: seal_everything(signer=signer)
