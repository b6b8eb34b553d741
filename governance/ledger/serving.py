"""The ledger for machines: the signed head and the tiles of hashes, at the paths of c2sp.org/tlog-tiles.

Public, because they hold hashes only: a witness or an auditor needs no account to see that nothing was rewritten.
"""

from __future__ import annotations

import re

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from governance.ledger.disposals import minimum_index
from governance.ledger.merkle import TILE_HEIGHT, TILE_WIDTH
from governance.ledger.programs import witness_source
from governance.ledger.queries import ProvenEntry, breaks, key_rotations, latest_checkpoint
from governance.ledger.stored_tree import StoredNodes

#: `<N>` is groups of three digits, all but the last marked with an x: 1234067 is x001/x234/067.
_TILE = re.compile(r"(?P<number>(?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?")
_FOR_EVER = "public, max-age=31536000, immutable"


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponse:
    """Serve the latest signed head."""
    head = latest_checkpoint()
    if head is None:
        raise Http404("The ledger has not started.")
    response = HttpResponse(head.note, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def tile(request: HttpRequest, level: int, path: str) -> HttpResponse:
    """Serve a tile of up to 256 hashes; a tile that is not full is named by its width."""
    found = _TILE.fullmatch(path)
    head = latest_checkpoint()
    if found is None or head is None or level > 7:
        raise Http404("This is not the path of a tile.")
    start = int(found["number"].replace("x", "").replace("/", "")) * TILE_WIDTH
    width = int(found["width"] or TILE_WIDTH)
    is_named_well = path == tile_path(start // TILE_WIDTH, width)
    if not is_named_well or start + width > head.size >> (TILE_HEIGHT * level):
        raise Http404("There is no such tile.")
    hashes = StoredNodes().nodes(level, start, start + width)
    response = HttpResponse(b"".join(hashes), content_type="application/octet-stream")
    response["Cache-Control"] = _FOR_EVER
    return response


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """Serve the entries by which the log went over to another key, or on from another log, each with its proof."""
    said = {"rotations": key_rotations(), "breaks": [one.proven for one in breaks()]}
    response = JsonResponse({name: [_proven(one) for one in found] for name, found in said.items()})
    response["Cache-Control"] = "no-cache"
    return response


def _proven(one: ProvenEntry) -> dict[str, object]:
    return {"index": one.entry.index, "body": one.entry.body, "proof": one.proof_file}


@require_safe
def minimum(request: HttpRequest) -> HttpResponse:
    """Serve the minimum index: below it, texts of entries may have been disposed of. The tiles stay."""
    response = HttpResponse(f"{minimum_index()}\n", content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


@require_safe
def witness(request: HttpRequest) -> HttpResponse:
    """Serve the program that watches the log, one file for a machine of somebody else."""
    response = HttpResponse(witness_source(), content_type="text/x-python; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="witness.py"'
    return response


def tile_path(number: int, width: int = TILE_WIDTH) -> str:
    """Return `<N>[.p/<W>]` of a tile."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[place : place + 3] for place in range(0, len(digits), 3)]
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]]) + partial
