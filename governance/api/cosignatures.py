"""Where witnesses hand their cosignatures in. Nobody signs in here: the signature says whose it is."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from governance.anchors.witnesses import LONGEST, take
from governance.core.errors import Invalid


@csrf_exempt
@require_POST
def cosignatures(request: HttpRequest) -> HttpResponse:
    """Take a head with cosignatures of witnesses that are known here; the body is the signed note."""
    try:
        if int(request.headers.get("Content-Length") or 0) > LONGEST:
            raise Invalid({"checkpoint": f"A cosigned head has at most {LONGEST} bytes."})
        taken = take(request.read(LONGEST + 1).decode("utf-8"))
    except UnicodeDecodeError:
        return _refused("The body is not UTF-8.")
    except Invalid as refusal:
        return _refused(refusal.fields["checkpoint"][0])
    said = "".join(f"{one.anchor.name}: {one.size} entries at {one.stated.isoformat()}\n" for one in taken)
    return HttpResponse(said, content_type="text/plain; charset=utf-8")


def _refused(said: str) -> HttpResponse:
    return HttpResponse(f"{said}\n", status=422, content_type="text/plain; charset=utf-8")
