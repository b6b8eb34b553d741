"""Reading lists from a SCIM 2.0 server without believing it: filters may be ignored, pages may repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governance.provisioning.connectors.base import CallFailed, Permanent, Transient
from governance.provisioning.connectors.http import Answer, Http

Resource = Mapping[str, Any]
#: 100 is the limit of some servers (AWS) and a good page for all.
PAGE_SIZE = 100
#: More pages than this, one after the other, are taken for a server that never ends.
MAX_PAGES = 20_000
LONGEST_ID = 320


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list, and how many resources the server says there are."""

    resources: list[Resource]
    announced: int | None


def quoted(value: str) -> str:
    """Return `value` as a literal of a SCIM filter (RFC 7644 §3.4.2.2: a JSON string)."""
    return json.dumps(value, ensure_ascii=False)


def same(one: str, other: str) -> bool:
    """Compare two values that SCIM compares without regard to letter case (userName, displayName)."""
    return one.strip().casefold() == other.strip().casefold()


def id_of(resource: Resource) -> str:
    """Return the id of a resource. Raises CallFailed when it is none that can be kept or asked for."""
    value = resource.get("id")
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    if not text or len(text) > LONGEST_ID or not text.isprintable() or text in {".", ".."}:
        raise CallFailed(Transient("The application showed something without a usable id."))
    return text


def text_of(value: object) -> str:
    """Return a text from outside as it can be kept: no control characters, at most 320 characters."""
    if not isinstance(value, str):
        return ""
    kept = "".join(character for character in value if character.isprintable())
    return kept.encode("utf-8", "replace").decode()[:LONGEST_ID]


def values_of(resource: Resource, attribute: str) -> list[str]:
    """Return the values of a multi-valued attribute, whether the server sends objects or plain strings."""
    listed = resource.get(attribute)
    items = listed if isinstance(listed, list) else []
    found = [item.get("value") if isinstance(item, Mapping) else item for item in items]
    return [str(value) for value in found if isinstance(value, (str, int)) and not isinstance(value, bool)]


def find_all(http: Http, path: str, expression: str, matches: Callable[[Resource], bool]) -> list[Resource]:
    """Return the resources at `path` that match. The filter only helps: `matches` decides.

    When the server shows anything that does not match, it ignores the filter, and the whole list is read, because
    an answer of "not found" after its first page would be wrong.
    """
    params: dict[str, str | int] = {"filter": expression, "count": PAGE_SIZE}
    answer = http.get(path, params)
    if answer.status in (400, 501):
        return [resource for page in pages(http, path) for resource in page.resources if matches(resource)]
    page = _page(answer)
    is_trusted = all(matches(resource) for resource in page.resources) and (page.resources or not page.announced)
    if is_trusted:
        return page.resources
    return [resource for page in pages(http, path) for resource in page.resources if matches(resource)]


def pages(http: Http, path: str, params: Mapping[str, str] | None = None) -> Iterator[ListPage]:
    """Yield every page of the list at `path` (RFC 7644 §3.4.2.4). Raises CallFailed when it cannot be read to its end.

    The walk ends when as many came as were announced, or at an empty page: the caller compares the two.
    """
    start, first_id = 1, ""
    for _ in range(MAX_PAGES):
        page = _page(http.get(path, {**(params or {}), "startIndex": start, "count": PAGE_SIZE}))
        if page.resources and start > 1 and id_of(page.resources[0]) == first_id:
            raise CallFailed(Permanent("The application sends its first page again and again.", _ASK_VENDOR))
        if start == 1 and page.resources:
            first_id = id_of(page.resources[0])
        yield page
        start += len(page.resources)
        if not page.resources or (page.announced is not None and start > page.announced):
            return
    raise CallFailed(Permanent("The list of the application does not end.", _ASK_VENDOR))


_ASK_VENDOR = "Ask the vendor about paging in their SCIM service."


def _page(answer: Answer) -> ListPage:
    """Check that an answer is a SCIM list. An error or another shape is never an empty list."""
    if answer.status == 404:
        raise CallFailed(
            Permanent("The SCIM service is not at this address.", "Correct the address of the connector.", True)
        )
    if not answer.is_success:
        said = f": {answer.detail}" if answer.detail else "."
        raise CallFailed(Permanent(f"The application refused to be read ({answer.status}){said}", _ASK_VENDOR))
    listed = answer.body.get("Resources")
    announced = answer.body.get("totalResults")
    if isinstance(announced, bool) or not isinstance(announced, int):
        announced = None
    if listed is None and announced == 0:
        return ListPage([], 0)
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        raise CallFailed(Transient("The application answered with something that is not a SCIM list."))
    return ListPage(listed, announced)
