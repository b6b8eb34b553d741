"""The ZIP of a bundle: one that any program reads, also beyond the 2 GiB at which `zipfile` changes its form."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from governance.core.errors import Invalid
from governance.evidence import packing
from governance.evidence.packing import file_digest, pack, stored
from governance.evidence.verifier.container import Packed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    (made / "reports").mkdir(parents=True)
    (made / "manifest.json").write_text("{}")
    (made / "reports" / "empty.csv").touch()
    (made / "reports" / "long.csv").write_bytes(os.urandom(3_000_001))
    return made


def test_it_is_the_file_that_a_library_would_have_written(folder: Path, tmp_path: Path) -> None:
    digest, size = pack(folder, tmp_path / "ours.zip")

    with zipfile.ZipFile(tmp_path / "theirs.zip", "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in ("manifest.json", "reports/empty.csv", "reports/long.csv"):
            archive.writestr(stored(name), (folder / name).read_bytes())
    assert (tmp_path / "ours.zip").read_bytes() == (tmp_path / "theirs.zip").read_bytes()
    assert (digest, size) == (file_digest(tmp_path / "ours.zip"), (tmp_path / "ours.zip").stat().st_size)
    with zipfile.ZipFile(tmp_path / "ours.zip") as archive:
        assert archive.testzip() is None
    with (tmp_path / "ours.zip").open("rb") as file:
        Packed(file, size).check_container()


def test_a_file_behind_two_gibibytes_is_written_in_the_plain_form(folder: Path, tmp_path: Path) -> None:
    """`zipfile` goes over to ZIP64 there, which no verifier of ours reads."""
    with (tmp_path / "sparse.zip").open("w+b") as file:
        file.seek(3_900_000_000)
        line = packing._add(file, folder / "manifest.json", b"manifest.json")
        file.seek(3_900_000_000)
        written = file.read()

    assert written[:4] == b"PK\x03\x04"
    assert written.endswith(b"manifest.json{}")
    assert packing._CENTRAL.unpack(line[: packing._CENTRAL.size])[-1] == 3_900_000_000


def test_what_is_larger_than_the_plain_form_is_refused_in_words(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 1_000_000)

    with pytest.raises(Invalid, match="Ask for fewer reports, applications or days"):
        pack(folder, tmp_path / "ours.zip")
    assert not (tmp_path / "ours.zip").exists()
