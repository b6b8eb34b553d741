"""What is done to the log of a bundle: to its heads and proofs, and by whoever has the log's key. See attacks.py."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from governance.ledger.notes import Signer
from tests.evidence.attacks import ON_FILES, R03, R05, Act, Attack, Change, Scene, attack, edit, lines, put, rows
from tests.evidence.forging import (
    BREAKS,
    CONSISTENCY,
    ENTRIES,
    ENTRY,
    HEAD,
    KEY,
    LEAVES,
    MANIFEST,
    PATHS,
    PINNED,
    PROOF,
    Forger,
    Said,
    proof_file,
    spelled,
)

STRANGER = Signer.generate("witness.example")
FOREIGN = Signer.generate("example.com/ledger")
HASH = base64.b64encode(bytes(32)).decode()


# Heads, proofs and keys


def reheaded(change: Callable[[str, Scene], str]) -> Act:
    """Put another head in place of the bundle's, in both places where it stands."""

    def act(forger: Forger, scene: Scene) -> None:
        before = forger.files[HEAD].decode()
        after = change(before, scene)
        forger.files[HEAD] = after.encode()
        forger.edit(PROOF, lambda proof: proof.replace(before.encode(), after.encode()))

    return act


def reproved(change: Callable[[int, list[str]], tuple[int, list[str]]]) -> Act:
    """Change index or path of the manifest's proof."""

    def act(forger: Forger, _: Scene) -> None:
        lines = forger.files[PROOF].decode().partition("\n\n")[0].split("\n")
        index, path = change(int(lines[1].removeprefix("index ")), lines[2:])
        forger.edit(PROOF, lambda _: proof_file(index, path, forger.files[HEAD].decode()))

    return act


def _foreign_log(forger: Forger, scene: Scene) -> None:
    forger.edit(R05, lambda content: content.replace(b"overdue", b"in time"))
    forger.fit_log(FOREIGN)


def _head_line(signer: Signer, note: str) -> str:
    return signer.sign(note.partition("\n\n")[0] + "\n").rpartition("\n\n")[2]


NO_PATH = f"({ENTRY}|{PROOF}): .*"
HEADS = [
    attack(
        "an old head with the new tree",
        reheaded(lambda _, scene: scene.issued.anchor),
        f"{ENTRY}: entry [0-9]+ is not inside a tree of [0-9]+",
    ),
    attack(
        "an old head beside the new proof",
        lambda forger, scene: put(HEAD, scene.issued.anchor.encode())(forger, scene),
        f"{PROOF}: it is not a proof for {HEAD}",
    ),
    attack(
        "an old head that is pinned",
        lambda forger, scene: put(PINNED, scene.issued.anchor.encode())(forger, scene),
        f"{PINNED}: it was changed",
    ),
    attack(
        "a head of a size that was never reached",
        reheaded(lambda _, scene: scene.insider.checkpoint(10**6, bytes(32))),
        NO_PATH,
    ),
    attack(
        "a head of the right size with another root",
        reheaded(lambda note, scene: scene.insider.checkpoint(int(note.split("\n")[1]), bytes(32))),
        NO_PATH,
    ),
    attack("an unknown line beside the known one", reheaded(lambda note, _: note + _head_line(STRANGER, note)), "", 0),
    attack(
        "the known line broken beside an unknown one",
        reheaded(lambda note, _: _bent_line(note) + _head_line(STRANGER, note)),
        f"{HEAD}: the signature",
    ),
    attack(
        "the known line twice, broken once",
        reheaded(lambda note, _: note + _bent_line(note).rpartition("\n\n")[2]),
        f"{HEAD}: the signature",
    ),
    attack(
        "a head with a control character", reheaded(lambda note, _: note + "\N{EM DASH} a\x07b AAAAAAAA\n"), f"{HEAD}:"
    ),
    attack(
        "a stranger's line that is no line", reheaded(lambda note, _: note + "\N{EM DASH} a+b AAAAAAAA\n"), f"{HEAD}:"
    ),
    attack("a proof with a hash too many", reproved(lambda index, path: (index, [*path, HASH])), NO_PATH),
    attack("a proof with a hash too few", reproved(lambda index, path: (index, path[:-1])), NO_PATH),
    attack("a proof of the entry before", reproved(lambda index, path: (index - 1, path)), NO_PATH),
    attack("a proof of an entry behind the tree", reproved(lambda index, path: (index + 1000, path)), NO_PATH),
    edit("a proof with an extra line", PROOF, lambda proof: proof.replace(b"v1\n", b"v1\nextra AAAA\n", 1)),
    edit("no consistency", CONSISTENCY, lambda _: b""),
    edit("consistency with a hash too many", CONSISTENCY, lambda path: path + f"{HASH}\n".encode()),
    edit("consistency with a hash too few", CONSISTENCY, lines(lambda them: them[:-1])),
    edit("consistency in another order", CONSISTENCY, lines(lambda them: them[::-1])),
    edit("consistency without its last newline", CONSISTENCY, lambda path: path[:-1]),
    edit("a foreign key in the pack", KEY, lambda _: f"{FOREIGN.verifier_key}\n".encode()),
    attack("a log of a foreign key", _foreign_log, f"{HEAD}: it is not signed by the key you pinned"),
]


def _bent_line(note: str) -> str:
    return note[:-9] + ("AAAA" if note[-9:-5] != "AAAA" else "BBBB") + note[-5:]


# What the log's own key does not carry


def inside(name: str, act: Act, named: str, code: int = 1) -> Attack:
    """The insider changes something and signs a log that it fits."""

    def made(scene: Scene) -> bytes:
        forger = Forger(scene.issued.files())
        act(forger, scene)
        forger.fit_log(scene.insider)
        return forger.packed()

    return Attack(name, made, named, code)


def report(file: str, change: Change) -> Act:
    """Change a report, and have it signed."""
    return lambda forger, _: forger.edit(file, change)


def manifest(change: Callable[[Said], object]) -> Act:
    """Have another manifest signed."""
    return lambda forger, _: setattr(forger, "bend_manifest", change)


def export(spell: Callable[[Said], bytes]) -> Act:
    """Have the entry of the export spelled otherwise."""
    return lambda forger, _: setattr(forger, "spell_entry", spell)


def signed_files(change: Callable[[dict[str, bytes]], object]) -> Act:
    """Change files of the log after they were made to fit, and let the manifest name them so."""
    return lambda forger, _: setattr(forger, "bend_files", change)


def _edited(file: str, change: Change) -> Act:
    return signed_files(lambda files: files.__setitem__(file, change(files[file])))


def _as_somebody_else(content: bytes) -> bytes:
    ref = content.split(b"\n")[1].split(b",")[2]
    return content.replace(b"," + ref + b",", b",00000000-0000-0000-0000-000000000000,")


INSIDE = [
    inside("nothing", lambda forger, _: None, "", 0),
    inside(
        "a row about somebody else's entry",
        report(R05, _as_somebody_else),
        rf"{R05}, row 1: entry [0-9]+ is not about person 00000000",
    ),
    inside(
        "rows that are out of order",
        report(R03, rows(lambda them: [them[0], them[2], them[1], *them[3:]])),
        f"{R03}, row 1: it says it is row 2",
    ),
    inside("fewer rows than the manifest says", report(R03, rows(lambda them: them[:-1])), f"{R03}: its rows is"),
    inside(
        "an entry that is not there",
        report(R03, lambda content: re.sub(rb",[0-9]+,[0-9]+\n", b",1,1\n", content, count=1)),
        f"{R03}, row [0-9]+: entry 1 is not in",
    ),
    *(
        inside(
            f"an entry spelled {number!r}",
            report(R03, lambda content, number=number: re.sub(rb",[0-9]+\n", b"," + number + b"\n", content, count=1)),  # type: ignore[misc]
            f"{R03}, row 1: ",
        )
        for number in (b"+40", b" 40", b"040", b"4_0", b"0x28", b"4e1")
    ),
    inside(
        "a report with other line ends", report(R03, lambda content: content.replace(b"\n", b"\r\n")), f"{R03}, line 1"
    ),
    inside(
        "a quote in the middle of a cell",
        report(R03, lambda content: content.replace(b"Fix an", b'Fix "an"', 1)),
        f"{R03}, row [0-9]+: ",
    ),
    inside(
        "a blank line in a report", report(R03, rows(lambda them: [*them[:2], b"\n", *them[2:]])), f"{R03}, row 2: "
    ),
    inside("a cell too many", report(R03, rows(lambda them: [them[0], b"1," + them[1], *them[2:]])), f"{R03}, row 1: "),
    inside(
        "bytes that are no text",
        report(R03, lambda content: content.replace(b"Ada", b"\xff\xff\xff", 1)),
        f"{R03}, row [0-9]+: ",
    ),
    inside("an export with a member twice", export(lambda said: spelled(said).replace(b'{"', b'{"v":2,"', 1)), ENTRY),
    inside("an export that is not canonical", export(lambda said: spelled(said) + b" "), ENTRY),
    inside("an entry of something else", export(lambda said: spelled({**said, "event": "evidence.failed"})), ENTRY),
    inside("an entry that says no time", export(lambda said: spelled({**said, "at": None})), ENTRY),
    inside(
        "another format", manifest(lambda said: said.update(format="gatehouse-evidence/2")), ".*gatehouse-evidence/1", 2
    ),
    inside(
        "a manifest that names no rows", manifest(lambda said: said["reports"][1].pop("rows_file")), f"{MANIFEST}: "
    ),
    inside("a size that is true", manifest(lambda said: said["ledger"].update(entries_left_out=True)), f"{MANIFEST}: "),
    inside(
        "a total that is a text", manifest(lambda said: said["reports"][1]["totals"].update(rows="1")), f"{MANIFEST}: "
    ),
    inside("no period", manifest(lambda said: said.pop("period")), f"{MANIFEST}: "),
    inside("another root", manifest(lambda said: said["ledger"].update(root="00" * 32)), f"{PINNED}: "),
    inside("more entries than there are", manifest(lambda said: said["ledger"].update(entries=10**6)), f"{ENTRIES}: "),
    inside("breaks that are not there", manifest(lambda said: said["ledger"].update(breaks=1)), f"{BREAKS}: "),
    inside("leaves that end too early", _edited(LEAVES, lambda leaves: leaves[:-32]), f"{LEAVES}: "),
    inside("half a leaf", _edited(LEAVES, lambda leaves: leaves[:-16]), f"{LEAVES}: "),
    inside(
        "other leaves, as many", _edited(LEAVES, lambda leaves: leaves[:32] + bytes(32) + leaves[64:]), f"{LEAVES}: "
    ),
    inside(
        "an entry with a member twice",
        report(ENTRIES, lambda them: them.replace(b'{"', b'{"v":2,"', 1)),
        f"{ENTRIES}, line 1: ",
    ),
    inside(
        "an entry that is not canonical",
        report(ENTRIES, lambda them: them.replace(b":", b": ", 1)),
        f"{ENTRIES}, line 1: ",
    ),
    inside("entries whose last does not end", _edited(ENTRIES, lambda them: them[:-1]), f"{ENTRIES}, line [0-9]+: "),
    inside(
        "proofs whose last ends otherwise", _edited(PATHS, lambda them: them[:-1] + b"x"), f"{PATHS}, line [0-9]+: "
    ),
    inside(
        "proofs of entries in another order",
        signed_files(
            lambda files: [
                files.__setitem__(file, lines(lambda them: [them[1], them[0], *them[2:]])(files[file]))
                for file in (ENTRIES, PATHS)
            ]
        ),
        f"{ENTRIES}, line 2: the entries are not in order",
    ),
    inside(
        "a hash too few for an entry",
        _edited(PATHS, lambda them: re.sub(rb'"[^"]*"\]', b'"]', them, count=1).replace(b',"]', b"]", 1)),
        f"{ENTRIES}, line 1: ",
    ),
    inside(
        "a hash spelled otherwise",
        _edited(PATHS, lambda them: re.sub(rb'(.)="', lambda found: bytes([found[1][0] + 1]) + b'="', them, count=1)),
        f"{ENTRIES}, line 1: ",
    ),
    inside(
        "an index that is a text",
        _edited(PATHS, lambda them: re.sub(rb'"index":([0-9]+)', rb'"index":"\1"', them, count=1)),
        f"{ENTRIES}, line 1: ",
    ),
    inside("no entry for a proof", _edited(PATHS, lines(lambda them: them[:-1])), f"{PATHS}: "),
]

ATTACKS = [*ON_FILES, *HEADS, *INSIDE]
