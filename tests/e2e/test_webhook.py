"""The crowd tells that a pool moved, signed: check-pools is woken before its tick."""

from __future__ import annotations

import hmac
import json
import time

from deployment import Answer, Deployment, http
from emulator import Emulator
from processes import wait_for


def body(uuid: str) -> str:
    """A delivery with one event."""
    event = {"uuid": uuid, "type": "POOL_CLOSED", "pool_id": "1", "close_reason": "COMPLETED"}
    return json.dumps({"events": [event]})


def post(deployment: Deployment, secret: str, body: str = body("told"), seconds_ago: int = 0) -> Answer:
    """Delivers as the platform does, signed: see `quorate_toloka::webhook`."""
    at = int((time.time() - seconds_ago) * 1000)
    sign = hmac.new(secret.encode(), f"{at}.1.{body}".encode(), "sha256").hexdigest()
    headers = {"Content-Type": "application/json", "Toloka-Signature": f"{{v=1, ts={at}, sign={sign}}}"}
    return http(deployment.url("ReceiveWebhook"), body.encode(), headers)


def looks(emulator: Emulator) -> int:
    """How often a function asked for the rounds that are under way: the first thing in a tick."""
    with emulator.proxy.lock:
        return sum(asked.kind == "Query" and b"UNFINISHED" in asked.body for asked in emulator.proxy.seen)


def test_only_the_crowd_wakes_check_pools(deployment: Deployment, emulator: Emulator) -> None:
    secret = deployment.secret("WebhookSecret")
    refused = [
        post(deployment, "a guess"),
        post(deployment, secret, seconds_ago=3600),
        http(deployment.url("ReceiveWebhook"), body("forged").encode()),
        http(deployment.url("ReceiveWebhook")),
    ]
    assert [answer.status for answer in refused] == [403] * 4
    assert len({answer.body for answer in refused}) == 1, "no hint at what was wrong"

    # The schedules tick once or twice in this time.
    for number in range(5):
        before = looks(emulator)
        assert post(deployment, secret, body(f"told {number}")).status == 200
        wait_for("check-pools, woken", lambda: looks(emulator) > before, 20)
