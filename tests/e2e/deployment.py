"""The template, built and deployed as a user does it, and what a user does with it."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from emulator import Emulator, environment
from processes import ROOT, run, wait_for

STACK = "quorate-e2e"


def build(sam: Path, folder: Path, architecture: str = "x86_64") -> Path:
    """`sam build` with the real functions; the built template."""
    env = environment("http://127.0.0.1:1") | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "SAM_CLI_TELEMETRY": "0",
        "CARGO_TERM_COLOR": "never",
    }
    run(
        [
            sam, "build", "--beta-features",
            "--template-file", ROOT / "infra/template.yaml",
            "--build-dir", folder / f"build-{architecture}",
            "--parameter-overrides", f"ParameterKey=Architecture,ParameterValue={architecture}",
        ],
        folder / f"sam-build-{architecture}.log",
        env,
        cwd=folder,
    )  # fmt: skip
    return folder / f"build-{architecture}/template.yaml"


@dataclass
class Answer:
    """What an HTTP request came to; redirects are not followed."""

    status: int
    headers: dict[str, str]
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _lower(headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def http(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """A GET, or a POST if there is a body."""
    request = urllib.request.Request(url, body, headers or {})
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
            return Answer(answer.status, _lower(answer.headers), answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, _lower(error.headers), error.read())


class Deployment:
    """A deployed stack."""

    def __init__(self, emulator: Emulator):
        self.emulator = emulator

    def client(self, service: str):
        """An outside client, as a user's script has it."""
        retries = Config(retries={"mode": "standard", "max_attempts": 3}, s3={"addressing_style": "path"})
        return boto3.client(
            service,
            endpoint_url=self.emulator.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=retries,
        )

    def deploy(self, sam: Path, template: Path, folder: Path, **parameters: str) -> None:
        """`sam deploy`."""
        self.client("s3").create_bucket(Bucket="sam-artefacts")
        run(
            [
                sam, "deploy",
                "--template-file", template,
                "--stack-name", STACK,
                "--s3-bucket", "sam-artefacts",
                "--capabilities", "CAPABILITY_IAM",
                "--no-confirm-changeset", "--no-progressbar",
                "--parameter-overrides",
                *(f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()),
            ],
            folder / "sam-deploy.log",
            environment(self.emulator.url) | {"SAM_CLI_TELEMETRY": "0"},
            cwd=folder,
        )  # fmt: skip
        # The emulator takes a number that comes from a parameter for a text, and then polls no queue.
        self.lambdas.update_event_source_mapping(
            UUID=self.mapping("CreateTasks"), ScalingConfig={"MaximumConcurrency": 4}
        )

    @cached_property
    def s3(self):
        return self.client("s3")

    @cached_property
    def sqs(self):
        return self.client("sqs")

    @cached_property
    def lambdas(self):
        return self.client("lambda")

    @cached_property
    def outputs(self) -> dict[str, str]:
        """What the stack tells its user."""
        stacks = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}

    def upload(self, files: dict[str, bytes]) -> dict[str, str]:
        """Drops files into the uploads bucket; their versions."""
        bucket = self.outputs["UploadsBucket"]
        put = self.s3.put_object
        return {key: put(Bucket=bucket, Key=key, Body=body)["VersionId"] for key, body in files.items()}

    def invoke(self, function: str, payload: object = None) -> object:
        """Calls a function by its output, as a schedule does it; what it answers."""
        answer = self.lambdas.invoke(FunctionName=self.outputs[function], Payload=json.dumps(payload or {}))
        body = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise RuntimeError(f"{function}: {body}")
        return json.loads(body or "null")

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What is in the results bucket under a prefix, without it."""
        bucket = self.outputs["ResultsBucket"]
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        get = self.s3.get_object
        return {key.removeprefix(prefix): get(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def tick(self) -> None:
        """What the schedules do every minute or five, at once."""
        self.invoke("CheckPools")
        self.invoke("Reconcile")

    def tick_anyway(self) -> None:
        """The same, where a tick may fail."""
        try:
            self.tick()
        except RuntimeError:
            pass

    def results(self, campaign: str, number: int = 1, seconds: float = 300) -> dict[str, bytes]:
        """The files of a round, once they are complete."""

        def look() -> dict[str, bytes] | None:
            self.tick()
            files = self.objects(f"{campaign}/round={number}/")
            return files if "_manifest.json" in files else None

        return wait_for(f"results of {campaign}/{number}", look, seconds, pause=1)

    def waiting(self, queue: str) -> tuple[int, int]:
        """How many messages of a queue can be taken, and how many are with somebody."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def drained(self, queue: str, seconds: float = 60) -> None:
        """Waits until a queue is empty."""
        wait_for(f"an empty {queue}", lambda: self.waiting(queue) == (0, 0), seconds)

    def send(self, queue: str, *bodies: str) -> None:
        """Puts messages into a queue."""
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.outputs[queue], MessageBody=body)

    def receive(self, queue_url: str) -> list[str]:
        """Takes every message out of a queue; their bodies."""
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def mapping(self, function: str) -> str:
        """What feeds a function from its queue, by its id."""
        mappings = self.lambdas.list_event_source_mappings(FunctionName=self.outputs[function])
        return mappings["EventSourceMappings"][0]["UUID"]

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Uploads wait in their queue, and go to create-tasks together at the end: what the batching
        window does, which the emulator does not have."""
        mapping = self.mapping("CreateTasks")
        self.lambdas.update_event_source_mapping(UUID=mapping, Enabled=False)
        try:
            yield
        finally:
            self.lambdas.update_event_source_mapping(UUID=mapping, Enabled=True)

    @contextmanager
    def impatient(self, queue: str, seconds: int) -> Iterator[None]:
        """Messages that failed come again after so many seconds, instead of half an hour."""
        name = "VisibilityTimeout"
        url = self.outputs[queue]
        before = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name]
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(seconds)})
        try:
            yield
        finally:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={name: before})

    def object_created(self, key: str, version: str | None = None) -> str:
        """The event of an upload as the rule sends it to the queue."""
        bucket = self.outputs["UploadsBucket"]
        event = json.loads((ROOT / "events/s3-object-created.json").read_text())
        event["detail"]["bucket"]["name"] = bucket
        event["resources"] = [f"arn:aws:s3:::{bucket}"]
        event["detail"]["object"] = {"key": key} | ({"version-id": version} if version else {})
        return json.dumps(event)

    def table(self) -> dict[str, dict]:
        """Everything in the ledger, by key."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(TableName=self.outputs["Table"])
        items = [item for page in pages for item in page["Items"]]
        return {f"{item['pk']['S']} {item['sk']['S']}": item for item in items}

    def url_id(self, function: str) -> str:
        """The name of a function's URL: its first label."""
        url = self.lambdas.get_function_url_config(FunctionName=self.outputs[function])["FunctionUrl"]
        return urlsplit(url).hostname.partition(".")[0]

    def url(self, function: str) -> str:
        """Where the emulator answers for a function's URL."""
        return f"{self.emulator.url}/_aws/lambda-url/{self.url_id(function)}"

    def secret(self, output: str) -> str:
        """What a secret holds."""
        return self.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])["SecretString"]

    def set_token(self, token: str) -> None:
        """What the output `SetTolokaToken` tells the user to do."""
        self.client("secretsmanager").put_secret_value(SecretId=self.outputs["TolokaToken"], SecretString=token)

    def listen(self) -> None:
        """Subscribes to what is told, with a queue that keeps it."""
        queue = self.sqs.create_queue(QueueName="inbox")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.client("sns").subscribe(TopicArn=self.outputs["Topic"], Protocol="sqs", Endpoint=arn)
        self.inbox, self.told_before = queue, []

    def told(self, campaign: str) -> list[dict]:
        """The events that people were told about a campaign."""
        messages = [json.loads(body) for body in self.receive(self.inbox)]
        self.told_before += [json.loads(message["Message"]) for message in messages]
        return [event for event in self.told_before if event["detail"]["campaign"] == campaign]
