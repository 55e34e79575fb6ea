"""From uploads to labels: the demo's images, and all that comes of them."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pytest

from conftest import demo_files, demo_images
from crowd import Crowd
from deployment import Deployment, http
from processes import run, wait_for

NAME = "cells"


class Labelled:
    """The demo's campaign, uploaded and done."""

    def __init__(self, deployment: Deployment):
        images = demo_images(NAME)
        # The same bytes under another name take the label of the first.
        images[f"{NAME}/images/again.jpg"] = next(iter(images.values()))
        # Full with the last image: the round ends at once.
        self.files = demo_files(NAME, extra=f"\n[round]\nmax_images = {len(images)}\n")
        self.files[f"{NAME}/images/broken.jpg"] = b"this is no image"
        self.versions = deployment.upload(self.files)
        deployment.drained("UploadsQueue")
        self.versions |= deployment.upload(images)
        self.files |= images
        self.images = images
        self.results = deployment.results(NAME)

    def labels(self) -> dict[str, dict]:
        """The rows of `labels.jsonl` by key."""
        rows = map(json.loads, self.results["labels.jsonl"].splitlines())
        return {row["image"]: row for row in rows}


@pytest.fixture(scope="module")
def labelled(deployment: Deployment) -> Labelled:
    return Labelled(deployment)


def test_every_image_has_a_label(labelled: Labelled, truth: dict[str, str]) -> None:
    labels = labelled.labels()
    assert set(labels) == set(labelled.images)
    assert all(row["label"] for row in labels.values())
    known = [(row["label"], truth.get(key.rsplit("/")[-1])) for key, row in labels.items()]
    known = [(label, right) for label, right in known if right]
    assert len(known) == 72
    assert sum(label == right for label, right in known) >= 0.9 * len(known)
    # Whichever of the two came first.
    twins = [labels[next(iter(labelled.images))], labels[f"{NAME}/images/again.jpg"]]
    assert sorted(row["same_as"] or "" for row in twins)[0] == ""
    assert {row["same_as"] or row["image_id"] for row in twins} < {row["image_id"] for row in twins}
    assert twins[0]["label"] == twins[1]["label"]


def test_the_manifest_vouches_for_the_files(labelled: Labelled) -> None:
    manifest = json.loads(labelled.results["_manifest.json"])
    assert manifest["counts"]["images"] == 73
    for file in manifest["files"]:
        assert hashlib.sha256(labelled.results[file["name"]]).hexdigest() == file["sha256"]


def test_a_bad_file_is_told_and_told_why(labelled: Labelled, deployment: Deployment) -> None:
    rejected = [json.loads(body) for body in deployment.objects(f"{NAME}/rejected/").values()]
    assert [record["key"] for record in rejected] == [f"{NAME}/images/broken.jpg"]


def test_who_subscribed_is_told_once(labelled: Labelled, deployment: Deployment) -> None:
    def look() -> list[dict]:
        return [event for event in deployment.told(NAME) if event["detail-type"] == "RoundAggregated"]

    wait_for("a notification of the results", look)
    deployment.tick()
    assert len(look()) == 1
    assert look()[0]["detail"]["manifest"] == f"{NAME}/round=1/_manifest.json"


def test_one_machine_makes_the_same_bytes(
    labelled: Labelled, deployment: Deployment, crowd: Crowd, programs: Path, tmp_path: Path, logs: Path
) -> None:
    """SQLite and folders, and the very same answers: see `one_machine.rs`."""
    for key, body in labelled.files.items():
        file = tmp_path / "uploads" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    plan = {
        "campaign": NAME,
        "bucket": deployment.outputs["UploadsBucket"],
        "versions": labelled.versions,
        "uploads": str(tmp_path / "uploads"),
        "batches": batches(crowd, NAME),
        "crowd": f"http://127.0.0.1:{crowd.port}",
        "key": crowd.key,
        "fee": "0.2",
        "folder": str(tmp_path / "one-machine"),
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    tasks = len(crowd.tasks(NAME))
    run([programs / "examples/one_machine", tmp_path / "plan.json"], logs / "one-machine.log")
    assert len(crowd.tasks(NAME)) == tasks, "it found everything at the crowd and made nothing"

    folder = tmp_path / f"one-machine/results/{NAME}/round=1"
    here = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert sorted(here) == sorted(labelled.results)
    for name, body in here.items():
        assert body == labelled.results[name], f"{name} differs"


def test_an_upload_told_twice_changes_nothing(labelled: Labelled, deployment: Deployment, crowd: Crowd) -> None:
    before = deployment.table(), crowd.tasks(NAME), deployment.objects(f"{NAME}/")
    for key in labelled.files:
        event = deployment.object_created(key, labelled.versions[key])
        deployment.send("UploadsQueue", event, event)
    deployment.drained("UploadsQueue")
    deployment.tick()
    assert (deployment.table(), crowd.tasks(NAME), deployment.objects(f"{NAME}/")) == before
    assert deployment.waiting("UploadsDlq") == (0, 0)


def test_a_link_of_a_task_opens_its_image_and_nothing_else(
    labelled: Labelled, deployment: Deployment, crowd: Crowd
) -> None:
    task = next(task for task in crowd.tasks(NAME) if not task.get("known_solutions"))
    link = next(value for value in task["input_values"].values() if "/images/" in value)
    row = next(row for row in labelled.labels().values() if row["image_id"] == task["input_values"]["image_id"])

    to = http(link)
    assert to.status in (302, 303, 307), to
    assert http(to.headers["location"]).body == labelled.images[row["image"]]

    parts, query = urlsplit(link), dict(parse_qsl(urlsplit(link).query))
    other = next(row for row in labelled.labels().values() if row["image_id"] not in link)
    expired = signed(deployment, parts.path, query | {"expires": "1700000000"})
    forged = {
        "signature": query | {"signature": query["signature"][:-1] + ("0" if query["signature"][-1] != "0" else "1")},
        "truncated": query | {"signature": query["signature"][:-2]},
        "expiry": query | {"expires": str(int(query["expires"]) + 1)},
        "key": query | {"key": "k0"},
        "nothing": {},
        "expired": expired,
    }
    refused = {name: http(urlunsplit(parts._replace(query=urlencode(bad)))) for name, bad in forged.items()}
    path = parts.path.replace(row["image_id"], other["image_id"])
    refused["another image"] = http(urlunsplit(parts._replace(path=path)))
    assert {name: answer.status for name, answer in refused.items() if 200 <= answer.status < 400} == {}
    # Who tries finds out nothing, but for who once held a valid link.
    said = {(answer.status, answer.body) for name, answer in refused.items() if name != "expired"}
    assert len(said) == 1, refused


def signed(deployment: Deployment, path: str, query: dict[str, str]) -> dict[str, str]:
    """The query with a right signature, as `quorate_core::link` makes it."""
    keys = deployment.secret("LinkKeys")
    _, campaign, image, _ = path.rsplit("/", 3)
    text = "\n".join(["quorate-link-1", campaign, image, query["expires"], query["key"]])
    mac = hmac.new(json.loads(keys)[query["key"]].encode(), text.encode(), "sha256")
    return query | {"signature": mac.hexdigest()}


def batches(crowd: Crowd, campaign: str) -> list[list[str]]:
    """The images of each batch that the crowd was sent for a campaign, control images left out."""
    pools = {pool["id"] for pool in crowd.pools(campaign)}
    found = []
    for operation in crowd.list("/operations?type=TASK.BATCH_CREATE"):
        inputs = [item["input"] for item in crowd.get(f"/operations/{operation['id']}/log") if "input" in item]
        tasks = [task for task in inputs if task.get("pool_id") in pools and not task.get("known_solutions")]
        if tasks:
            found.append([task["input_values"]["image_id"] for task in tasks])
    return found

