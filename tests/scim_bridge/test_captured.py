"""Every provider's whole story under its own dialect, under `default`, and under `strict`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from scim_bridge.dialects.policies import DIALECTS
from tests.scim_bridge.conftest import Provider
from tests.scim_bridge.playing import CAPTURED, Player, exchanges, providers


@pytest.mark.parametrize("whose", ["own", "default"])
@pytest.mark.parametrize("provider", providers())
def test_a_provider_is_understood(connected: Callable[..., Provider], provider: str, whose: str) -> None:
    dialect = provider if whose == "own" else "default"
    player = Player(provider, connected(dialect).token, is_strict=False)

    for name, exchange in exchanges(provider):
        player.play(name, exchange)


@pytest.mark.parametrize("provider", providers())
def test_a_strict_connection_refuses_only_what_the_rfc_refuses_and_changes_nothing_then(
    connected: Callable[..., Provider], provider: str
) -> None:
    player = Player(provider, connected("strict").token, is_strict=True)

    for name, exchange in exchanges(provider):
        player.play(name, exchange)

    assert player.refused == [name for name, exchange in exchanges(provider) if _is_refused(exchange)]


def test_every_dialect_of_a_provider_has_payloads() -> None:
    assert set(providers()) == set(DIALECTS) - {"strict", "default"}


def test_every_payload_names_its_source() -> None:
    for file in CAPTURED.glob("*/*.json"):
        assert json.loads(file.read_text(encoding="utf-8"))["source"], file.name


@pytest.mark.parametrize("provider", providers())
def test_every_difference_of_strict_names_its_rule(provider: str) -> None:
    for name, exchange in exchanges(provider):
        assert "strict" not in exchange or exchange["strict"]["rfc"].startswith("RFC 76"), name


def _is_refused(exchange: Mapping[str, Any]) -> bool:
    return "strict" in exchange and exchange["strict"]["status"] >= 400
