"""`manage.py scim_token create|list|revoke`: connect identity providers."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.core.actor import Actor, Door
from governance.core.errors import DomainError
from governance.identity.models import ConnectionToken
from scim_bridge import connections
from scim_bridge.dialects.policies import DIALECTS


class Command(BaseCommand):
    """Make, list and revoke the tokens with which identity providers push people and groups."""

    help = "Connect an identity provider: create a token (printed alone on the last line), list tokens, revoke them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one of three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="make a token; again with the same name adds one, for rotation")
        create.add_argument("name")
        create.add_argument("--dialect", choices=list(DIALECTS), help="which identity provider (default: strict)")
        create.add_argument("--limit", type=int, help="how many requests it may send in a minute (default: 6000)")
        create.add_argument("--days", type=int, help="how long the token is valid (default: until it is revoked)")
        verbs.add_parser("list", help="show every connection and its tokens")
        revoke = verbs.add_parser("revoke", help="end the tokens of a connection")
        revoke.add_argument("name")
        revoke.add_argument("--token", metavar="BEGINNING", help="only the token that begins so, as `list` shows it")

    def handle(self, *_: Any, verb: str, **options: Any) -> None:
        """Do what the verb says, or say in one sentence why not."""
        actor = Actor.system("scim_token", door=Door.COMMAND)
        try:
            match verb:
                case "create":
                    self._create(
                        options["name"], actor, **{each: options[each] for each in ("dialect", "limit", "days")}
                    )
                case "list":
                    self._list()
                case _:
                    count = connections.revoke(options["name"], hint=options["token"], actor=actor)
                    self.stdout.write(f"Revoked {count} token{'' if count == 1 else 's'} of {options['name']}.")
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _create(self, name: str, actor: Actor, **terms: Any) -> None:
        token = connections.open_connection(name, **terms, actor=actor)
        self.stderr.write(f"The token for {name}. It is not shown again:")
        self.stdout.write(token)

    def _list(self) -> None:
        for link in connections.every_connection():
            self.stdout.write(_line(link))


def _line(link: ConnectionToken) -> str:
    token = link.token
    state = "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "live"
    used = f"last used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
    return f"{link.connection.name}  {link.connection.dialect}  {token.hint}…  {state}  {used}"
