"""README.txt of a bundle: what it is, how to check it, and what that proves and does not."""

from __future__ import annotations

from collections.abc import Sequence

from governance.evidence.controls import REVIEW_NOTE, framework_named
from governance.evidence.ledger_files import MOST_ENTRIES, MOST_LEAVES
from governance.evidence.questions import Question
from governance.evidence.reports.base import FORMAT_NOTES, Report
from governance.ledger.canonical import instant

_CHECK = """\
How to check it
---------------
Any Python from 3.9 on, nothing to install, no network:

    python3 verify/verify.py --key KEY                (inside the unpacked folder)
    python3 verify.py BUNDLE.zip --key KEY            (a verify.py you have from elsewhere, the file as downloaded)

Exit code 0: everything holds. 1: something does not, and the first such record is named. 2: it could not look, or
nothing was proven because no key was given.

Without Python: open verify/verify.html in a browser, from your disk, and give it the file as downloaded. It makes the
same checks, asks nobody, and says the same.

KEY is the log's verifier key, its fingerprint, or a file with either. Take it from outside this bundle: the engagement
letter, paper, an earlier year. Where the log has gone over to another key since, that is followed. Without --key the
key of the bundle itself is used (ledger/log_key.txt is only informative), which shows that the bundle is whole, not
who made it: then it says NOT PROVEN.

--checkpoint FILE compares the log with a signed checkpoint that you kept from earlier. If somebody rewrote history
since, they differ. Keep ledger/checkpoint of this bundle for the next time.

A bundle that was packed again by another program is refused by the check of the ZIP: check the unpacked folder.
"""

_CHOSEN = """\
Narrowed by a definition (version {}, SHA-256 {}):
what it leaves out of reports, rows and columns is in R00, as gaps, with the number of rows there would be without."""

_FILES = """\
What is inside
--------------
reports/                     the record: CSV. R00 is the cover: parameters, sources and their gaps, control totals
reports/*.xlsx               the same rows as workbooks, up to 50,000 rows, with the same guards
cover.pdf                    the cover to file and to sign; it is no population
oscal/                       plan and results in OSCAL: which controls, by which of these files
dictionary/                  what each column and each exception code means
queries/                     the queries as they were run; %(name)s stands for a parameter of the cover
rows/                        a short digest of each row, so that the first changed row can be named
manifest.json                every file with size and SHA-256, the parameters, the pinned ledger, the control totals
ledger/entries.ndjson        the ledger entries that support rows, word for word; they hold no personal data
ledger/proofs/entries.ndjson for each of them, line by line, its audit path (RFC 6962) to ledger/pinned_checkpoint
ledger/leaves.bin            the hashes of all entries up to the pinned size
late_facts/                  only where asked for: what became known since an earlier bundle, row by row
ledger/verification.txt      what the verifier of the log said of everything up to the pinned size
ledger/pinned_checkpoint     the signed head of the log the reports are pinned to
ledger/manifest_entry.json   the log's entry evidence.exported, which holds the SHA-256 of manifest.json
ledger/proofs/manifest.tlog-proof   that this entry is in the log (c2sp.org/tlog-proof)
ledger/checkpoint            the signed head that proof leads to (c2sp.org/tlog-checkpoint)
ledger/consistency.txt       that the pinned log is the beginning of the log of that head (RFC 6962)
ledger/breaks.ndjson         only where there was one: each break of the log, with its audit path to that head
ledger/rotations.ndjson      only where there was one: each change of the log's key, signed by the key before as well
SHA256SUMS                   for sha256sum -c
"""

_PROVES = """\
What it proves
--------------
* The log knew exactly this manifest, and the manifest names exactly these files.
* R01, R03 and R05 were counted a second time from what the database's triggers put into the log, not from the tables,
  and matched both ways (R00, second_count). Rows that are in only one of the two are named, and are a gap.
* Each supporting entry was in the log before the export, and is about the person or grant of its row.
* The same question, pinned to the same size of the log and the same knowledge cut, gives the same manifest and the
  same files on any day and machine; asking again reuses the entry in the log, and so gives the same ZIP. Names and
  risk of applications and entitlements, and which login is a person's, are shown as when it was read: if one of them
  changed since, the files differ, and the log shows both exports.

What it does not prove
----------------------
* That what was entered was true: see the sources and gaps in the cover.
* That nobody with the database, the signing key and every kept checkpoint rewrote all of it. Keep a checkpoint.
"""


def text(question: Question, reports: Sequence[Report]) -> str:
    """Return the text, in plain ASCII."""
    framework, period = framework_named(question.framework), question.period
    title = f"Evidence for {framework.name}, {period.first} to {period.last} ({period.zone})"
    chosen = question.selection
    lines = [
        title,
        "=" * len(title),
        f"Both days included: from {instant(period.starts_at)} until before {instant(period.ends_at)}.",
        f"Known at {instant(question.known_at)}; ledger pinned at size {question.ledger_size}.",
        REVIEW_NOTE,
        *([_CHOSEN.format(chosen.version, chosen.sha256)] if chosen else []),
        "",
        _CHECK,
        _FILES,
        "The reports",
        "-----------",
        *(f"{report.id} {report.title}. {report.population}" for report in reports),
        "",
        *FORMAT_NOTES,
        "Read CSV into a spreadsheet as UTF-8.",
        f"At most {MOST_ENTRIES:,} supporting entries are included, the lowest first; the manifest says how many are",
        f"left out. Leaf hashes are included while the log has at most {MOST_LEAVES:,} entries.",
        "",
        _PROVES,
    ]
    return "\n".join(lines)
