"""A script at the REST door."""

from __future__ import annotations

from typing import Any

import httpx


class Rest:
    """Somebody's token at /api/v1/."""

    def __init__(self, base_url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self._http = httpx.Client(base_url=f"{base_url}/api/v1/", headers=headers, timeout=20)

    def get(self, path: str, **params: Any) -> Any:
        """Return what is at `path`."""
        return self._answer(self._http.get(path, params=params))

    def post(self, path: str, **body: Any) -> Any:
        """Send a document and return the answer."""
        return self._answer(self._http.post(path, json=body))

    def _answer(self, answer: httpx.Response) -> Any:
        if answer.is_server_error:
            answer.raise_for_status()
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None
