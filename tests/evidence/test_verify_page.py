"""verify.html: opened from a disk in a browser, it says of a bundle what verify.py says."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from governance.evidence.verifier import checking
from governance.evidence.verifier.container import CannotLook, DoesNotHold, open_bundle
from governance.evidence.verifier.source import LOG_VERIFIER, verifier_page
from governance.ledger import standalone
from governance.ledger.merkle import leaf_hash
from governance.ledger.notes import Signer
from tests.evidence.attacks import Scene
from tests.evidence.attacks_on_the_log import ATTACKS
from tests.evidence.forging import spelled
from tests.evidence.issued import Issued
from tests.evidence.trees import Tree

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("browser")]
OTHER = Signer.generate("example.com/ledger").verifier_key


@pytest.fixture(scope="module")
def verify_html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A verify.html from outside of any bundle."""
    path = tmp_path_factory.mktemp("auditor") / "verify.html"
    path.write_text(verifier_page())
    return path


@pytest.fixture
def page(chromium: Browser, verify_html: Path) -> Page:
    """The page as an auditor opens it, who is offline; anything it would ask of the network fails the test."""
    context = chromium.new_context(offline=True)
    opened = context.new_page()
    opened.on("console", lambda message: pytest.fail(message.text) if message.type == "error" else None)
    opened.goto(verify_html.as_uri())
    return opened


def verdict(page: Page, bundle: Path, key: str) -> str:
    page.locator("#bundle").set_input_files(bundle)
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Check").click()
    said = page.locator(".verdict")
    expect(said).not_to_have_text("Checking …")
    return said.inner_text()


def plain(text: str) -> str:
    """Return the text as a page shows it: spaces that follow each other are one."""
    return " ".join(text.split())


def by_script(bundle: Path, key: str) -> str:
    """Return how verify.py begins: its verdict, and the record that does not hold."""
    try:
        checking.verify(open_bundle(bundle), key, None)
    except DoesNotHold as error:
        return f"DOES NOT HOLD  {error.record}:"
    except CannotLook:
        return "COULD NOT LOOK"
    return "HOLDS"


def test_a_bundle_as_issued_holds_with_the_pinned_key(page: Page, issued: Issued, tmp_path: Path) -> None:
    bundle = issued.save(tmp_path / "b.zip")

    for key in (issued.key, issued.fingerprint):
        assert verdict(page, bundle, key).startswith("HOLDS")
        assert "Checked with the key you gave." in page.locator("#result").inner_text()
    assert verdict(page, bundle, "").startswith("NOT PROVEN")
    assert issued.fingerprint in page.locator("#result").inner_text()


def test_it_is_in_every_bundle(issued: Issued) -> None:
    with zipfile.ZipFile(io.BytesIO(issued.packed)) as packed:
        assert packed.read("verify/verify.html").decode() == verifier_page()


def test_it_checks_the_log_with_the_module_of_the_pages_and_loads_nothing() -> None:
    """One source: what the page of an entry loads is in here word for word, but for `export`."""
    module = LOG_VERIFIER.read_text().replace("\nexport ", "\n")

    assert module in verifier_page()
    assert "subtle" not in verifier_page().replace(module, "").replace("crypto?.subtle", "")
    assert not re.search(
        r"^(im|ex)port |import\(|\bfetch\(|src=|href=|url\(|</script>\n<script", verifier_page(), re.MULTILINE
    )


# The whole table, in one page.
@pytest.mark.timeout(600)
def test_what_was_done_to_a_bundle_is_named_as_verify_py_names_it(page: Page, scene: Scene, tmp_path: Path) -> None:
    wrong, bundle = [], tmp_path / "b.zip"
    for attack in ATTACKS:
        bundle.write_bytes(attack.made(scene))

        said = verdict(page, bundle, scene.issued.key)

        if not attack.is_answered_by(said) or not said.startswith(plain(by_script(bundle, scene.issued.key))):
            wrong.append(f"{attack.name}: {said}")

    assert wrong == []


ROOT = leaf_hash(b"x")
STRANGER = Signer.generate("witness.example")
LOG = Signer.generate("example.com/ledger")
NOTE = LOG.checkpoint(7, ROOT)
TEXT, _, LINE = NOTE.rpartition("\n\n")
BY_A_STRANGER = STRANGER.sign(TEXT + "\n").rpartition("\n\n")[2]
HASH = base64.b64encode(ROOT).decode()
SHORT, LONG = (base64.b64encode((ROOT * 2)[:length]).decode() for length in (31, 33))
#: Signed notes, whole or bent; what one program takes for a head, the other does.
NOTES = {
    "as signed": NOTE,
    "a stranger beside": NOTE + BY_A_STRANGER,
    "63 strangers beside": NOTE + BY_A_STRANGER * 63,
    "64 strangers beside": NOTE + BY_A_STRANGER * 64,
    "only a stranger": f"{TEXT}\n\n{BY_A_STRANGER}",
    "a wrong line of the known key beside": NOTE + LOG.checkpoint(8, ROOT).rpartition("\n\n")[2],
    "another key of the same name": Signer.generate(LOG.name).checkpoint(7, ROOT),
    "another size": NOTE.replace("\n7\n", "\n8\n"),
    "a zero before the size": LOG.sign(f"{LOG.name}\n07\n{HASH}\n"),
    "the largest size": LOG.sign(f"{LOG.name}\n{2**53 - 1}\n{HASH}\n"),
    "a size beyond": LOG.sign(f"{LOG.name}\n{2**53}\n{HASH}\n"),
    "a line more": LOG.sign(f"{LOG.name}\n7\n{HASH}\nmore\n"),
    "a blank line more": LOG.sign(f"{LOG.name}\n7\n{HASH}\n\n"),
    "a line less": LOG.sign(f"{LOG.name}\n7\n"),
    "a short root": LOG.sign(f"{LOG.name}\n7\nAAAA\n"),
    "a root that is spelled otherwise": LOG.sign(f"{LOG.name}\n7\n{HASH[:-2]}{chr(ord(HASH[-2]) + 1)}=\n"),
    "another log": LOG.sign(f"example.org/ledger\n7\n{HASH}\n"),
    "a carriage return": NOTE.replace("\n7\n", "\n7\r\n"),
    "a tab": NOTE + "\t",
    "a control character": NOTE + BY_A_STRANGER.replace("witness", "wit\x07ness"),
    "a delete character in a stranger's name": NOTE + BY_A_STRANGER.replace("witness", "wit\x7fness"),
    "a hyphen for the dash": NOTE.replace("\N{EM DASH}", "-"),
    "two spaces in a signature line": NOTE.replace(" " + LOG.name, "  " + LOG.name),
    "no newline at the end": NOTE[:-1],
    "no signature": TEXT + "\n",
    "a plus in a stranger's name": NOTE + BY_A_STRANGER.replace("witness", "wit+ness"),
    "a space of another script in a stranger's name": NOTE + BY_A_STRANGER.replace("witness", "wit\u3000ness"),
    "a next-line character in a stranger's name": NOTE + BY_A_STRANGER.replace("witness", "wit\x85ness"),
    "a byte order mark in a stranger's name": NOTE + BY_A_STRANGER.replace("witness", "wit\ufeffness"),
    "a stranger's signature of four bytes": NOTE + "\N{EM DASH} witness.example AAAAAA==\n",
    "a stranger's signature of five bytes": NOTE + "\N{EM DASH} witness.example AAAAAAA=\n",
    "a signature of the known key that is cut": NOTE[:-5].rstrip("=") + "\n",
    "nothing below the text": TEXT + "\n\n",
    "two texts": f"{TEXT}\n\n{NOTE}",
    "garbage behind": NOTE + "garbage\n",
    "nothing": "",
}
_HEAD = "c2sp.org/tlog-proof@v1\n"
PROOFS = {
    "as written": f"{_HEAD}index 3\n{HASH}\n\n{NOTE}",
    "without a path": f"{_HEAD}index 0\n\n{NOTE}",
    "with an extra line": f"{_HEAD}extra AAAA\nindex 3\n{HASH}\n\n{NOTE}",
    "with two extra lines": f"{_HEAD}extra AAAA\nextra AAAA\nindex 3\n\n{NOTE}",
    "a zero before the index": f"{_HEAD}index 03\n\n{NOTE}",
    "the largest index": f"{_HEAD}index {2**53 - 1}\n\n{NOTE}",
    "an index beyond": f"{_HEAD}index {2**53}\n\n{NOTE}",
    "a sign before the index": f"{_HEAD}index +3\n\n{NOTE}",
    "no index": f"{_HEAD}{HASH}\n\n{NOTE}",
    "a short hash": f"{_HEAD}index 3\nAAAA\n\n{NOTE}",
    "hashes of 31 and 33 bytes": f"{_HEAD}index 3\n{SHORT}\n{LONG}\n\n{NOTE}",
    "a hash that is none": f"{_HEAD}index 3\n*{HASH[1:]}\n\n{NOTE}",
    "a space behind a hash": f"{_HEAD}index 3\n{HASH} \n\n{NOTE}",
    "another version": f"c2sp.org/tlog-proof@v2\nindex 3\n\n{NOTE}",
    "no head": f"{_HEAD}index 3\n{HASH}\n",
    "nothing": "",
}


def taken_by_page(page: Page, vectors: dict[str, str], work: str) -> set[str]:
    """Return the names of what the page's own function takes."""
    script = f"""async ([key, vectors]) => {{
        const taken = [];
        for (const [name, text] of Object.entries(vectors)) {{
            try {{ await ({work})(text, await readKey(key)); taken.push(name); }} catch (error) {{
                if (!(error instanceof Unverified)) throw error;
            }}
        }}
        return taken;
    }}"""
    return set(page.evaluate(script, [LOG.verifier_key, vectors]))


def taken_by_script(vectors: dict[str, str], work: Callable[[str], object]) -> set[str]:
    """Return the names of what the function of verify.py takes."""
    taken = set()
    for name, text in vectors.items():
        with suppress(standalone.Unverified):
            work(text)
            taken.add(name)
    return taken


def test_what_one_program_takes_for_a_head_or_a_proof_the_other_does(page: Page) -> None:
    key = standalone.parse_verifier_key(LOG.verifier_key)
    heads = taken_by_script(NOTES, lambda note: standalone.open_checkpoint(note, key))
    proofs = taken_by_script(PROOFS, standalone.parse_proof)

    assert taken_by_page(page, NOTES, "(note, key) => openCheckpoint(note, key)") == heads
    assert taken_by_page(page, PROOFS, "(text) => readProof(text)") == proofs
    assert {"as signed", "63 strangers beside", "the largest size"} <= heads
    assert not {"64 strangers beside", "a size beyond"} & heads
    assert proofs == {"as written", "without a path", "with an extra line", "the largest index"}


#: What may stand in a letter for a key.
KEYS = {
    "as printed": LOG.verifier_key,
    "with white space around": f"\t {LOG.verifier_key}\r\n",
    "with a no-break space behind": LOG.verifier_key + "\xa0",
    "with a separator behind": LOG.verifier_key + "\x1f",
    "with a byte order mark before": "\ufeff" + LOG.verifier_key,
    "with a zero-width space behind": LOG.verifier_key + "\u200b",
    "with white space inside": LOG.verifier_key.replace("+", " +", 1),
    "with another id": re.sub(r"\+[0-9a-f]", "+0", LOG.verifier_key, count=1)[:-1],
    "with its id in capitals": LOG.verifier_key.replace(LOG.verifier_key.split("+")[1], "ABCDEF01"),
    "without its id": "+".join(LOG.verifier_key.split("+", 2)[::2]),
    "of another kind": "example.com/ledger+00000000+Ag==",
    "cut": LOG.verifier_key[:-4],
    "nothing": "",
}


def test_what_one_program_takes_for_a_key_the_other_does(page: Page) -> None:
    keys = taken_by_script(KEYS, standalone.parse_verifier_key)

    assert taken_by_page(page, KEYS, "(text) => readKey(text)") == keys
    assert keys == {"as printed", "with white space around", "with a no-break space behind", "with a separator behind"}


#: Consistency and inclusion in trees of up to nine leaves: size, and each hash in turn left out, doubled or bent.
PROOFS_IN_TREES = """async ([cases]) => {
    const outcomes = [];
    for (const [kind, numbers, texts, path] of cases) {
        const [first, second] = texts.map(fromBase64);
        const check = kind === "inclusion" ? checkInclusion(first, ...numbers, second, path.map(fromBase64))
            : checkConsistency(numbers[0], first, numbers[1], second, path.map(fromBase64));
        try { await check; outcomes.push(true); } catch (error) {
            if (!(error instanceof Unverified)) throw error;
            outcomes.push(false);
        }
    }
    return outcomes;
}"""


def test_what_one_program_takes_for_a_path_through_the_tree_the_other_does(page: Page) -> None:
    """Every proof in every tree of up to nine leaves, and each with a hash less, more, bent or of another length."""
    trees = [Tree([leaf_hash(b"%d" % number) for number in range(size)]) for size in range(1, 10)]
    cases = [case for tree in trees for case in _paths_through(tree)]

    expected = [_holds(*case) for case in cases]

    assert page.evaluate(PROOFS_IN_TREES, [[_in_words(case) for case in cases]]) == expected
    assert (expected.count(True), len(cases)) == (9 * 10 // 2 * 2, 1406)


Case = tuple[str, tuple[int, int], tuple[bytes, bytes], list[bytes]]


def _paths_through(tree: Tree) -> Iterator[Case]:
    size, root = len(tree.leaves), tree.root(0, len(tree.leaves))
    for number in range(size + 2):
        inside = min(number, size - 1)
        leaf, path = tree.leaves[inside], tree.path(inside)
        yield from (("inclusion", (number, size), (leaf, root), one) for one in _bent(path))
        old = min(max(number, 1), size)
        path = tree.consistency(old)
        yield from (("consistency", (number, size), (tree.root(0, old), root), one) for one in _bent(path))


def _bent(path: list[bytes]) -> Iterator[list[bytes]]:
    yield path
    yield [*path, ROOT]
    if len(path) > 1:  # Put one behind the other, these are the same bytes to hash.
        yield [path[0][1:], path[1] + path[0][:1], *path[2:]]
    for place, node in enumerate(path):
        yield path[:place] + path[place + 1 :]
        yield [*path[:place], node, *path[place:]]
        yield [*path[:place], bytes([node[0] ^ 1]) + node[1:], *path[place + 1 :]]
        yield [*path[:place], node[:-1], *path[place + 1 :]]


def _holds(kind: str, numbers: tuple[int, int], ends: tuple[bytes, bytes], path: list[bytes]) -> bool:
    try:
        if kind == "inclusion":
            standalone.check_inclusion(ends[0], *numbers, ends[1], path)
        else:
            standalone.check_consistency(numbers[0], ends[0], numbers[1], ends[1], path)
    except standalone.Unverified:
        return False
    return True


def _in_words(case: Case) -> list[object]:
    kind, numbers, ends, path = case
    texts = [[base64.b64encode(node).decode() for node in nodes] for nodes in (ends, path)]
    return [kind, numbers, *texts]


NEW = Signer.generate(f"{LOG.name}/2")


def reopened(**changes: object) -> str:
    """Spell an entry `log.reopened`, with some members of its data otherwise; None takes one away."""
    data: dict[str, object] = {
        "origin": NEW.name, "verifier_key": NEW.verifier_key, "previous": LOG.verifier_key,
        "former": {"origin": LOG.name, "size": 7, "root": ROOT.hex()}, "cause": "restored", "why": "A backup.",
        "trusted_size": 7, "lost": {"origin": LOG.name, "size": 9, "root": ROOT.hex()},
    }  # fmt: skip
    kept = {name: one for name, one in (data | changes).items() if one is not None}
    return spelled({"event": changes.pop("event", "log.reopened"), "data": kept}).decode()


FORMER = {"origin": LOG.name, "size": 7, "root": ROOT.hex()}
BREAKS = {
    "as recorded": reopened(),
    "nothing lost": reopened().replace(f'{{"origin":"{LOG.name}","root":"{ROOT.hex()}","size":9}}', "null"),
    "nothing said of what is lost": reopened(lost=None),
    "nothing said of the log before": reopened(former=None),
    "another event": reopened(event="log.started"),
    "the same log": reopened(verifier_key=LOG.verifier_key),
    "another log before": reopened(former=FORMER | {"origin": "example.org/ledger"}),
    "trusted beyond its end": reopened(trusted_size=8),
    "trusted up to a text": reopened(trusted_size="7"),
    "trusted up to less than nothing": reopened(trusted_size=-1),
    "a size that is a text": reopened(former=FORMER | {"size": "7"}),
    "a size that is true": reopened(former=FORMER | {"size": True}),
    "a root in capitals": reopened(former=FORMER | {"root": ROOT.hex().upper()}),
    "a short root": reopened(former=FORMER | {"root": "00"}),
    "a root with a space": reopened(lost=FORMER | {"root": f" {ROOT.hex()}"}),
    "lost as a text": reopened(lost="much"),
    "a cause that is a number": reopened(cause=1),
    "no reason": reopened(why=None),
    "a key that is a number": reopened(verifier_key=5),
    "no object": "[]",
    "null": "null",
}


def test_what_one_program_takes_for_a_break_the_other_does(page: Page) -> None:
    breaks = taken_by_script(BREAKS, lambda text: standalone.read_break(text.encode()))

    assert taken_by_page(page, BREAKS, "(text) => readBreak(text)") == breaks
    assert breaks == {"as recorded", "nothing lost"}


#: Texts that are JSON for most readers; the format takes one spelling of each value.
TEXTS = {
    "an entry": '{"a":1,"b":["x",null,true]}',
    "the largest integer": f"[{2**53 - 1},-{2**53 - 1}]",
    "an integer beyond": f"[{2**53}]",
    "an integer below": f"[-{2**53}]",
    "minus zero": "[-0]",
    "a fraction": "[1.0]",
    "an exponent": "[1e3]",
    "a member twice": '{"a":1,"a":1}',
    "a member twice that differs": '{"a":1,"a":2}',
    "members in another order": '{"b":1,"a":2}',
    "white space": '{"a": 1}',
    "a newline behind": "[1]\n",
    "a letter that is escaped": '["\\u0061"]',
    "a control character that is escaped": '["\\u0007"]',
    "a control character as it is": '["\x07"]',
    "half a character": '["\\ud800"]',
    "a whole character beyond the first plane": '["\U0001f511"]',
    "a name that is not ASCII": '{"\xe9":1}',
    "a number that is none": "[NaN]",
    "nothing": "",
}


def test_what_one_program_takes_for_canonical_the_other_does(page: Page) -> None:
    texts = taken_by_script(TEXTS, standalone.read_canonical)

    assert taken_by_page(page, TEXTS, "(text) => readCanonical(text)") == texts
    assert texts == {
        "an entry",
        "the largest integer",
        "a control character that is escaped",
        "a whole character beyond the first plane",
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content + b"more",
        lambda content: content.replace(b"README.txt", b"/EADME.txt"),
        lambda content: content[:10] + b"\x01" + content[11:],
        lambda content: b"not a zip",
    ],
    ids=["cut", "longer", "an absolute path", "a header", "no zip"],
)
def test_a_container_that_is_not_as_it_was_packed_is_refused(
    page: Page, issued: Issued, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "b.zip").write_bytes(change(issued.packed))

    expected = by_script(tmp_path / "b.zip", issued.key)

    assert not expected.startswith("HOLDS")
    assert verdict(page, tmp_path / "b.zip", issued.key).startswith(expected.split("  ")[0])


def test_a_foreign_key_is_refused(page: Page, issued: Issued, tmp_path: Path) -> None:
    bundle = issued.save(tmp_path / "b.zip")

    assert "not signed by the key you pinned" in verdict(page, bundle, OTHER)
    assert "not the one you pinned" in verdict(page, bundle, "ab" * 32)
    assert verdict(page, bundle, "nonsense").startswith("COULD NOT LOOK")
