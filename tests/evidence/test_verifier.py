"""verify.py: it accepts what was issued, and names what was changed."""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import json
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from governance.evidence.verifier import checking
from governance.evidence.verifier.container import CannotLook, DoesNotHold, open_bundle
from governance.evidence.verifier.source import verifier_source
from governance.ledger.merkle import leaf_hash
from governance.ledger.notes import Signer
from tests.evidence.issued import Issued, run_verifier, unpacked
from tests.evidence.trees import Tree

#: The database is there only for tests with this mark; the bundle is made from committed rows before the first one.
pytestmark = pytest.mark.django_db
OTHER_KEY = Signer.generate("example.com/ledger")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verify.py from outside of any bundle."""
    path = tmp_path_factory.mktemp("auditor") / "verify.py"
    path.write_text(verifier_source())
    return path


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
    assert "not pinned" not in said
    assert issued.fingerprint in said


def test_without_a_key_it_holds_and_says_that_the_key_was_not_pinned(
    issued: Issued, script: Path, tmp_path: Path
) -> None:
    code, said = run_verifier(script, issued.save(tmp_path / "b.zip"))

    assert code == 0, said
    assert "The key was not pinned" in said
    assert issued.fingerprint in said


def test_inside_an_unpacked_bundle_it_needs_no_argument(folder: Path) -> None:
    code, said = run_verifier(folder / "verify" / "verify.py")

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


def test_every_file_is_guarded_byte_by_byte(issued: Issued, folder: Path) -> None:
    """One byte in any file, at the start, in the middle, at the end and at chance, is named by its file."""
    chance = random.Random(7)
    wrong = []
    for name, content in issued.files().items():
        if not content:
            (folder / name).write_bytes(b"\n")
            wrong += [name] * (not found(folder).startswith(name))
        for offset in {
            0,
            len(content) // 2,
            len(content) - 1,
            *(chance.randrange(len(content) or 1) for _ in range(6)),
        }:
            if not content:
                continue
            (folder / name).write_bytes(flip(content, offset))
            said = _code_and_name(folder)
            wrong += [f"{name} at {offset}: {said}"] * (not said.startswith(name))
        (folder / name).write_bytes(content)

    assert wrong == []
    assert found(folder) == ""


def _code_and_name(folder: Path) -> str:
    try:
        return found(folder)
    except CannotLook as error:
        return f"could not look: {error}"


def test_every_byte_of_every_small_proof_is_guarded(issued: Issued, folder: Path) -> None:
    """The files the manifest cannot guard stand for themselves, at every byte."""
    names = ("ledger/checkpoint", "ledger/proofs/manifest.tlog-proof", "ledger/manifest_entry.json",
             "ledger/consistency.txt", "ledger/log_key.txt")  # fmt: skip
    wrong = []
    for name in names:
        content = issued.files()[name]
        for offset in range(0, len(content), 3):
            (folder / name).write_bytes(flip(content, offset))
            said = _code_and_name(folder)
            wrong += [f"{name} at {offset}: {said}"] * (not said.startswith(name))
        (folder / name).write_bytes(content)

    assert wrong == []


def test_the_exit_code_says_so_too(script: Path, folder: Path) -> None:
    report = next(folder.glob("reports/R01*.csv"))
    report.write_bytes(flip(report.read_bytes(), 400))

    code, said = run_verifier(script, folder)

    assert (code, said.startswith(f"DOES NOT HOLD  reports/{report.name}, row ")) == (1, True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda lines: [lines[0].replace(b"row_no", b"row_nr"), *lines[1:]], "line 1"),
        (lambda lines: [*lines[:2], lines[2].replace(b"snowflake", b"Snowflake"), *lines[3:]], "row 2"),
        (lambda lines: [lines[0], *lines[2:]], "row 1"),
        (lambda lines: lines[:-1], "(missing)"),
        (lambda lines: [*lines, lines[-1]], "row "),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "row 1"),
    ],
    ids=["column name", "a cell", "first row dropped", "last row dropped", "row added", "rows swapped"],
)
def test_the_changed_row_is_named(folder: Path, change: object, named: str) -> None:
    report = next(folder.glob("reports/R03*.csv"))
    lines = list(checking.csv_records(iter(report.read_bytes().splitlines(keepends=True))))
    report.write_bytes(b"".join(change(lines)))  # type: ignore[operator]

    assert found(folder).startswith(f"reports/{report.name}, ")
    assert named in found(folder)


def test_the_changed_entry_of_the_log_is_named(folder: Path) -> None:
    entries = folder / "ledger/entries.ndjson"
    lines = entries.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"door":"', b'"door":"x', 1)
    entries.write_bytes(b"".join(lines))

    assert found(folder).startswith("ledger/entries.ndjson, line 2 (entry ")


def test_a_file_too_many_and_a_file_too_few_are_named(folder: Path) -> None:
    (folder / "reports/R99_forged.csv").write_text("x\n")
    assert found(folder).startswith("reports/R99_forged.csv: it does not belong")

    (folder / "reports/R99_forged.csv").unlink()
    (folder / "queries/R00_sources.sql").unlink()
    assert found(folder).startswith("queries/R00_sources.sql: it is missing")


@pytest.mark.parametrize(
    "name", ["ledger/checkpoint", "ledger/proofs/manifest.tlog-proof", "ledger/manifest_entry.json", "SHA256SUMS",
             "ledger/consistency.txt", "verify/verify.py", "ledger/leaves.bin"],
)  # fmt: skip
def test_a_missing_proof_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()

    assert found(folder).startswith(f"{name}: it is missing")


def test_a_file_of_another_bundle_of_the_same_log_is_named(issued: Issued, folder: Path) -> None:
    """Both are genuine and each of their files holds where it belongs."""
    mine, other = issued.files(), unpacked(issued.next)
    differing = [name for name in mine if name in other and other[name] != mine[name]]
    wrong = []
    for name in differing:
        (folder / name).write_bytes(other[name])
        said = _code_and_name(folder)
        # A head that is genuine fits nothing beside it: then both are named.
        wrong += [f"{name}: {said}"] * (name not in said)
        (folder / name).write_bytes(mine[name])

    assert {"manifest.json", "SHA256SUMS", "ledger/checkpoint", "ledger/proofs/manifest.tlog-proof"} <= set(differing)
    assert wrong == []


def test_the_log_of_another_bundle_does_not_carry_this_one(issued: Issued, folder: Path) -> None:
    """Everything that is about the log changes places: it fits together, and holds another manifest."""
    for name, content in unpacked(issued.next).items():
        if name.startswith("ledger/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    _rewrite_sums(folder)

    assert found(folder) != ""


def test_an_earlier_head_does_not_carry_a_later_tree(issued: Issued, folder: Path) -> None:
    """It is signed with the right key, and was the head once."""
    (folder / "ledger/checkpoint").write_text(issued.anchor)
    _rewrite_sums(folder)

    assert "is not a proof for ledger/checkpoint" in found(folder)


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


def test_a_forger_who_rewrites_the_manifest_fails_at_the_log(folder: Path) -> None:
    """Everything consistent again, hashes, totals and sums, but the log knows another manifest."""
    report = next(folder.glob("reports/R05*.csv"))
    report.write_bytes(report.read_bytes().replace(b"overdue", b"in time"))
    _make_consistent(folder, f"reports/{report.name}")

    assert found(folder).startswith("manifest.json: it is not the manifest that entry ")


def test_a_forger_with_a_log_of_his_own_fails_at_the_pinned_key(issued: Issued, folder: Path) -> None:
    """He signs everything with a key of his own: only pinning sees it."""
    report = next(folder.glob("reports/R05*.csv"))
    report.write_bytes(report.read_bytes().replace(b"overdue", b"in time"))
    _forge_log(folder, f"reports/{report.name}")

    assert found(folder) == ""
    assert found(folder, issued.key).startswith("ledger/checkpoint: it is not signed by the key you pinned")
    assert found(folder, issued.fingerprint).startswith("ledger/log_key.txt: its fingerprint is ")


def test_a_row_that_points_at_somebody_elses_entry_is_named(folder: Path) -> None:
    """The operator forges with a log of his own: the row still has to fit its entries."""
    report = next(folder.glob("reports/R05*.csv"))
    rows = report.read_text().splitlines(keepends=True)
    ref = rows[1].split(",")[2]
    rows[1] = rows[1].replace(f",{ref},", ",00000000-0000-0000-0000-000000000000,")
    report.write_text("".join(rows))
    _forge_log(folder, f"reports/{report.name}")

    assert f"{report.name}, row 1: entry " in found(folder)
    assert "is not about person 00000000" in found(folder)


def _make_consistent(folder: Path, changed: str) -> bytes:
    """Rewrite digests, manifest and sums after a change, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    rows_file = next(one["rows_file"] for one in manifest["reports"] if one["file"] == changed)
    records = checking.csv_records(iter((folder / changed).read_bytes().splitlines(keepends=True)))
    digests = b"".join(hashlib.sha256(row).hexdigest()[:16].encode() + b"\n" for row in records)
    (folder / rows_file).write_bytes(digests)
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        file["size"], file["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    text = json.dumps(manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    (folder / "manifest.json").write_bytes(text)
    _rewrite_sums(folder)
    return text


def _forge_log(folder: Path, changed: str) -> None:
    """Put the forged manifest into a log of one's own: the same entries, one's own key and export."""
    leaves = (folder / "ledger/leaves.bin").read_bytes()
    hashes = [leaves[start : start + 32] for start in range(0, len(leaves), 32)]
    pinned = checking.RootBuilder()
    for leaf in hashes:
        pinned.add(leaf)
    (folder / "ledger/pinned_checkpoint").write_text(OTHER_KEY.checkpoint(pinned.size, pinned.root()))
    (folder / "ledger/log_key.txt").write_text(OTHER_KEY.verifier_key + "\n")
    manifest = _make_consistent(folder, changed)
    entry = json.loads((folder / "ledger/manifest_entry.json").read_text())
    entry["data"]["manifest_sha256"] = hashlib.sha256(manifest).hexdigest()
    body = json.dumps(entry, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    (folder / "ledger/manifest_entry.json").write_bytes(body)
    _sign_over(folder, hashes, leaf_hash(body))
    _rewrite_sums(folder)


def _sign_over(folder: Path, hashes: list[bytes], leaf: bytes) -> None:
    tree = Tree([*hashes, leaf])
    note = OTHER_KEY.checkpoint(len(hashes) + 1, tree.root(0, len(hashes) + 1))
    (folder / "ledger/checkpoint").write_text(note)
    path = "".join(f"{base64.b64encode(node).decode()}\n" for node in tree.path(len(hashes)))
    proof = f"c2sp.org/tlog-proof@v1\nindex {len(hashes)}\n{path}\n{note}"
    (folder / "ledger/proofs/manifest.tlog-proof").write_text(proof)
    consistency = "".join(f"{base64.b64encode(node).decode()}\n" for node in tree.consistency(len(hashes)))
    (folder / "ledger/consistency.txt").write_text(consistency)


def _rewrite_sums(folder: Path) -> None:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
        if name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


# The ZIP itself


def test_every_byte_of_the_zip_is_guarded(issued: Issued, tmp_path: Path) -> None:
    chance, path, unnoticed = random.Random(11), tmp_path / "b.zip", []
    headers = [issued.packed.find(b"PK", start) for start in range(0, len(issued.packed), 4000)]
    offsets = {0, len(issued.packed) - 1, *range(len(issued.packed) - 60, len(issued.packed))}
    offsets |= {chance.randrange(len(issued.packed)) for _ in range(60)}
    offsets |= {header + step for header in headers if header >= 0 for step in range(30)}
    for offset in sorted(offset for offset in offsets if offset < len(issued.packed)):
        path.write_bytes(flip(issued.packed, offset))
        with contextlib.suppress(CannotLook):
            unnoticed += [offset] * (found(path) == "")

    assert unnoticed == []


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
        assert run_verifier(script, folder, "--checkpoint", folder / name)[0] == 0


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
