"""What older kits and hand-written clients send and expect, sent raw."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator

import httpx
import pytest

import recorded
from conftest import CLICKBAIT
from crowd import Crowd
from objects import expiry

TIMES = {
    "created", "submitted", "started", "finished", "accepted", "last_started", "last_stopped", "will_expire", "modified"
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")


def walk(value: object) -> Iterator[tuple[str, object]]:
    """Every key with its value, however deep."""
    pairs = (
        value.items() if isinstance(value, dict) else (("", one) for one in value) if isinstance(value, list) else ()
    )
    for key, inner in pairs:
        yield key, inner
        yield from walk(inner)


class Raw:
    """A client that only sends, and looks at every answer for what would break a kit."""

    def __init__(self, crowd: Crowd):
        headers = {"Authorization": f"OAuth {crowd.key}", "User-Agent": "python-toloka-client-0.1.23"}
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{crowd.port}", headers=headers, timeout=30)

    def send(self, method: str, path: str, body: object = None, **query: str) -> httpx.Response:
        answer = self.http.request(method, path, params=query, **({} if body is None else {"json": body}))
        # A kit waits for it, and the last one stumbles over it.
        assert "retry-after" not in answer.headers
        if answer.headers.get("content-type", "").startswith("application/json"):
            for key, value in walk(answer.json()):
                # Older Pythons read no time with a zone or with other digits.
                assert not (key in TIMES and isinstance(value, str)) or TIME.fullmatch(value), (key, value)
                # A kit looks for the category of a condition in it.
                assert not (key == "filter" and value == {})
        return answer

    def ok(self, method: str, path: str, body: object = None, **query: str) -> dict | list:
        answer = self.send(method, path, body, **query)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: object = None, **query: str) -> tuple[int, str]:
        """The status and the code: a kit reads the code of every answer that is no success."""
        answer = self.send(method, path, body, **query)
        assert answer.headers["content-type"].startswith("application/json")
        return answer.status_code, answer.json()["code"]


@pytest.fixture
def raw(crowd: Crowd) -> Raw:
    return Raw(crowd)


def config(part: str, **more: object) -> dict:
    return json.loads((CLICKBAIT / f"{part}.json").read_text()) | more


def project(raw: Raw) -> str:
    return raw.ok("POST", "/api/v1/projects", config("project"))["id"]


def will_expire() -> str:
    return expiry().strftime("%Y-%m-%dT%H:%M:%S")


def pool(raw: Raw, **more: object) -> dict:
    form = config("pool", project_id=project(raw), will_expire=will_expire())
    # Only who asks for a training names it.
    del form["quality_control"]["training_requirement"]
    return raw.ok("POST", "/api/v1/pools", form | more)


def headline(pool_id: str, number: int, **more: object) -> dict:
    return {"pool_id": pool_id, "input_values": {"headline": f"Headline {number}"}, **more}


class Replay:
    """The calls of an example, sent again with the ids of this platform."""

    def __init__(self, raw: Raw):
        self.raw = raw
        self.known: dict[str, str] = {}

    def fill(self, value: object) -> object:
        """A recorded value with what its `{{…}}` stand for here."""
        if isinstance(value, dict):
            return {key: self.fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner) for inner in value]
        if not isinstance(value, str):
            return value
        return re.sub(r"\{\{(.*?)\}\}", lambda found: self.value(found[1]), value)

    def value(self, name: str) -> str:
        if name == "time":
            return will_expire()
        if name.startswith("operation:") and name not in self.known:
            self.known[name] = str(uuid.uuid4())
        return self.known[name]

    def learn(self, call: dict, answer: object) -> None:
        """Takes the ids out of an answer where the recorded one has them."""
        if isinstance(call["answer"], dict) and isinstance(answer, dict) and "id" in call["answer"]:
            self.known[call["answer"]["id"].strip("{}")] = answer["id"]
        if call["path"].endswith("/log"):
            made = [line["output"]["task_id"] for line in answer if line["type"] == "TASK_CREATE"]
            self.known |= {"min task id of the batch": min(made), "max task id of the batch": max(made)}
        if (call["method"], call["path"]) == ("GET", "/api/v1/tasks") and answer["items"]:
            self.known["last id of the page before"] = answer["items"][-1]["id"]

    def send(self, call: dict) -> list[str]:
        """Sends a call; what its answer lacks of the recorded one."""
        path, query, body = (self.fill(call[part]) for part in ("path", "query", "body"))
        answer = self.raw.send(call["method"], path, body, **query)
        where = " ".join([call["method"], call["path"], *filter(None, [call["query"].get("pool_id")])])
        assert answer.status_code == call["status"], (where, answer.text)
        if path.endswith(".tsv"):
            header = answer.text.split("\n")[0].rstrip("\r")
            return [] if header == call["answer"][0] else [f"{where}: {header}"]
        self.learn(call, answer.json())
        return lacks(call["answer"], answer.json(), where)


OPEN = {"GET /api/v1/pools/{{pool:1}}: no last_close_reason", "GET /api/v1/pools/{{pool:1}}: no last_stopped"}
"""In the recording the pool was done; here nobody works."""
OTHERWISE = {
    "introduction": OPEN,
    "binary-classification": OPEN,
    # The stub took the tasks of a training for used up after one answer.
    "text-classification-flow": OPEN
    | {f"GET /api/v1/tasks {{{{training:1}}}} items 0: no {key}" for key in ("overlap", "remaining_overlap")},
}
"""What an answer lacks here, and rightly so."""


def lacks(old: object, new: object, where: str) -> list[str]:
    """Keys and types of a recorded answer that another has not."""
    if isinstance(old, dict) and isinstance(new, dict):
        # What is empty may be left out.
        said = [key for key in old if old[key] not in (None, [], {}) or new.get(key) is not None]
        return [
            line
            for key in said
            for line in (lacks(old[key], new[key], f"{where} {key}") if key in new else [f"{where}: no {key}"])
        ]
    if isinstance(old, list) and isinstance(new, list):
        # Of lists, only the first things are recorded; tasks came in another order.
        if not (old and isinstance(old[0], dict)):
            return []
        same = next((one for one in new if one.get("input_values") == old[0].get("input_values")), None)
        return lacks(old[0], same, f"{where} 0") if same else []
    return [] if kind(old) == kind(new) else [f"{where}: {new!r}, recorded was {old!r}"]


def kind(value: object) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.mark.parametrize("flow", recorded.FLOWS)
def test_recorded_calls_get_answers_of_the_recorded_shape(raw: Raw, flow: str) -> None:
    replay = Replay(raw)
    told = [line for call in recorded.FLOWS[flow] for line in replay.send(call)]
    assert [line for line in told if line not in OTHERWISE[flow]] == []


def test_conditions_may_stand_bare_in_a_filter(raw: Raw) -> None:
    bare = {"category": "profile", "key": "languages", "operator": "IN", "value": "EN"}
    assert bare in config("pool")["filter"]["and"]
    made = pool(raw)
    again = raw.ok("GET", f"/api/v1/pools/{made['id']}")
    assert [value for key, value in walk(again["filter"]) if key == "value"] == ["EN", "TOLOKA_APP", "BROWSER"]


def test_an_empty_filter_is_none(raw: Raw) -> None:
    for empty in ({}, None, {"and": []}):
        assert pool(raw, filter=empty).get("filter") in (None, {"and": []})


def test_keys_of_an_item_come_back_in_the_log_and_nowhere_else(raw: Raw) -> None:
    used = pool(raw)["id"]
    items = [headline(used, n, __client_uuid=f"uuid-{n}") for n in range(3)]
    # As kits did before they sent operation ids.
    operation = raw.ok("POST", "/api/v1/tasks", items, async_mode="true", allow_defaults="true")
    log = raw.ok("GET", f"/api/v1/operations/{operation['id']}/log")
    assert [line["input"]["__client_uuid"] for line in log] == ["uuid-0", "uuid-1", "uuid-2"]
    listed = raw.ok("GET", "/api/v1/tasks", pool_id=used, sort="id")["items"]
    assert [line["output"]["task_id"] for line in log] == [task["id"] for task in listed]
    assert "__client_uuid" not in {key for key, _ in walk(listed)}


def test_an_exam_is_a_regular_pool(raw: Raw) -> None:
    assert pool(raw, type="EXAM")["type"] == "REGULAR"


def test_suites_may_have_an_overlap_of_zero_by_default(raw: Raw) -> None:
    defaults = {"default_overlap_for_new_task_suites": 0, "default_overlap_for_new_tasks": 3}
    used = pool(raw, defaults=defaults)
    assert used["defaults"] == defaults
    made = raw.ok("POST", "/api/v1/tasks", headline(used["id"], 1), allow_defaults="true")
    assert made["overlap"] == 3


def test_tasks_take_the_overlap_of_suites_if_there_is_no_other(raw: Raw) -> None:
    used = pool(raw, defaults={"default_overlap_for_new_task_suites": 4})["id"]
    assert raw.ok("POST", "/api/v1/tasks", headline(used, 1), allow_defaults="true")["overlap"] == 4
    assert raw.refused("POST", "/api/v1/tasks", headline(used, 2)) == (400, "VALIDATION_ERROR")


def test_a_training_is_a_pool_too(raw: Raw) -> None:
    form = config("exam", project_id=project(raw))
    del form["inherited_instructions"]
    training = raw.ok("POST", "/api/v1/trainings", form)["id"]
    known = [{"output_values": {"category": "clickbait"}}]
    raw.ok(
        "POST", "/api/v1/tasks", headline(training, 1, known_solutions=known, message_on_unknown_solution="Clickbait!")
    )
    seen = raw.ok("GET", f"/api/v1/pools/{training}")
    assert (seen["type"], seen["reward_per_assignment"]) == ("TRAINING", 0)
    assert seen["mixer_config"]["training_tasks_count"] == 10
    assert seen["defaults"]["default_overlap_for_new_task_suites"] == 30_000
    for verb, status in (("open", "OPEN"), ("close", "CLOSED")):
        answer = raw.send("POST", f"/api/v1/pools/{training}/{verb}")
        assert answer.status_code == 202
        assert raw.ok("GET", f"/api/v1/trainings/{training}")["status"] == status
        # Nothing to do: no content at all, never 200 with null.
        answer = raw.send("POST", f"/api/v1/pools/{training}/{verb}")
        assert (answer.status_code, answer.content) == (204, b"")


def test_the_table_of_answers_has_a_header_though_it_is_empty(raw: Raw) -> None:
    used = pool(raw)["id"]
    path = f"/api/new/requester/pools/{used}/assignments.tsv"
    answer = raw.send("GET", path, status="", excludeBanned="false", field="ASSIGNMENT:link,ASSIGNMENT:status")
    assert answer.status_code == 200
    assert "charset=utf-8" in answer.headers["content-type"].lower()
    [header] = answer.text.splitlines()
    columns = ["INPUT:headline", "OUTPUT:category", "GOLDEN:category", "HINT:text", "HINT:default_language"]
    assert header.split("\t") == [*columns, "ASSIGNMENT:link", "ASSIGNMENT:status"]


def test_ids_sort_as_text_in_the_order_of_making(raw: Raw) -> None:
    used = [pool(raw)["id"] for _ in range(2)]
    assert used == sorted(used) and len({len(one) for one in used}) == 1
    made = []
    for batch in range(3):
        items = [headline(used[0], 100 * batch + n) for n in range(30)]
        answer = raw.ok("POST", "/api/v1/tasks", items, allow_defaults="true")
        made += [answer["items"][str(n)]["id"] for n in range(30)]
    assert made == sorted(made)
    # A page has fifty; the bounds hold together.
    between = {"pool_id": used[0], "sort": "id", "id_gte": made[5], "id_lte": made[79]}
    first = raw.ok("GET", "/api/v1/tasks", **between)
    assert ([task["id"] for task in first["items"]], first["has_more"]) == (made[5:55], True)
    rest = raw.ok("GET", "/api/v1/tasks", **between, id_gt=made[54])
    assert ([task["id"] for task in rest["items"]], rest["has_more"]) == (made[55:80], False)


def test_an_operation_is_made_once(raw: Raw) -> None:
    used = pool(raw)["id"]
    query = {"operation_id": str(uuid.uuid4()), "async_mode": "true", "allow_defaults": "true"}
    items = [headline(used, n) for n in range(2)]
    assert raw.ok("POST", "/api/v1/tasks", items, **query)["id"] == query["operation_id"]
    assert raw.refused("POST", "/api/v1/tasks", items, **query) == (409, "OPERATION_ALREADY_EXISTS")
    assert raw.ok("GET", f"/api/v1/operations/{query['operation_id']}")["status"] == "SUCCESS"
    assert len(raw.ok("GET", "/api/v1/tasks", pool_id=used)["items"]) == 2


def test_what_was_read_can_be_sent_back(raw: Raw) -> None:
    """Kits send whole objects back: what only the platform says is passed over, and so is what nobody knows."""
    made = pool(raw)
    changed = made | {"private_name": "changed", "status": "OPEN", "unheard_of": {"a": 1}}
    again = raw.ok("PUT", f"/api/v1/pools/{made['id']}", changed)
    assert (again["private_name"], again["status"]) == ("changed", "CLOSED")
    copy = raw.ok("POST", "/api/v1/pools", changed)
    assert copy["id"] != made["id"] and copy["status"] == "CLOSED"
    whole = raw.ok("GET", f"/api/v1/projects/{made['project_id']}")
    assert raw.ok("POST", "/api/v1/projects", whole)["id"] != whole["id"]


def test_numbers_are_numbers(raw: Raw) -> None:
    assert kind(raw.ok("GET", "/api/v1/requester")["balance"]) == "number"
    assert kind(pool(raw, reward_per_assignment=0.05)["reward_per_assignment"]) == "number"


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/api/v1/no-such-thing", (404, "DOES_NOT_EXIST")),
        ("GET", "/api/app/v0/app-projects", (404, "DOES_NOT_EXIST")),
        ("GET", "/api/v1/pools/999999999", (404, "DOES_NOT_EXIST")),
        ("DELETE", "/api/v1/pools", (405, "METHOD_NOT_ALLOWED")),
        ("POST", "/api/v1/pools", (400, "VALIDATION_ERROR")),
        ("GET", "/api/v1/tasks", (400, "VALIDATION_ERROR")),
    ],
)
def test_whatever_goes_wrong_is_told_in_json(raw: Raw, method: str, path: str, told: tuple[int, str]) -> None:
    status, code = raw.refused(method, path, {} if method == "POST" else None)
    assert status == told[0]
    assert code == told[1] or told[1] == "METHOD_NOT_ALLOWED"


def test_a_wrong_key_is_told_in_json(crowd: Crowd) -> None:
    answer = httpx.get(f"http://127.0.0.1:{crowd.port}/api/v1/requester", headers={"Authorization": "OAuth wrong"})
    assert (answer.status_code, answer.json()["code"]) == (403, "AUTHENTICATION_ERROR")
