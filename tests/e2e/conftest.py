"""One emulator, one crowd and one deployment for all tests; each test has campaigns of its own.

The template and the functions are the real ones, built and deployed as a user does it. Everything
that happens is in the folder of logs; `./test` tells where it is if something fails.
"""

from __future__ import annotations

import csv
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import processes
from crowd import Crowd
from deployment import Deployment, build
from emulator import Emulator
from processes import ROOT
from proxy import Proxy

# So that what the fixtures started ends with the tests, whoever ends these.
signal.signal(signal.SIGTERM, signal.default_int_handler)

DEMO = ROOT / "shared/local/demo"

WORKERS = 20
# A page's quarter of an hour is nine seconds: its pictures come through the emulator, and twenty workers
# ask for theirs at once.
TIME_SCALE = 100.0
"""A page of two minutes takes little more than a second."""


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything goes that happens here."""
    told = os.environ.get("QUORATE_TEST_LOGS")
    folder = Path(told).resolve() / "e2e" if told else tmp_path_factory.mktemp("logs")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def programs(logs: Path) -> Path:
    """The folder with `quorate` and `examples/one_machine`."""
    return processes.programs(logs / "cargo-build.log")


@pytest.fixture(scope="session")
def sam() -> Path:
    """The SAM CLI."""
    folder = subprocess.run(
        [ROOT / "tests/e2e/venv", ROOT / "infra/tests/requirements-lint.txt"],
        check=True, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return Path(folder.stdout.strip()) / "sam"


@pytest.fixture(scope="session")
def truth() -> dict[str, str]:
    """What simulated workers take for true, by file name."""
    with (DEMO / "truth.csv").open() as table:
        known = {row["file"]: row["label"] for row in csv.DictReader(table)}
    for part in ("golden", "exam", "training"):
        known |= {file.name: file.parent.name for file in DEMO.glob(f"{part}/*/*")}
    return known


@pytest.fixture(scope="session")
def crowd(logs: Path, programs: Path, truth: dict[str, str]) -> Iterator[Crowd]:
    """The crowd platform with simulated workers."""
    crowd = Crowd(programs / "quorate", logs, truth, WORKERS, TIME_SCALE)
    yield crowd
    crowd.stop()


@pytest.fixture(scope="session")
def emulator(logs: Path) -> Iterator[Emulator]:
    """AWS."""
    emulator = Emulator(logs)
    yield emulator
    emulator.stop()


@pytest.fixture(scope="session")
def deployment(emulator: Emulator, crowd: Crowd, sam: Path, logs: Path) -> Deployment:
    """The template as it is, deployed, with the token set: ready for uploads."""
    template = build(sam, logs)
    deployment = Deployment(emulator)
    # A domain in front of serve-image, because the emulator cannot answer at the function's own.
    domain = Proxy(emulator.port)
    deployment.deploy(
        sam, template, logs,
        Architecture="x86_64", TolokaUrl=crowd.proxy.url, TolokaFee="0.2", LinksUrl=domain.url,
    )  # fmt: skip
    domain.prefix = f"/_aws/lambda-url/{deployment.url_id('ServeImage')}"
    deployment.set_token(crowd.key)
    deployment.listen()
    return deployment


def demo_files(campaign: str, *, extra: str = "") -> dict[str, bytes]:
    """The demo's campaign with its control images; `extra` is put behind its definition."""
    files = {f"{campaign}/campaign.toml": (DEMO / "campaign.toml").read_bytes() + extra.encode()}
    for part in ("golden", "exam", "training"):
        for file in sorted(DEMO.glob(f"{part}/*/*")):
            files[f"{campaign}/{file.relative_to(DEMO)}"] = file.read_bytes()
    return files


def demo_images(campaign: str) -> dict[str, bytes]:
    """The demo's 72 images."""
    images = sorted((DEMO / "images").iterdir())
    return {f"{campaign}/images/{file.name}": file.read_bytes() for file in images}
