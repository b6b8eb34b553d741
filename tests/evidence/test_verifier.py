"""verify.py: it accepts what was issued, and names what was changed."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from governance.evidence.verifier import checking
from governance.evidence.verifier.container import CannotLook, DoesNotHold, open_bundle
from governance.evidence.verifier.source import verifier_source
from governance.ledger.notes import Signer
from tests.evidence.forging import Forger, smaller
from tests.evidence.issued import Issued, run_verifier, unpacked

#: The database is there only for tests with this mark; the bundle is made from committed rows before the first one.
pytestmark = pytest.mark.django_db
OTHER_KEY = Signer.generate("example.com/ledger")


@pytest.fixture
def folder(issued: Issued, tmp_path: Path) -> Path:
    return issued.unpack(tmp_path / "bundle")


def found(path: Path, key: str | None = None) -> str:
    """Return what does not hold, in this process; empty when everything does."""
    try:
        checking.verify(open_bundle(path), key, None)
    except DoesNotHold as error:
        return str(error)
    return ""


def flip(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]


def test_a_zip_as_issued_holds_with_the_pinned_key(issued: Issued, script: Path, tmp_path: Path) -> None:
    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"), "--key", issued.key)

    assert code == 0, said
    assert said.startswith("HOLDS")
    assert issued.fingerprint in said


def test_a_key_out_of_the_bundle_proves_nothing(issued: Issued, script: Path, tmp_path: Path) -> None:
    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"))

    assert code == 2, said
    assert said.startswith("NOT PROVEN")
    assert "no key was given" in said
    assert issued.fingerprint in said


def test_inside_an_unpacked_bundle_it_needs_nothing_but_the_key(issued: Issued, folder: Path) -> None:
    code, said = run_verifier(folder / "verify" / "verify.py", "--key", issued.fingerprint)

    assert code == 0, said


@pytest.mark.parametrize("spelling", ["vkey", "fingerprint", "file"])
def test_the_key_may_be_spelled_in_three_ways(issued: Issued, script: Path, tmp_path: Path, spelling: str) -> None:
    (tmp_path / "key.txt").write_text(issued.key + "\n")
    key = {"vkey": issued.key, "fingerprint": issued.fingerprint, "file": str(tmp_path / "key.txt")}[spelling]

    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"), "--key", key)

    assert code == 0, said


@pytest.mark.parametrize("spelling", ["vkey", "fingerprint"])
def test_a_bundle_by_another_key_does_not_hold(issued: Issued, script: Path, tmp_path: Path, spelling: str) -> None:
    key = OTHER_KEY.verifier_key if spelling == "vkey" else hashlib.sha256(b"other").hexdigest()

    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"), "--key", key)

    assert code == 1
    assert "you pinned" in said


# Byte by byte


@pytest.fixture(scope="module")
def shipped(script: Path) -> ModuleType:
    """verify.py as it is shipped, compiled once.

    What it computes of points is remembered. It is nine tenths of the time, and the same points give the same.
    """
    spec = importlib.util.spec_from_file_location("verify", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for pure in ("_decompress", "_times"):
        setattr(module, pure, cache(getattr(module, pure)))
    return module


def refusal(shipped: ModuleType, packed: bytes) -> str:
    """Return what verify.py says of a ZIP that it refuses; empty when it holds."""
    try:
        bundle = shipped.Bundle(shipped.Packed(io.BytesIO(packed), len(packed)))
        shipped.verify(bundle, None, None)
    except (shipped.DoesNotHold, shipped.CannotLook) as error:
        return str(error)
    return ""


def extents(packed: bytes) -> dict[str, range]:
    """Return where the bytes of each file are in the ZIP. What is outside of them all is the container."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        starts = {one.filename: one.header_offset + 30 + len(one.filename) for one in archive.infolist()}
        return {name: range(start, start + archive.getinfo(name).file_size) for name, start in starts.items()}


def test_every_single_byte_of_a_bundle_is_guarded(shipped: ModuleType, issued: Issued, signer: Signer) -> None:
    """Every byte of a bundle that is whole, but small: it is refused, and by its file where it is in one.

    It has every kind of byte that a large one has: each file that the manifest cannot guard, files that it does, a
    report with its digests, entries, proofs and leaves, and all headers. A large one has more files, which the same
    loops read; of those, some bytes of each are turned below, in the bundle as it was issued. What the process makes of
    it, its words and its exit code, is looked at for each class of bytes in test_attacks.py.
    """
    packed = smaller(issued.files(), "R05_leavers", signer)
    file_of = {offset: name for name, extent in extents(packed).items() for offset in extent}
    assert refusal(shipped, packed) == ""

    wrong = []
    for offset in range(len(packed)):
        said = refusal(shipped, flip(packed, offset))
        if not said or not said.startswith(file_of.get(offset, "")):
            wrong.append(f"byte {offset} of {file_of.get(offset, 'the container')}: {said}")

    assert wrong == []


def test_every_file_of_the_issued_bundle_is_guarded(shipped: ModuleType, issued: Issued) -> None:
    """At its start, in its middle, at its end and at chance, and in what the container says of it."""
    chance, packed, wrong = random.Random(7), issued.packed, []
    for name, extent in extents(packed).items():
        places = {extent[0], extent[len(extent) // 2], extent[-1], *(chance.choice(extent) for _ in range(2))}
        said = {place: refusal(shipped, flip(packed, place)) for place in places}
        wrong += [f"{name} at {place}: {one}" for place, one in said.items() if not one.startswith(name)]
    for place in [*_containers(packed, chance), *range(len(packed) - 22, len(packed))]:
        wrong += [f"the container at {place}"] * (refusal(shipped, flip(packed, place)) == "")

    assert wrong == []


def _containers(packed: bytes, chance: random.Random) -> Iterator[int]:
    """Yield for each file a byte of its header, and one of what the directory says of it."""
    place = int.from_bytes(packed[-6:-2], "little")
    for name, extent in extents(packed).items():
        yield chance.randrange(extent[0] - 30 - len(name), extent[0])
        yield chance.randrange(place, place + 46 + len(name))
        place += 46 + len(name)


def test_every_file_of_a_folder_is_guarded(shipped: ModuleType, issued: Issued, folder: Path) -> None:
    chance, wrong = random.Random(11), []
    for name, content in issued.files().items():
        (folder / name).write_bytes(flip(content, chance.randrange(len(content))))
        with pytest.raises(shipped.DoesNotHold) as refused:
            shipped.verify(shipped.open_bundle(folder), None, None)
        wrong += [f"{name}: {refused.value}"] * (not str(refused.value).startswith(name))
        (folder / name).write_bytes(content)

    assert wrong == []


def test_the_exit_code_says_so_too(script: Path, folder: Path) -> None:
    report = next(folder.glob("reports/R01*.csv"))
    report.write_bytes(flip(report.read_bytes(), 400))

    code, said = run_verifier(script, folder)

    assert (code, said.startswith(f"DOES NOT HOLD  reports/{report.name}, row ")) == (1, True)


def test_a_file_too_many_and_a_file_too_few_are_named(folder: Path) -> None:
    (folder / "reports/R99_forged.csv").write_text("x\n")
    assert found(folder).startswith("reports/R99_forged.csv: it does not belong")

    (folder / "reports/R99_forged.csv").unlink()
    (folder / "queries/R00_sources.sql").unlink()
    assert found(folder).startswith("queries/R00_sources.sql: it is missing")


def test_a_file_of_another_bundle_of_the_same_log_is_named(issued: Issued, folder: Path) -> None:
    """Both are genuine and each of their files holds where it belongs."""
    mine, other = issued.files(), unpacked(issued.next)
    differing = [name for name in mine if name in other and other[name] != mine[name]]
    wrong = []
    for name in differing:
        (folder / name).write_bytes(other[name])
        said = found(folder)
        # A head that is genuine fits nothing beside it: then both are named.
        wrong += [f"{name}: {said}"] * (name not in said)
        (folder / name).write_bytes(mine[name])

    assert {"manifest.json", "SHA256SUMS", "ledger/checkpoint", "ledger/proofs/manifest.tlog-proof"} <= set(differing)
    assert wrong == []


def test_it_needs_no_network(issued: Issued, script: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.write_text(f'#!/bin/sh\nexec unshare -rn -- {sys.executable} "$@"\n')
    alone.chmod(0o755)
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rn", "true"], check=False).returncode:
        pytest.skip("This machine does not let a process give up its network.")

    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"), "--key", issued.key, python=str(alone))

    assert (code, said.startswith("HOLDS")) == (0, True), said


def test_a_link_inside_a_folder_is_refused(folder: Path) -> None:
    readme = folder / "README.txt"
    moved = folder.parent / "README.txt"
    shutil.move(readme, moved)
    readme.symlink_to(moved)

    with pytest.raises(DoesNotHold, match=r"README\.txt"):
        open_bundle(folder)


def test_a_log_of_ones_own_holds_until_the_key_is_pinned(issued: Issued, tmp_path: Path) -> None:
    """A forger signs everything with a key of his own: only pinning sees it."""
    forger = Forger(issued.files())
    forger.edit("reports/R05_leavers.csv", lambda content: content.replace(b"overdue", b"in time"))
    forger.fit_log(OTHER_KEY)
    (tmp_path / "b.zip").write_bytes(forger.packed())

    assert found(tmp_path / "b.zip") == ""
    assert found(tmp_path / "b.zip", issued.key).startswith("ledger/checkpoint: it is not signed by the key you pinned")
    assert found(tmp_path / "b.zip", issued.fingerprint).startswith("ledger/log_key.txt: its fingerprint is ")


# The ZIP itself


@pytest.mark.parametrize("kept", [0, 3, 100, 0.0005, 0.5, 0.999, -1])
def test_a_truncated_zip_is_refused(issued: Issued, script: Path, tmp_path: Path, kept: float) -> None:
    length = int(len(issued.packed) * kept) if isinstance(kept, float) else kept
    (tmp_path / "b.zip").write_bytes(issued.packed[:length])

    code, said = run_verifier(script, tmp_path / "b.zip")

    # Near some cuts lies a workbook, which is a ZIP with an end of its own.
    assert (code, said.split("  ")[0]) in {(2, "COULD NOT LOOK"), (1, "DOES NOT HOLD")}


def test_the_end_of_a_workbook_inside_is_not_taken_for_the_end_of_the_bundle(
    issued: Issued, script: Path, tmp_path: Path
) -> None:
    start = issued.packed.index(b"reports/R03_access_changes.xlsx")
    end = issued.packed.index(b"PK\x05\x06", start) + 22
    (tmp_path / "b.zip").write_bytes(issued.packed[:end])

    code, said = run_verifier(script, tmp_path / "b.zip")

    assert (code, said.split("  ")[0]) == (1, "DOES NOT HOLD")


@pytest.mark.parametrize("what", ["nowhere.zip", "notes.txt", "empty"])
def test_what_is_no_bundle_cannot_be_looked_at(script: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()

    assert run_verifier(script, tmp_path / what)[0] == 2


def test_bytes_behind_or_before_the_zip_are_refused(issued: Issued, tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(issued.packed + b"x")
    assert found(path) == "the ZIP file: there are bytes behind its end"

    path.write_bytes(b"x" + issued.packed)
    with pytest.raises(CannotLook):
        found(path)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil", "reports\\evil.csv", "a/../evil", "./evil", "ev\x00il", "a//b", ".hidden"]
)
def test_a_name_that_leaves_the_folder_is_refused(issued: Issued, tmp_path: Path, name: str) -> None:
    path = _packed_again(issued, tmp_path, {name: b"x"})

    assert "is not allowed" in found(path) or "does not belong" in found(path)


def test_a_name_that_is_there_twice_is_refused(issued: Issued, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = _packed_again(issued, tmp_path, {"manifest.json": b"{}"})

    assert found(path) == "manifest.json: it is in the ZIP file twice"


def test_a_zip_packed_again_by_another_program_is_refused_and_its_folder_is_not(issued: Issued, tmp_path: Path) -> None:
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in issued.files().items():
            archive.writestr(name, content)

    assert found(path) != ""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    assert found(tmp_path / "folder") == ""


def _packed_again(issued: Issued, tmp_path: Path, more: dict[str, bytes]) -> Path:
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (*issued.files().items(), *more.items()):
            info = zipfile.ZipInfo("x", (1980, 1, 1, 0, 0, 0))
            info.filename, info.external_attr = name, 0o100644 << 16
            archive.writestr(info, content)
    return path


# What the auditor kept


def test_a_checkpoint_from_before_is_the_beginning_of_this_log(issued: Issued, script: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(issued.anchor)

    code, said = run_verifier(
        script, issued.save(tmp_path / "b.zip"), "--key", issued.key, "--checkpoint", tmp_path / "kept"
    )

    assert code == 0, said
    assert "The checkpoint you kept" in said


def test_the_checkpoint_of_the_bundle_itself_fits(issued: Issued, script: Path, tmp_path: Path, folder: Path) -> None:
    for name in ("ledger/checkpoint", "ledger/pinned_checkpoint"):
        assert run_verifier(script, folder, "--key", issued.key, "--checkpoint", folder / name)[0] == 0


def test_a_checkpoint_with_another_past_shows_rewritten_history(
    issued: Issued, signer: Signer, script: Path, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text(signer.checkpoint(5, b"\x07" * 32))

    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"), "--checkpoint", tmp_path / "kept")

    assert code == 1
    assert "history was rewritten" in said


@pytest.mark.parametrize("kept", ["newer", "missing"])
def test_a_checkpoint_that_cannot_be_compared_is_said_to_be_so(
    issued: Issued, signer: Signer, script: Path, tmp_path: Path, kept: str
) -> None:
    (tmp_path / "newer").write_text(signer.checkpoint(10**6, b"\x07" * 32))

    assert run_verifier(script, issued.save(tmp_path / "b.zip"), "--checkpoint", tmp_path / kept)[0] == 2


# The file itself


def test_it_imports_nothing_but_the_standard_library() -> None:
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(ast.parse(verifier_source()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not {"socket", "urllib", "http", "ssl", "subprocess", "ctypes"} & imported


def test_it_reads_as_python_3_9() -> None:
    ast.parse(verifier_source(), feature_version=(3, 9))


def test_the_bundle_holds_the_same_verifier(issued: Issued) -> None:
    assert issued.files()["verify/verify.py"].decode() == verifier_source()
