"""The head as a commit in somebody else's Git repository, whose history shows when it came."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from governance.anchors.kinds.base import Field, Kept, NotKept, Place
from governance.provisioning.connectors.addresses import base_url_problem

FIELDS = (
    Field("url", "Repository", "https://… or ssh://…; best one where nobody of yours may force a push."),
    Field("branch", "Branch", "main when empty.", is_needed=False),
    Field("user", "User name", "For https, where the host wants one; often anything.", is_needed=False),
    Field("token", "Token", "For https. For ssh the key of the system user is used.", is_secret=True, is_needed=False),
)
EVERY_SECONDS = 600
_SECONDS = 60
_AUTHOR = ("Gatehouse ledger", "ledger@localhost")


def problems(said: Mapping[str, str], secret: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings: the field and the reason."""
    url, branch = said.get("url", ""), said.get("branch", "")
    scheme = urlsplit(url).scheme
    if scheme == "https" or (scheme == "http" and not settings.ENVIRONMENT.is_production):
        problem = base_url_problem(url, requires_tls=settings.ENVIRONMENT.is_production)
        if problem:
            yield "url", problem
    elif scheme == "file" and not settings.ENVIRONMENT.is_production:
        pass
    elif scheme != "ssh":
        yield "url", "The address must start with https:// or ssh://."
    if url.startswith("-") or any(sign.isspace() for sign in url):
        yield "url", "This is not an address."
    if branch and (branch.startswith("-") or not all(sign.isalnum() or sign in "-_./" for sign in branch)):
        yield "branch", "A branch has letters, digits, dots, dashes and slashes."


def keep(place: Place) -> Kept:
    """Commit the head and push it. Raises NotKept.

    A push that is not a fast-forward is never forced: the repository then holds what we did not put there.
    """
    work, branch = place.folder / "repository", place.settings.get("branch") or "main"
    run = _Git(work, place)
    work.mkdir(parents=True, exist_ok=True)
    run("init", "--quiet", "--initial-branch", branch)
    if run("ls-remote", "--heads", place.settings["url"], f"refs/heads/{branch}"):
        run("fetch", "--quiet", "--depth", "1", place.settings["url"], f"refs/heads/{branch}")
        run("reset", "--quiet", "--hard", "FETCH_HEAD")
    heads = work / "heads"
    heads.mkdir(exist_ok=True)
    for path in (heads / f"{place.head.size:012d}.txt", work / "checkpoint"):
        path.write_text(place.head.note, encoding="utf-8")
    run("add", "--all")
    if run("status", "--porcelain"):
        run("commit", "--quiet", "--message", f"Head of {place.head.size} entries")
    run("push", "--quiet", place.settings["url"], f"HEAD:refs/heads/{branch}")
    commit = run("rev-parse", "HEAD")
    there = run("ls-remote", "--heads", place.settings["url"], f"refs/heads/{branch}").partition("\t")[0]
    if there != commit:
        raise NotKept("The repository does not show the commit that was pushed.")
    return Kept({"commit": commit, "branch": branch})


class _Git:
    """Runs git in one folder, with nobody's settings but ours. The token is never on a command line."""

    def __init__(self, work: Path, place: Place) -> None:
        self._work = work
        config = {
            "user.name": _AUTHOR[0],
            "user.email": _AUTHOR[1],
            "commit.gpgsign": "false",
            "http.followRedirects": "false",
            "protocol.ext.allow": "never",
        }
        if place.secret:
            config["credential.helper"] = '!f() { echo "username=$GIT_USER"; echo "password=$GIT_TOKEN"; }; f'
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(Path.home()),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes",
            "GIT_USER": place.settings.get("user") or "gatehouse",
            "GIT_TOKEN": place.secret,
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (name, value) in enumerate(config.items()):
            self._environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}

    def __call__(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                (shutil.which("git") or "/usr/bin/git", *arguments),
                cwd=self._work,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise NotKept("The program git is not installed on this machine.") from error
        except subprocess.TimeoutExpired as error:
            raise NotKept(f"The repository did not answer within {_SECONDS} seconds.") from error
        if done.returncode:
            said = " ".join(done.stderr.split())[-300:]
            raise NotKept(f"git {arguments[0]} failed: {said}")
        return done.stdout.strip()
