"""What toloka-kit 1.2.3 sent when three published examples ran: `recorded.json`, see the README.

Ids and times are `{{…}}` there. The answers are a stub's, which the kit was content with.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

from proxy import Request

FLOWS: dict[str, list[dict]] = {
    flow["flow"]: flow["calls"] for flow in json.loads(Path(__file__).with_name("recorded.json").read_text())
}
"""The calls of each example, in order."""

LOOP = ["GET /pools/*", "POST /api/staging/analytics-2"]
"""What the examples do again and again until the pool is closed."""


def tasks(flow: str) -> list[list[dict]]:
    """The tasks of each batch that an example uploads."""
    return [call["body"] for call in FLOWS[flow] if (call["method"], call["path"]) == ("POST", "/api/v1/tasks")]


def truth() -> dict[str, str]:
    """What is right for every task of the examples: what they know themselves, else what fits."""
    right = {}
    for flow in FLOWS:
        for task in (task for batch in tasks(flow) for task in batch):
            [value] = task["input_values"].values()
            if known := task.get("known_solutions"):
                [right[value]] = known[0]["output_values"].values()
            else:
                right.setdefault(value, fitting(value))
    return right


def fitting(value: str) -> str:
    """A headline with a capital at every word is clickbait, nearly always; images are dealt out."""
    if value.startswith("https://"):
        return ("cat", "dog")[int(re.findall(r"\d+", value)[-1]) % 2]
    return "notclickbait" if any(word[0].islower() for word in value.split()) else "clickbait"


def kinds(requests: list[Request]) -> list[str]:
    """Which routes were asked, in order. The pages of a list count as one, and so does all waiting for
    a pool; waiting for an operation does not count at all: most are done when they are answered."""
    seen: list[str] = []
    for kind in (request.kind for request in requests):
        repeated = kind.startswith("GET") and seen[-1:] == [kind]
        if kind == "GET /operations/*" or repeated:
            continue
        seen.append(kind)
        if seen[-2:] == LOOP == seen[-4:-2]:
            del seen[-2:]
    return seen


def requests(flow: str) -> list[Request]:
    """The calls of an example as a proxy would have seen them."""
    path = re.compile(r"\{\{.*?\}\}")
    return [Request(call["method"], path.sub("0", call["path"]), "", b"") for call in FLOWS[flow]]


def differences(flow: str, seen: list[Request]) -> list[str]:
    """Where the bodies and queries of what was sent differ from what was recorded."""

    def sent(method: str, path: str, query: dict, body: object) -> list:
        return [method, re.sub(r"\{\{.*?\}\}|\d{7,}", "*", path), query, body]

    told = [sent(call["method"], call["path"], call["query"], call["body"]) for call in FLOWS[flow]]
    told = [call for call in told if call[0] != "GET"]
    now = [
        sent(
            one.method,
            one.path.partition("?")[0],
            dict(parse_qsl(one.path.partition("?")[2])),
            json.loads(one.body or b"null"),
        )
        for one in seen
        if one.method != "GET"
    ]
    # How often the example asked how far it is depends on the crowd.
    told, now = ([call for call in calls if "analytics" not in call[1]] for calls in (told, now))
    if len(told) != len(now):
        return [f"{len(told)} calls that change something were recorded, {len(now)} were made"]
    return [line for old, new in zip(told, now, strict=True) for line in unlike(old, new, f"{old[0]} {old[1]}")]


def unlike(old: object, new: object, where: str) -> list[str]:
    """Where two JSON values differ; `{{…}}` stands for any string."""
    if isinstance(old, str) and old.startswith("{{") and isinstance(new, str):
        return []
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [line for key in old for line in unlike(old[key], new[key], f"{where} {key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (a, b) in pairs for line in unlike(a, b, f"{where} {index}")]
    return [] if old == new else [f"{where}: {old!r} was recorded, {new!r} was sent"]
