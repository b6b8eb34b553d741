"""The ways a mail goes: by SMTP, or into a folder where a newcomer reads what would have been sent."""

from __future__ import annotations

import smtplib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

#: Mails kept in the folder; older ones go.
KEPT_IN_FOLDER = 200
_SMTP = "django.core.mail.backends.smtp.EmailBackend"


@dataclass(frozen=True, slots=True)
class Sent:
    """The server took it."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not this one, not now."""

    cause: str


@dataclass(frozen=True, slots=True)
class Never:
    """Not this one, whenever it is tried."""

    cause: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing can be sent now, whatever it is."""

    cause: str


Outcome = Sent | Later | Never | Trouble


class Post(AbstractContextManager["Post"], Protocol):
    """A way for mails, open while it is used. `deliver` raises nothing that is the server's or the mail's fault."""

    def deliver(self, message: EmailMessage, name: str) -> Outcome:
        """Send one mail; `name` is its own, the same at each try."""


class SmtpPost:
    """Sends over one connection, which is opened with the first mail."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend = get_connection(_SMTP)

    def __enter__(self) -> SmtpPost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def deliver(self, message: EmailMessage, name: str) -> Outcome:
        """Send one mail; what the server answers becomes an outcome."""
        try:
            self._connection.open()
        except (OSError, smtplib.SMTPException) as error:
            return Trouble(_cause(error))
        try:
            self._connection.send_messages([message])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()), (550, b""))
            return _by_code(code, _said(said, code))
        except smtplib.SMTPDataError as error:
            return _by_code(error.smtp_code, _cause(error))
        except (smtplib.SMTPNotSupportedError, ValueError) as error:
            return Never(f"This is no address the mail server can send to: {_cause(error)}")
        except (OSError, smtplib.SMTPException) as error:
            return Trouble(_cause(error))
        return Sent()


class FolderPost:
    """Writes each mail to a file of the folder, whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> FolderPost:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for old in sorted(self._folder.glob("*.eml"), key=_age, reverse=True)[KEPT_IN_FOLDER:]:
            old.unlink(missing_ok=True)

    def deliver(self, message: EmailMessage, name: str) -> Outcome:
        """Write one mail."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{name}.part"
            unfinished.write_bytes(message.message().as_bytes(linesep="\n"))
            unfinished.rename(self._folder / f"{name}.eml")
        except OSError as error:
            return Trouble(_cause(error))
        return Sent()


def post() -> Post | None:
    """Return the way mails go here; None when they do not."""
    if settings.MAIL_WAY == "smtp":
        return SmtpPost()
    return FolderPost(settings.MAIL_DIR) if settings.MAIL_WAY == "folder" else None


def _by_code(code: int, cause: str) -> Outcome:
    return Later(cause) if 400 <= code < 500 else Never(cause)


def _said(said: bytes | str, code: int) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"The mail server refused the address: {code} {text}"[:500]


def _cause(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        return f"The mail server answered {error.smtp_code} {text}"[:500]
    return f"The mail server could not be reached: {str(error) or type(error).__name__}"[:500]


def _age(path: Path) -> float:
    return path.stat().st_mtime
