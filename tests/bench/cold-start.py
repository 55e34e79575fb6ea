#!/usr/bin/env python3
"""How long a cold start takes: from exec of each function's bootstrap to its first request for work.

A mock of Lambda's runtime API and of the AWS services that a function checks when it starts runs in
this process; the functions come from the zips that are deployed. In the same run, a Python function
that imports toloka-kit, crowd-kit and boto3 (and checks nothing) starts against the same mock, as
what the pipeline would cost without Rust. It runs in a virtual environment, made once under
`~/.cache` (800 MB), of which the versions are below.

    tests/bench/cold-start.py [--build] [--starts 20] [--json] [--without-python]

`--build` builds the zips first, with cargo-lambda and zig on PATH (as `sam build` does). The exit
code is 1 if a bar is missed: each zip at most 5 MB, each start at most 10 ms at best. Linux only:
memory is read from /proc.
"""

import argparse
import json
import os
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = [
    "create-tasks",
    "check-pools",
    "aggregate-pool",
    "reconcile",
    "serve-image",
    "receive-webhook",
]
MOST_ZIP_BYTES = 5_000_000
MOST_MILLISECONDS = 10.0

PYTHON_PACKAGES = [
    "boto3==1.44.5",
    "crowd-kit==1.4.2",
    "pandas==3.1.1",
    "toloka-kit==1.2.3",
    # Newer ones break toloka-kit.
    "httpx<0.28",
    "cattrs<26",
    "setuptools<81",
]
PYTHON_FUNCTION = """
import os, urllib.request
import boto3, crowdkit.aggregation, toloka.client
urllib.request.urlopen(
    f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/next")
"""

SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:"
SECRETS = {
    f"{SECRET}toloka": "token",
    f"{SECRET}webhook": "0" * 32,
    f"{SECRET}links": json.dumps({"k1": "0" * 32}),
}


class Mock(threading.Thread):
    """Answers the requests of a start; the first request for work ends it and is never answered.

    One thread, one selector, no parsing beyond need: what the mock takes counts as the function's.
    """

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.asked_for_work = threading.Event()
        self.asked_at = 0
        self.requests = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.unread = {}

    def reset(self):
        self.asked_for_work.clear()
        self.requests.clear()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    connection, _ = self.listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.selector.register(connection, selectors.EVENT_READ)
                    self.unread[connection] = b""
                else:
                    self.read(key.fileobj)

    def read(self, connection):
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            del self.unread[connection]
            connection.close()
            return
        self.unread[connection] += data
        head, end, body = self.unread[connection].partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if len(body) < int(headers.get("content-length", 0)):
            return
        self.unread[connection] = b""
        method, path, _ = first.split(" ")
        self.requests.append(f"{method} {path} {headers.get('x-amz-target', '')}".strip())
        if path.endswith("/invocation/next"):
            self.asked_at = time.monotonic_ns()
            self.asked_for_work.set()
            return
        answer = self.answer(method, path, headers.get("x-amz-target", ""), body)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.1\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(answer), b"" if method == "HEAD" else answer)
        )

    def answer(self, method, path, target, body):
        if path.endswith("/init/error"):
            print(f"the function cannot start: {body.decode()}", file=sys.stderr)
        operation = target.rpartition(".")[2]
        if operation == "DescribeTable":
            return json.dumps({"Table": {"TableName": "t", "TableStatus": "ACTIVE"}}).encode()
        if operation == "GetSecretValue":
            secret = json.loads(body)["SecretId"]
            return json.dumps(
                {"ARN": secret, "Name": secret, "VersionId": "v", "SecretString": SECRETS[secret]}
            ).encode()
        return b"{}" if target else b""


def environment(mock):
    """What Lambda and the template set."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://{mock.address}",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_RUNTIME_API": mock.address,
        "QUORATE_STACK": "bench",
        "QUORATE_TABLE": "quorate",
        "QUORATE_UPLOADS_BUCKET": "uploads",
        "QUORATE_RESULTS_BUCKET": "results",
        "QUORATE_BUS": "bus",
        "QUORATE_TOLOKA_URL": f"http://{mock.address}",
        "QUORATE_TOLOKA_FEE": "0.2",
        "QUORATE_TOLOKA_SECRET": f"{SECRET}toloka",
        "QUORATE_LINKS_URL": f"http://{mock.address}",
        "QUORATE_LINK_SECRET": f"{SECRET}links",
        "QUORATE_WEBHOOK_URL": f"http://{mock.address}",
        "QUORATE_WEBHOOK_SECRET": f"{SECRET}webhook",
    }


def start(command, mock):
    """Starts a function once: milliseconds to its request for work, and its peak memory in MB."""
    mock.reset()
    log = tempfile.TemporaryFile()
    begun = time.monotonic_ns()
    process = os.posix_spawn(
        command[0],
        command,
        environment(mock),
        file_actions=[(os.POSIX_SPAWN_DUP2, log.fileno(), fd) for fd in (1, 2)],
    )
    try:
        if not mock.asked_for_work.wait(60):
            log.seek(0)
            sys.exit(f"{command[0]} did not ask for work: {log.read().decode(errors='replace')}")
        status = Path(f"/proc/{process}/status").read_text()
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return (mock.asked_at - begun) / 1e6, int(peak.split()[1]) * 1024 / 1e6


def measure(name, command, mock, starts):
    # The first one reads the file from the disk.
    start(command, mock)
    runs = [start(command, mock) for _ in range(starts)]
    times = [milliseconds for milliseconds, _ in runs]
    return {
        "function": name,
        "best_ms": round(min(times), 2),
        "median_ms": round(statistics.median(times), 2),
        "peak_mb": round(max(memory for _, memory in runs), 1),
        "requests": sorted(request for request in mock.requests if "/next" not in request),
    }


def build():
    command = ["cargo", "lambda", "build", "--release", "--output-format", "zip", "--locked"]
    for name in FUNCTIONS:
        command += ["--package", f"quorate-{name}", "--features", f"quorate-{name}/lambda"]
    subprocess.run(command, cwd=ROOT, check=True)


def python():
    """The Python of the environment with the packages above, made if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "quorate" / "cold-start-python"
    done = folder / "packages"
    wanted = "\n".join(PYTHON_PACKAGES)
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PYTHON_PACKAGES], check=True)
        done.write_text(wanted)
    return str(folder / "bin" / "python")


def table(rows):
    print(f"{'function':<16} {'zip MB':>7} {'binary MB':>10} {'best ms':>9} {'median ms':>10} {'peak MB':>8}")
    for row in rows:
        sizes = [f"{row[size] / 1e6:.2f}" if size in row else "" for size in ("zip_bytes", "binary_bytes")]
        print(
            f"{row['function']:<16} {sizes[0]:>7} {sizes[1]:>10}"
            f" {row['best_ms']:>9.2f} {row['median_ms']:>10.2f} {row['peak_mb']:>8.1f}"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", action="store_true", help="build the zips first")
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--without-python", action="store_true")
    arguments = parser.parse_args()
    if arguments.build:
        build()
    mock = Mock()
    mock.start()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in FUNCTIONS:
            archive = target / "lambda" / name / "bootstrap.zip"
            if not archive.exists():
                sys.exit(f"{archive} is missing: run with --build")
            bootstrap = zipfile.ZipFile(archive).extract("bootstrap", Path(folder, name))
            os.chmod(bootstrap, 0o755)
            row = measure(name, [bootstrap], mock, arguments.starts)
            row["zip_bytes"] = archive.stat().st_size
            row["binary_bytes"] = os.stat(bootstrap).st_size
            rows.append(row)
    slowest = max(rows, key=lambda row: row["best_ms"])
    report = {"functions": rows}
    if not arguments.without_python:
        interpreter = python()
        command = [interpreter, "-c", PYTHON_FUNCTION]
        other = measure("in Python", command, mock, max(3, arguments.starts // 4))
        report["python"] = other
        report["ratio"] = {
            "start": round(other["best_ms"] / slowest["best_ms"], 1),
            "memory": round(other["peak_mb"] / max(row["peak_mb"] for row in rows), 1),
        }
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        table([*rows, *([report["python"]] if "python" in report else [])])
        if "ratio" in report:
            ratio = report["ratio"]
            print(
                f"Beside the slowest and the largest function, Python starts {ratio['start']} times"
                f" as long and takes {ratio['memory']} times the memory."
            )
    missed = [
        f"{row['function']}: {row['zip_bytes'] / 1e6:.2f} MB zipped, {row['best_ms']} ms at best"
        for row in rows
        if row["zip_bytes"] > MOST_ZIP_BYTES or row["best_ms"] > MOST_MILLISECONDS
    ]
    if missed:
        sys.exit("over the bar of 5 MB and 10 ms:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    main()
