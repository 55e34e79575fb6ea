"""What goes wrong on the way: bad messages, crashes, a restart, a token that is no longer good."""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
import zlib

from crowd import Crowd
from deployment import Deployment
from emulator import Emulator
from processes import wait_for


def png(number: int) -> bytes:
    """A picture of one pixel, another one for every number."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = b"\0" + number.to_bytes(3, "big")
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(line)) + chunk(b"IEND", b"")


def campaign(name: str, images: int) -> dict[str, bytes]:
    """A campaign of two labels that is full with so many images."""
    text = f"""
        question = "Cat or dog?"
        labels = ["CAT", "DOG"]
        overlap = 3
        images_per_page = 10
        reward_per_page = 0.05
        # On the crowd's clock, which runs fast: images are fetched in real time.
        minutes_per_page = 240
        budget = 1000
        [quality]
        min_seconds_per_page = 0
        [round]
        max_images = {images}
    """
    return {f"{name}/campaign.toml": text.encode()}


def pictures(name: str, count: int) -> dict[str, bytes]:
    return {f"{name}/images/{number:04}.png": png(number) for number in range(count)}


def is_labelled_once(name: str, keys: set[str], results: dict[str, bytes], crowd: Crowd) -> None:
    """Fails unless each image has one task and one label."""
    rows = [json.loads(row) for row in results["labels.jsonl"].splitlines()]
    assert sorted(row["image"] for row in rows) == sorted(keys)
    assert all(row["label"] for row in rows)
    tasks = [task["input_values"]["image_id"] for task in crowd.tasks(name)]
    assert sorted(tasks) == sorted(row["image_id"] for row in rows)


def test_poison_ends_alone_and_can_be_sent_again(deployment: Deployment, crowd: Crowd) -> None:
    name, images = "poisoned", pictures("poisoned", 3)
    deployment.upload(campaign(name, len(images)))
    poison = ["this is not JSON", json.dumps({"version": "99", "padding": "x" * 900_000})]
    with deployment.impatient("UploadsQueue", 1):
        with deployment.held_back():
            deployment.send("UploadsQueue", poison[0])
            deployment.upload(images)
            deployment.send("UploadsQueue", poison[1])
        results = deployment.results(name)
        wait_for("poison among the dead letters", lambda: deployment.waiting("UploadsDlq") == (2, 0))
    deployment.drained("UploadsQueue")
    is_labelled_once(name, set(images), results, crowd)

    # The how-to of infra/README.md: receive, send, delete.
    redriven = deployment.receive(deployment.outputs["UploadsDlq"])
    assert sorted(redriven) == sorted(poison)
    mended = f"{name}/notes.txt"
    deployment.send("UploadsQueue", deployment.object_created(mended))
    deployment.drained("UploadsQueue")
    assert deployment.waiting("UploadsDlq") == (0, 0)


def test_what_is_no_upload_is_done_with(deployment: Deployment) -> None:
    other_bucket = json.loads(deployment.object_created("cells/images/1.png"))
    other_bucket["detail"]["bucket"]["name"] = "somebody-elses"
    deleted = json.loads(deployment.object_created("cells/images/1.png")) | {"detail-type": "Object Deleted"}
    deployment.upload({"nobody/images/1.png": png(1)})
    deployment.send(
        "UploadsQueue",
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b", "HostId": "h"}),
        json.dumps(other_bucket),
        json.dumps(deleted),
        deployment.object_created("readme.txt"),
        deployment.object_created("cells/notes/readme.txt"),
        deployment.object_created("nobody/images/1.png"),
        deployment.object_created("cells/images/gone.png", "a-version"),
    )
    deployment.drained("UploadsQueue")
    assert deployment.waiting("UploadsDlq") == (0, 0)
    # Nothing is lost silently: a campaign that is missing is told of, once.
    wait_for("the problem of the missing campaign", lambda: deployment.told("nobody"))
    assert [event["detail"]["kind"] for event in deployment.told("nobody")] == ["campaign_invalid"]
    assert "nobody/campaign.toml" in deployment.told("nobody")[0]["detail"]["message"]


def kill(emulator: Emulator, *functions: str) -> None:
    """kill -9, whatever they are at."""
    victims = [pid for function in functions for pid in emulator.functions(function)]
    assert victims, f"{functions} do not run"
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


def test_killed_functions_lose_nothing_and_do_nothing_twice(
    deployment: Deployment, crowd: Crowd, emulator: Emulator
) -> None:
    name, images = "killed", pictures("killed", 30)
    deployment.upload(campaign(name, len(images)))
    deployment.drained("UploadsQueue")

    # create-tasks, after its transaction was done and before it knew.
    claim = f"CONTENT#{name}#".encode()
    admitted = emulator.proxy.gate(lambda asked: asked.kind == "TransactWriteItems" and claim in asked.body)
    with deployment.impatient("UploadsQueue", 2):
        with deployment.held_back():
            deployment.upload(images)
        assert admitted.arrived.wait(60)
        kill(emulator, deployment.outputs["CreateTasks"])
        admitted.open.set()
        deployment.drained("UploadsQueue")
    # The next one finds its batch and does not send the images again; its lease is not in the way.

    # check-pools, after the crowd has made the tasks and before check-pools knew.
    link = f"/images/{name}/".encode()
    sent = crowd.proxy.gate(lambda asked: asked.kind == "POST /tasks" and link in asked.body)
    ticks = threading.Thread(target=ticks_until, args=(deployment, sent.arrived))
    ticks.start()
    assert sent.arrived.wait(60)
    running = {deployment.outputs["CheckPools"], deployment.outputs["Reconcile"]}
    kill(emulator, *running)
    sent.open.set()
    ticks.join()

    results = deployment.results(name)
    is_labelled_once(name, set(images), results, crowd)


def ticks_until(deployment: Deployment, arrived: threading.Event) -> None:
    while not arrived.is_set():
        try:
            deployment.tick()
        except RuntimeError:
            # It was killed.
            return


def test_a_restart_of_everything_goes_on_in_mid_round(
    deployment: Deployment, crowd: Crowd, emulator: Emulator
) -> None:
    name, images = "restarted", pictures("restarted", 40)
    half = dict(list(images.items())[:20])
    deployment.upload(campaign(name, len(images)) | half)
    wait_for("tasks at the crowd", lambda: deployment.tick() or crowd.pools(name) and crowd.tasks(name), 120, 1)
    emulator.stop()
    crowd.stop()
    emulator.start()
    crowd.start()
    deployment.upload({key: body for key, body in images.items() if key not in half})
    results = deployment.results(name)
    is_labelled_once(name, set(images), results, crowd)


def test_a_revoked_token_parks_the_work_until_there_is_another(deployment: Deployment, crowd: Crowd) -> None:
    name, images = "revoked", pictures("revoked", 5)
    crowd.stop()
    crowd.key = "another-key"
    crowd.start()
    deployment.upload(campaign(name, len(images)))
    deployment.drained("UploadsQueue")
    deployment.upload(images)

    def told() -> list[dict]:
        deployment.tick_anyway()
        return deployment.told(name)

    wait_for("word that the token is refused", told, 120, 1)
    for _ in range(3):
        told()
    (event,) = told()
    assert event["detail"]["kind"] == "stuck" and "API key" in event["detail"]["message"]
    assert crowd.pools(name) == []

    deployment.set_token(crowd.key)
    results = deployment.results(name)
    is_labelled_once(name, set(images), results, crowd)
