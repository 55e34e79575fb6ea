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
    """The tasks of each batch that an example uploads, without what the kit adds."""
    batches = [call["body"] for call in FLOWS[flow] if (call["method"], call["path"]) == ("POST", "/api/v1/tasks")]
    added = {"__item_idx", "pool_id"}
    return [[{key: task[key] for key in task.keys() - added} for task in batch] for batch in batches]


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
    """Where what changes something, and what brings the answers, was sent otherwise than it was recorded."""
    told = [(call["method"], call["path"], call["query"], call["body"]) for call in FLOWS[flow]]
    now = [
        (one.method, path, dict(parse_qsl(query, keep_blank_values=True)), json.loads(one.body or b"null"))
        for one in seen
        for path, _, query in [one.path.partition("?")]
    ]
    told, now = ([call for call in calls if counts(*call[:2])] for calls in (told, now))
    if len(told) != len(now):
        return [f"{len(told)} such calls were recorded, {len(now)} were made"]
    return [line for old, new in zip(told, now, strict=True) for line in unlike(list(old), list(new), old[1])]


def counts(method: str, path: str) -> bool:
    """How often an example asked how far it is depends on the crowd."""
    return path.endswith(".tsv") or (method != "GET" and "analytics" not in path)


def unlike(old: object, new: object, where: str) -> list[str]:
    """Where two JSON values differ; `{{…}}` stands for anything in a string."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return [line for key in old for line in unlike(old[key], new[key], f"{where} {key}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (a, b) in pairs for line in unlike(a, b, f"{where} {index}")]
    same = old == new
    if isinstance(old, str) and isinstance(new, str):
        pattern = ".+".join(map(re.escape, re.split(r"\{\{.*?\}\}", old)))
        same = re.fullmatch(pattern, new) is not None
    return [] if same else [f"{where}: {old!r} was recorded, {new!r} was sent"]
