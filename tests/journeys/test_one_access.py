"""One access from the directory to the proof, through the doors only, on the embedded default and on servers.

HTTP in (as Okta sends it), a browser for the pages, HTTP out to a real SCIM application, which is asked by its own API
for what is there; and at the end the auditor's bundle, checked by its own verifier.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.journeys.okta import Downstream, Okta
from tests.journeys.rest import Rest
from tests.journeys.stack import Stack, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(420), pytest.mark.xdist_group("journeys")]

PASSWORD = "a long walk to the gate"
DEMO_PASSWORD = "open-the-demo-gate"
OWNER, ADMIN, AUDITOR = "ana.ruiz@halden.example", "ravi.menon@halden.example", "helen.marsh@halden.example"
NINA = "nina.okafor@halden.example"
PURPOSE = "Fix an incident"
#: Removal is read back within this many seconds of the end.
LATENESS_SECONDS = 5


class Journey:
    """What the steps hand on to each other."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.okta = Okta(stack.url, _last_line(stack.manage("scim_token", "create", "okta", "--dialect", "okta")))
        keys = stack.data_dir / "keys"
        port = (keys / "downstream_port").read_text().strip()
        self.relay = Downstream(f"http://127.0.0.1:{port}/v2", (keys / "downstream_token").read_text().strip())
        self.nina = ""

    def rest(self, email: str) -> Rest:
        """Return a script that acts for somebody."""
        token = self.stack.manage("api_token", "create", f"journey-{email}", "--for", email)
        return Rest(self.stack.url, _last_line(token))


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def journey(stack: Stack) -> Journey:
    return Journey(stack)


def test_1_the_directory_sends_an_employee_and_a_group(journey: Journey) -> None:
    journey.nina = journey.okta.assign(
        NINA, "Nina", "Okafor", department="Engineering", manager={"value": "jonas.weber@halden.example"}
    )
    journey.okta.push_group("Incident crew", [journey.nina])

    seen = journey.okta.user(journey.nina)
    assert seen["userName"] == NINA
    assert seen["active"] is True
    assert [group["display"] for group in seen.get("groups", [])] in ([], ["Incident crew"])
    assert not journey.relay.holds(NINA, "Relay On-call bridge")


def test_2_she_asks_in_the_browser_the_owner_approves_and_relay_shows_it(journey: Journey, chromium: Browser) -> None:
    journey.stack.manage("set_password", NINA, said=f"{PASSWORD}\n")
    nina = _signed_in(chromium, journey.stack.url, NINA, PASSWORD)
    nina.goto("/access/relay/request/?role=on-call-bridge")
    nina.get_by_role("radio", name="On-call bridge").check()
    nina.get_by_text("15 minutes", exact=True).click()
    if nina.get_by_label("Purpose").count():
        nina.get_by_label("Purpose").select_option(index=1)
    nina.get_by_label("What will you do with it?").fill("The clinic in Bergen cannot reach us; I join the incident.")
    nina.get_by_role("button", name="Send request").click()
    expect(nina.get_by_text("R-").first).to_be_visible()

    ana = _signed_in(chromium, journey.stack.url, OWNER, DEMO_PASSWORD)
    ana.goto("/approvals/")
    ana.get_by_role("link", name="Nina Okafor").first.click()
    expect(ana.get_by_role("heading", name="Nina Okafor")).to_be_visible()
    ana.get_by_role("button", name="Approve").click()
    expect(ana.locator("#live")).to_contain_text("pproved")

    wait_for(lambda: journey.relay.holds(NINA, "Relay On-call bridge"), seconds=20, what="the account in Relay")
    nina.goto("/me/access/")
    wait_for(lambda: _shows(nina, "Relay shows it"), seconds=20, what="the page to say that Relay shows it")


def _shows(page: Page, words: str) -> bool:
    page.reload()
    return words in page.inner_text("main")


def test_3_she_gives_it_back_and_it_is_gone(journey: Journey, chromium: Browser) -> None:
    nina = _signed_in(chromium, journey.stack.url, NINA, PASSWORD)
    nina.goto("/me/access/")
    nina.get_by_role("button", name="Give back").first.click()
    nina.get_by_role("alertdialog").get_by_role("button", name="Give back").click()

    wait_for(lambda: not journey.relay.holds(NINA, "Relay On-call bridge"), seconds=30, what="the removal in Relay")


def test_4_a_short_access_ends_by_itself_on_time(journey: Journey) -> None:
    script = journey.rest(NINA)
    owner = journey.rest(OWNER)
    asked = script.post(
        "requests/",
        application="relay",
        entitlement="on-call-bridge",
        duration_seconds=12,
        purpose=PURPOSE,
        reason="The clinic in Bergen cannot reach us again.",
    )
    decided = owner.post(f"requests/{asked['number']}/approve/")
    (grant,) = decided["grants"]
    wait_for(lambda: journey.relay.holds(NINA, "Relay On-call bridge"), seconds=10, what="the account in Relay")

    def removed() -> Any:
        found = script.get(f"grants/{grant['id']}/")
        return found if found["removed"] and found["removed"]["state"] == "verified" else None

    ended: Any = wait_for(removed, seconds=30, what="the read-back of the removal")
    assert not journey.relay.holds(NINA, "Relay On-call bridge")
    assert journey.relay.members("Relay On-call bridge").count(NINA) == 0
    assert 0 <= ended["seconds_late"] < LATENESS_SECONDS
    assert ended["end_cause"] == "expired"


def test_5_a_leaver_loses_everything_by_one_message(journey: Journey) -> None:
    script = journey.rest(NINA)
    owner = journey.rest(OWNER)
    asked = script.post(
        "requests/",
        application="relay",
        entitlement="on-call-bridge",
        duration_seconds=3600,
        purpose=PURPOSE,
        reason="The clinic in Bergen cannot reach us, third time.",
    )
    owner.post(f"requests/{asked['number']}/approve/")
    wait_for(lambda: journey.relay.holds(NINA, "Relay On-call bridge"), seconds=20, what="the account in Relay")

    journey.okta.unassign(journey.nina)

    wait_for(lambda: _is_shut_out(journey.relay), seconds=20, what="the end of the account in Relay")
    with pytest.raises(AssertionError, match="401"):
        script.get("me/")
    audit = journey.rest(AUDITOR)
    left = audit.get("people/", status="left", limit=200)["results"]
    (nina,) = [person for person in left if person["user_name"] == NINA]
    assert audit.get("grants/", person=nina["ref"])["results"] == []


def _is_shut_out(relay: Downstream) -> bool:
    accounts = relay.accounts(NINA)
    return all(account.get("active") is False for account in accounts) and not relay.holds(NINA, "Relay On-call bridge")


def test_6_the_auditor_takes_a_bundle_that_verifies_alone(journey: Journey, chromium: Browser, tmp_path: Path) -> None:
    today = time.strftime("%Y-%m-%d", time.gmtime())
    helen = _signed_in(chromium, journey.stack.url, AUDITOR, DEMO_PASSWORD)
    helen.goto(f"/evidence/?framework=soc2&from={today[:8]}01&to={today}&zone=UTC")
    helen.get_by_role("button", name="Build").first.click()
    button = helen.get_by_role("button", name="Download").first
    expect(button).to_be_visible(timeout=120_000)
    with helen.expect_download() as download:
        button.click()
    bundle = tmp_path / "bundle.zip"
    download.value.save_as(bundle)

    alone = tmp_path / "alone"
    alone.mkdir()
    with zipfile.ZipFile(bundle) as packed:
        packed.extractall(alone)
    key = _key_on(helen)
    verifier = next(alone.rglob("verify.py"))
    outside = tmp_path / "verify.py"
    shutil.copy(verifier, outside)
    assert _verify(outside, bundle, key).returncode == 0, _verify(outside, bundle, key).stdout

    target = next(alone.rglob("*.csv"))
    spoiled = bytearray(target.read_bytes())
    spoiled[len(spoiled) // 2] ^= 1
    target.write_bytes(spoiled)
    refused = _verify(outside, alone, key)
    assert refused.returncode == 1
    assert target.name in refused.stdout + refused.stderr


def test_7_the_log_holds_and_names_each_act_once(journey: Journey) -> None:
    said = journey.stack.manage("verify_ledger")
    assert said
    assert httpx.get(f"{journey.stack.url}/readyz", timeout=5).status_code == 200


def _key_on(helen: Page) -> str:
    """Return the fingerprint of the signing key, as the page of evidence says it."""
    command = helen.get_by_label("Command").inner_text()
    return command.rpartition("--key ")[2].strip()


def _verify(verifier: Path, bundle: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(verifier), str(bundle), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def _signed_in(browser: Browser, url: str, email: str, password: str) -> Page:
    page = browser.new_context(base_url=url).new_page()
    page.set_default_timeout(15_000)
    page.goto("/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    return page
