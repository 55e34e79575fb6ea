"""Workers that do what a test says, through the API of the worker's page."""

from __future__ import annotations

import json
import urllib.request
from urllib.parse import quote

from crowd import Crowd


class Worker:
    """Somebody who signed in."""

    def __init__(self, crowd: Crowd, login: str):
        self.crowd = crowd
        self.token = ""
        form = {
            "login": login,
            "password": "a test's own",
            "invite": crowd.invite,
            "profile": {"languages": ["EN"], "country": "DE", "client_type": "BROWSER", "adult_allowed": True},
        }
        signed = self.post("/workers", form)
        self.id, self.token = signed["worker_id"], signed["token"]

    def post(self, path: str, body: dict | bytes) -> dict:
        """What the platform answers; fails if it refuses."""
        raw = isinstance(body, bytes)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.crowd.port}/api/worker/v1{path}",
            data=body if raw else json.dumps(body).encode(),
            headers={
                "Content-Type": "text/plain" if raw else "application/json",
                "Authorization": f"Worker {self.token}",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def take(self, pool_id: str) -> dict | None:
        """A page of the pool, if there is one for this worker."""
        return self.post(f"/pools/{pool_id}/assignments", {})["assignment"]

    def submit(self, page: dict, **output: object) -> None:
        """Gives the same answer to every task of a page."""
        solutions = [{"output_values": output} for _ in page["tasks"]]
        self.post(f"/assignments/{page['id']}/submit", {"solutions": solutions})

    def work(self, pool_id: str, **output: object) -> str:
        """Takes a page and gives the same answer to all its tasks; the page's id."""
        page = self.take(pool_id)
        assert page, f"there is no page in pool {pool_id}"
        self.submit(page, **output)
        return page["id"]

    def skip(self, page: dict) -> None:
        self.post(f"/assignments/{page['id']}/skip", {})

    def upload(self, page: dict, name: str, content: bytes) -> str:
        """Uploads a file for a page; its id is the answer."""
        return self.post(f"/assignments/{page['id']}/attachments?name={quote(name)}", content)["id"]
