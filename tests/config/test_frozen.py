"""Whoever asks for the module of each frame of an import is answered at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: What pydantic does when a model is made while modules are imported.
_IMPORTED = """
import inspect, sys
frame, unknown = inspect.currentframe(), set()
while frame:
    if inspect.getmodule(frame) is None:
        unknown.add(frame.f_code.co_filename)
    frame = frame.f_back
print(sorted(unknown))
"""


def test_every_frame_of_an_import_has_a_module(tmp_path: Path) -> None:
    (tmp_path / "imported.py").write_text(_IMPORTED)
    (tmp_path / "first.py").write_text("import governance.config.settings\nimport imported\n")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "DATA_DIR": str(tmp_path)}

    done = subprocess.run([sys.executable, "-m", "first"], env=environment, cwd=ROOT, capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr
