"""Each attack of the table against verify.py as an auditor runs it; against verify.html: test_verify_page.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evidence.attacks import Attack, Scene
from tests.evidence.attacks_on_the_log import ATTACKS
from tests.evidence.forging import Forger
from tests.evidence.issued import run_verifier

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_was_done_to_a_bundle_is_named(attack: Attack, scene: Scene, script: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "b.zip"
    bundle.write_bytes(attack.made(scene))

    code, said = run_verifier(script, bundle, "--key", scene.issued.key)

    assert code == attack.code, said
    assert attack.is_answered_by(said), said


def test_the_forger_packs_as_we_do(scene: Scene) -> None:
    """Otherwise every attack would be refused for its container."""
    assert Forger(scene.issued.files()).packed() == scene.issued.packed


def test_no_attack_is_in_the_table_twice() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
