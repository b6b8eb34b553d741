"""`manage.py api_token create NAME --for EMAIL`: a token for a script at the REST door; also `list` and `revoke`."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.core.clock import now
from governance.core.errors import DomainError
from governance.identity.guests import guest_by_email
from governance.identity.models import ServiceToken
from governance.identity.queries import person_by_email
from governance.identity.roles import issue_token, revoke_token


class Command(BaseCommand):
    """Tokens of the REST door."""

    help = "Make (create), list or revoke tokens for scripts at the REST door."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to do."""
        what = parser.add_subparsers(dest="what", required=True)
        create = what.add_parser("create", help="make a token; it is the last line printed and is not shown again")
        create.add_argument("name")
        create.add_argument("--for", dest="email", required=True, help="whose rights it has")
        create.add_argument("--days", type=int, default=90, help="valid for so many days (default: 90)")
        create.add_argument("--scope", choices=["read", "write"], default="write", help="default: write")
        what.add_parser("list", help="list tokens")
        revoke = what.add_parser("revoke", help="end every token by this name")
        revoke.add_argument("name")

    def handle(self, *_: Any, what: str, **options: Any) -> None:
        """Do it, or say in one sentence why not."""
        try:
            getattr(self, f"_{what}")(options, Actor.system("api_token", door=Door.COMMAND))
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _create(self, options: dict[str, Any], actor: Actor) -> None:
        scopes = ["read", "write"] if options["scope"] == "write" else ["read"]
        _, token = issue_token(
            ServiceToken.Audience.API,
            options["name"],
            acts_for=guest_by_email(options["email"]) or person_by_email(options["email"]),
            scopes=scopes,
            expires_at=now() + timedelta(days=options["days"]),
            actor=actor,
        )
        self.stderr.write(f"The token {options['name']} of {options['email']}. It is not shown again:")
        self.stdout.write(token)

    def _list(self, options: dict[str, Any], actor: Actor) -> None:
        for token in _tokens().select_related("acts_for").order_by("name", "created_at"):
            state = (
                "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "open"
            )
            whose = token.acts_for.user_name if token.acts_for else "nobody"
            self.stdout.write(f"{token.name}  {token.hint}…  {whose}  {'+'.join(token.scopes)}  {state}")

    def _revoke(self, options: dict[str, Any], actor: Actor) -> None:
        live = list(_tokens().filter(name=options["name"], revoked_at__isnull=True))
        if not live:
            raise CommandError(f"There is no live token called {options['name']}.")
        for token in live:
            revoke_token(token, actor=actor)
        self.stdout.write(f"{len(live)} revoked.")


def _tokens() -> Any:
    return ServiceToken.objects.filter(audience=ServiceToken.Audience.API)
