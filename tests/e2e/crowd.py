"""The crowd: `quorate crowd` with simulated workers, behind a proxy that sees every request."""

from __future__ import annotations

import csv
import json
import urllib.request
from pathlib import Path

from proxy import Proxy
from processes import Process, first_json_line, free_port, wait_for


class Crowd:
    """A crowd platform whose requester API is reached through `proxy`."""

    key = "e2e-key"

    def __init__(
        self, quorate: Path, folder: Path, truth: dict[str, str], workers: int, time_scale: float, *options: str
    ):
        self.quorate = quorate
        self.folder = folder
        self.truth = folder / "truth.csv"
        with self.truth.open("w", newline="") as table:
            csv.writer(table).writerows([("file", "label"), *truth.items()])
        self.workers = workers
        self.time_scale = time_scale
        self.options = options
        self.port = free_port()
        self.start()
        self.proxy = Proxy(self.port)

    def start(self) -> None:
        """Starts the platform and its workers; what it did before is still there."""
        self.process = Process(
            [
                self.quorate, "crowd", "--json",
                "--listen", f"127.0.0.1:{self.port}",
                "--data", self.folder / "crowd",
                "--truth", self.truth,
                "--simulate", str(self.workers),
                "--time-scale", str(self.time_scale),
                "--key", f"e2e:{self.key}",
                *self.options,
            ],
            self.folder / "crowd.log",
        )  # fmt: skip
        ready = wait_for(f"the crowd platform (see {self.process.log})", self.ready)
        self.invite = ready["worker_page"].partition("#invite=")[2]

    def ready(self) -> dict | None:
        self.process.check()
        return first_json_line(self.process.log, self.process.start)

    def stop(self) -> None:
        """Ends the platform; its state is kept."""
        self.process.stop()

    def get(self, path: str) -> dict | list:
        """What the requester API says, past the proxy."""
        self.process.check()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}", headers={"Authorization": f"ApiKey {self.key}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def list(self, path: str) -> list[dict]:
        """All items of a listing, in order of their ids."""
        items: list[dict] = []
        while True:
            after = f"&id_gt={items[-1]['id']}" if items else ""
            page = self.get(f"{path}{'&' if '?' in path else '?'}sort=id&limit=300{after}")
            items += page["items"]
            if not page["has_more"]:
                return items

    def pools(self, campaign: str) -> list[dict]:
        """The pools of a campaign's rounds."""
        comment = f"quorate round {campaign}/"
        return [pool for pool in self.list("/pools") if (pool.get("private_comment") or "").startswith(comment)]

    def tasks(self, campaign: str) -> list[dict]:
        """The tasks of a campaign's rounds, control tasks included."""
        return [task for pool in self.pools(campaign) for task in self.list(f"/tasks?pool_id={pool['id']}")]
