"""What must hold of the template, whoever changes it.

Emulators ignore much of this (dead-letter queues of rules and schedules, every policy), so it is
checked here, on the transformed template.
"""

from __future__ import annotations

import json
import os
import re
import unittest
from typing import Any, Iterator

from stack import INFRA, ROOT, TEMPLATE, as_list, chosen, marked, resources, source, statements, target, transformed

FUNCTIONS = resources("AWS::Lambda::Function")
QUEUES = resources("AWS::SQS::Queue")
ROLES = resources("AWS::IAM::Role")
ALARMS = resources("AWS::CloudWatch::Alarm")
MAPPINGS = resources("AWS::Lambda::EventSourceMapping")
RULES = resources("AWS::Events::Rule")
SCHEDULES = resources("AWS::Scheduler::Schedule")

FORTNIGHT = 14 * 86_400


def redrives() -> dict[str, str]:
    """Queues by the queue whose failures they get."""
    return {
        name: target(queue["RedrivePolicy"]["deadLetterTargetArn"])
        for name, queue in QUEUES.items()
        if "RedrivePolicy" in queue
    }


def rule_targets() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, rule in RULES.items():
        for one in rule["Targets"]:
            yield name, one


def invoke_config(function: str) -> dict[str, Any]:
    """How asynchronous invocations of a function are tried again."""
    configs = resources("AWS::Lambda::EventInvokeConfig").values()
    return next(config for config in configs if target(config["FunctionName"]) == function)


def ticked() -> set[str]:
    """The functions that are invoked asynchronously."""
    by_schedule = {target(schedule["Target"]["Arn"]) for schedule in SCHEDULES.values()}
    by_rule = {target(one["Arn"]) for _, one in rule_targets()} & set(FUNCTIONS)
    return by_schedule | by_rule


def policies() -> dict[str, dict[str, Any]]:
    """Every policy of the stack by its resource: who may do what, and who may call what."""
    found: dict[str, dict[str, Any]] = {}
    for name, role in ROLES.items():
        inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in role["Policies"]}
        found[name] = {"trust": role["AssumeRolePolicyDocument"], **inline}
    for kind in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"):
        found |= {name: policy["PolicyDocument"] for name, policy in resources(kind).items()}
    return found | resources("AWS::Lambda::Permission")


class DeadLetters(unittest.TestCase):
    def test_every_queue_has_a_dead_letter_queue(self):
        dead = {target(one["DeadLetterConfig"]["Arn"]) for _, one in rule_targets()} | set(redrives().values())
        self.assertEqual(set(QUEUES), set(redrives()) | dead)
        for name in redrives():
            self.assertEqual(QUEUES[name]["RedrivePolicy"]["maxReceiveCount"], 5, name)

    def test_every_target_of_a_rule_has_one_that_the_rule_may_write_to(self):
        for rule, one in rule_targets():
            with self.subTest(rule):
                self.assertIn("RetryPolicy", one)
                receivers = {target(one["DeadLetterConfig"]["Arn"]), target(one["Arn"])} & set(QUEUES)
                for queue in receivers:
                    self.assertIn(rule, self.writers(queue), queue)

    def writers(self, queue: str) -> set[str]:
        """The rules that may send to a queue."""
        documents = [
            policy["PolicyDocument"]
            for policy in resources("AWS::SQS::QueuePolicy").values()
            if [target(one) for one in policy["Queues"]] == [queue]
        ]
        return {
            target(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
            for document in documents
            for statement in document["Statement"]
            if target(statement["Resource"]) == queue and statement["Action"] == "sqs:SendMessage"
        }

    def test_every_schedule_has_one_that_its_role_may_write_to(self):
        for name, schedule in SCHEDULES.items():
            with self.subTest(name):
                queue = target(schedule["Target"]["DeadLetterConfig"]["Arn"])
                self.assertEqual(schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"], 0)
                self.assertIn(queue, self.sends_to(target(schedule["Target"]["RoleArn"])))

    def test_every_function_that_is_invoked_asynchronously_has_one(self):
        self.assertEqual(ticked(), {"CheckPools", "Reconcile"})
        for name in ticked():
            with self.subTest(name):
                config = invoke_config(name)
                self.assertEqual(config["MaximumRetryAttempts"], 0)
                queue = target(config["DestinationConfig"]["OnFailure"]["Destination"])
                self.assertIn(queue, self.sends_to(target(FUNCTIONS[name]["Role"])))

    def sends_to(self, role: str) -> set[str]:
        """The queues that a role may send to."""
        granted = (statement for policy in ROLES[role]["Policies"] for statement in statements(policy["PolicyDocument"]))
        return {target(statement["Resource"]) for statement in granted if statement["Action"] == "sqs:SendMessage"}

    def test_every_dead_letter_queue_has_an_alarm(self):
        watched = {
            target(alarm["Dimensions"][0]["Value"])
            for alarm in ALARMS.values()
            if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible" and alarm["Threshold"] == 0
        }
        self.assertEqual(watched, set(QUEUES) - set(redrives()))

    def test_messages_are_kept_for_a_fortnight_but_for_ticks(self):
        kept = {name: queue["MessageRetentionPeriod"] for name, queue in QUEUES.items()}
        self.assertEqual({name for name, seconds in kept.items() if seconds != FORTNIGHT}, {"TicksDlq"})


class Work(unittest.TestCase):
    def test_a_message_is_hidden_for_six_times_the_time_of_its_function(self):
        for name, mapping in MAPPINGS.items():
            queue, function = target(mapping["EventSourceArn"]), target(mapping["FunctionName"])
            least = 6 * FUNCTIONS[function]["Timeout"]
            self.assertGreaterEqual(QUEUES[queue]["VisibilityTimeout"], least, name)

    def test_each_queue_feeds_one_function_that_answers_for_each_message(self):
        self.assertEqual({target(mapping["EventSourceArn"]) for mapping in MAPPINGS.values()}, set(redrives()))
        for name, mapping in MAPPINGS.items():
            self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"], name)
            self.assertIn("MaximumConcurrency", mapping["ScalingConfig"], name)

    def test_a_large_round_has_its_batch_for_itself(self):
        self.assertEqual([m["BatchSize"] for m in MAPPINGS.values() if target(m["FunctionName"]) == "AggregatePool"], [1])

    def test_uploads_are_given_on_as_s3_tells_them(self):
        (one,) = RULES["UploadsRule"]["Targets"]
        self.assertEqual(target(one["Arn"]), "UploadsQueue")
        self.assertFalse({"Input", "InputPath", "InputTransformer"} & set(one))

    def test_the_bus_may_wake_check_pools(self):
        permission = resources("AWS::Lambda::Permission")["MovedRulePermission"]
        self.assertEqual(target(permission["FunctionName"]), target(RULES["MovedRule"]["Targets"][0]["Arn"]))
        self.assertEqual(target(permission["SourceArn"]), "MovedRule")


class Functions(unittest.TestCase):
    def test_each_is_built_from_the_folder_of_its_name(self):
        for name, function in source()["Resources"].items():
            if function["Type"] == "AWS::Serverless::Function":
                binary = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
                self.assertEqual(function["Metadata"]["BuildProperties"], {"Binary": binary})
                self.assertEqual(function["Properties"]["CodeUri"], f"../functions/{binary}")
                self.assertTrue((ROOT / "functions" / binary / "Cargo.toml").exists())
        folders = [folder.name for folder in (ROOT / "functions").iterdir()]
        self.assertEqual(len(FUNCTIONS), len(folders))

    def test_each_has_the_architecture_of_the_parameter_and_memory_for_a_fast_start(self):
        for name, function in FUNCTIONS.items():
            self.assertEqual(function["Architectures"], [{"Ref": "Architecture"}], name)
            self.assertEqual(function["TracingConfig"], {"Mode": "Active"}, name)
            if name != "AggregatePool":
                self.assertGreaterEqual(function["MemorySize"], 512, name)
        self.assertGreaterEqual(transformed()["Parameters"]["AggregateMemory"]["MinValue"], 512)

    def test_each_has_a_role_of_its_own(self):
        roles = [target(function["Role"]) for function in FUNCTIONS.values()]
        self.assertEqual(len(set(roles)), len(FUNCTIONS))
        for role in roles:
            (trust,) = ROLES[role]["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(trust["Principal"], {"Service": "lambda.amazonaws.com"})
            self.assertNotIn("ManagedPolicyArns", ROLES[role])

    def test_each_writes_to_a_log_of_its_own_that_does_not_grow_for_ever(self):
        logs = resources("AWS::Logs::LogGroup")
        for log in logs.values():
            self.assertEqual(log["RetentionInDays"], {"Ref": "LogRetentionDays"})
        for name, function in FUNCTIONS.items():
            log = target(function["LoggingConfig"]["LogGroup"])
            granted = (
                target(statement["Resource"])
                for policy in ROLES[target(function["Role"])]["Policies"]
                for statement in statements(policy["PolicyDocument"])
                if "logs:PutLogEvents" in as_list(statement["Action"])
            )
            self.assertEqual(list(granted), [log], name)
        self.assertEqual(len(logs), len(FUNCTIONS))

    def test_only_two_have_a_url_and_no_other_site_may_call_it(self):
        urls = resources("AWS::Lambda::Url")
        self.assertEqual({target(url["TargetFunctionArn"]) for url in urls.values()}, {"ServeImage", "ReceiveWebhook"})
        self.assertFalse(any("Cors" in url for url in urls.values()))
        public = {
            target(permission["FunctionName"])
            for permission in resources("AWS::Lambda::Permission").values()
            if permission["Principal"] == "*"
        }
        self.assertEqual(public, {"ServeImage", "ReceiveWebhook"})

    def test_no_secret_is_in_the_environment(self):
        for name, function in FUNCTIONS.items():
            for variable, value in function["Environment"]["Variables"].items():
                if variable.endswith("_SECRET"):
                    self.assertEqual(list(value), ["Fn::GetAtt"], f"{name}: {variable} is to name a secret")
        self.assertNotIn("{{resolve:", TEMPLATE.read_text())

    def test_they_read_what_the_template_sets_and_nothing_else(self):
        code = "".join(path.read_text() for path in (ROOT / "shared/aws/src").rglob("*.rs"))
        read = set(re.findall(r'"(QUORATE_[A-Z_]+)"', code))
        given = {name for function in FUNCTIONS.values() for name in function["Environment"]["Variables"]}
        self.assertEqual(given, {name for name in given if name in read}, "set, but never read")
        self.assertEqual(read - given, set(), "read, but never set")

    def test_each_may_use_what_it_needs_to_start(self):
        for name, function in FUNCTIONS.items():
            binary = re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
            needs = set(re.findall(r"\bNeed::(\w+)", (ROOT / "functions" / binary / "src/main.rs").read_text()))
            if not needs:
                continue
            variables = function["Environment"]["Variables"]
            granted = [s for p in ROLES[target(function["Role"])]["Policies"] for s in statements(p["PolicyDocument"])]
            lists = {target(s["Resource"]) for s in granted if "s3:ListBucket" in as_list(s["Action"])}
            reads = {
                target(secret)
                for s in granted
                if s["Action"] == "secretsmanager:GetSecretValue"
                for secret in as_list(s["Resource"])
            }
            with self.subTest(name):
                self.assertEqual("Crowd" in needs, "QUORATE_TOLOKA_SECRET" in variables)
                self.assertEqual("Crowd" in needs, "TolokaToken" in reads)
                self.assertEqual("Links" in needs, {"QUORATE_LINKS_URL", "QUORATE_LINK_SECRET"} <= set(variables))
                self.assertEqual("Links" in needs, "LinkKeys" in reads)
                self.assertEqual("Uploads" in needs, "UploadsBucket" in lists)
                self.assertEqual("Results" in needs, "ResultsBucket" in lists)


class LeastPrivilege(unittest.TestCase):
    maxDiff = None

    def test_policies_are_those_that_were_reviewed(self):
        golden = INFRA / "tests/policies.json"
        now = json.dumps(policies(), indent=1, sort_keys=True) + "\n"
        if os.environ.get("UPDATE"):
            golden.write_text(now)
        self.assertEqual(now, golden.read_text(), "review the change, then UPDATE=1 infra/test")

    def test_every_wildcard_has_a_comment(self):
        lines = TEMPLATE.read_text().splitlines()
        found = 0

        def look(node: Any, commented: bool) -> None:
            nonlocal found
            if isinstance(node, dict):
                for key, value in node.items():
                    wild = key in ("Action", "Resource") and "Effect" in node
                    line = lines[key.start_mark.line] if wild else ""
                    (check if wild else look)(value, " # " in line)
            elif isinstance(node, list):
                for item in node:
                    look(item, commented)

        def check(value: Any, commented: bool) -> None:
            nonlocal found
            if "*" in json.dumps(value):
                found += 1
                self.assertTrue(commented, f"line {value.start_mark.line + 1}: why is there nothing finer than {value}?")

        look(marked(), False)
        self.assertGreater(found, 5)

    def test_no_action_is_a_wildcard_but_in_a_deny(self):
        for name, role in ROLES.items():
            for policy in role["Policies"]:
                for statement in statements(policy["PolicyDocument"]):
                    self.assertEqual(statement["Effect"], "Allow")
                    self.assertNotIn("*", "".join(as_list(statement["Action"])), name)

    def test_every_statement_is_explained(self):
        readme = (INFRA / "README.md").read_text()
        for name, role in ROLES.items():
            section = re.search(rf"^### `{name}`$.*?(?=^##|\Z)", readme, re.M | re.S)
            self.assertIsNotNone(section, f"infra/README.md has no section about {name}")
            told = re.findall(r"^\| `(\w+)` \|", section[0], re.M)
            sids = [s["Sid"] for policy in role["Policies"] for s in statements(policy["PolicyDocument"])]
            common = {"Log", "Trace", "Key"}
            self.assertEqual(set(told), set(sids) - common, name)

    def test_what_the_code_asks_of_aws_is_granted(self):
        code = "".join(path.read_text() for path in (ROOT / "shared/aws/src").rglob("*.rs"))
        granted = {
            action
            for name, role in ROLES.items()
            for policy in role["Policies"]
            for statement in statements(policy["PolicyDocument"])
            for action in as_list(statement["Action"])
        }
        for call, action in {
            "batch_get_item": "dynamodb:BatchGetItem",
            "batch_write_item": "dynamodb:BatchWriteItem",
            "delete_item": "dynamodb:DeleteItem",
            "describe_table": "dynamodb:DescribeTable",
            "get_item": "dynamodb:GetItem",
            "put_item": "dynamodb:PutItem",
            "query": "dynamodb:Query",
            "scan": "dynamodb:Scan",
            "update_item": "dynamodb:UpdateItem",
            "describe_event_bus": "events:DescribeEventBus",
            "put_events": "events:PutEvents",
            "delete_object": "s3:DeleteObject",
            "get_object": "s3:GetObjectVersion",
            "head_bucket": "s3:ListBucket",
            "head_object": "s3:GetObject",
            "list_object_versions": "s3:ListBucketVersions",
            "put_object": "s3:PutObject",
            "describe_secret": "secretsmanager:DescribeSecret",
            "get_secret_value": "secretsmanager:GetSecretValue",
            "put_secret_value": "secretsmanager:PutSecretValue",
        }.items():
            if f".{call}()" in code:
                self.assertIn(action, granted, f"shared/aws calls {call}")

    def test_what_each_function_was_counted_asking_is_granted_to_it(self):
        granted = {
            name: {
                action
                for policy in role["Policies"]
                for statement in statements(policy["PolicyDocument"])
                for action in as_list(statement["Action"])
            }
            for name, role in ROLES.items()
        }
        actions = {
            "S3 HeadObject": "s3:GetObject",
            "S3 GetObject": "s3:GetObjectVersion",
            "S3 ListObjects": "s3:ListBucketVersions",
            # What is not there is told only to who may list.
            "S3 HeadObject (404)": "s3:ListBucket",
            # Its parts have actions of their own.
            "DynamoDB TransactWriteItems": None,
        }
        rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (\d+ [^|]+) \|$", (INFRA / "COST.md").read_text(), re.M)
        self.assertGreaterEqual({function for function, _ in rows}, {"create-tasks", "check-pools", "aggregate-pool"})
        for function, asked in rows:
            role = "".join(part.capitalize() for part in function.split("-")) + "Role"
            for call in (re.sub(r"^\d+ ", "", call) for call in asked.split(", ")):
                service, _, operation = call.partition(" ")
                prefix = {"DynamoDB": "dynamodb", "S3": "s3", "EventBridge": "events"}.get(service)
                if prefix is None:
                    continue  # A request to the crowd.
                action = actions.get(call, f"{prefix}:{operation}")
                if action:
                    self.assertIn(action, granted[role], f"{function}: {call}")


class Data(unittest.TestCase):
    def test_buckets_are_private_versioned_and_encrypted(self):
        for name, bucket in resources("AWS::S3::Bucket").items():
            with self.subTest(name):
                self.assertEqual(set(bucket["PublicAccessBlockConfiguration"].values()), {True})
                self.assertEqual(len(bucket["PublicAccessBlockConfiguration"]), 4)
                self.assertEqual(bucket["VersioningConfiguration"], {"Status": "Enabled"})
                self.assertIn("BucketEncryption", bucket)
                self.assertEqual(transformed()["Resources"][name]["DeletionPolicy"], "RetainExceptOnCreate")

    def test_buckets_take_no_request_without_tls(self):
        guarded = {}
        for policy in resources("AWS::S3::BucketPolicy").values():
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Sid"] == "TlsOnly":
                    self.assertEqual(statement["Effect"], "Deny")
                    guarded[target(policy["Bucket"])] = statement["Condition"]
        condition = {"Bool": {"aws:SecureTransport": "false"}}
        self.assertEqual(guarded, {name: condition for name in resources("AWS::S3::Bucket")})

    def test_what_is_admitted_stays_readable(self):
        uploads = resources("AWS::S3::Bucket")["UploadsBucket"]
        versions = [rule for rule in uploads["LifecycleConfiguration"]["Rules"] if rule.get("Id") == "old-versions"]
        self.assertEqual(versions[0]["NoncurrentVersionExpiration"], {"NoncurrentDays": {"Ref": "VersionsRetentionDays"}})
        self.assertGreaterEqual(transformed()["Parameters"]["VersionsRetentionDays"]["Default"], 120)

    def test_nothing_expires_unless_it_is_asked_for(self):
        for name, bucket in resources("AWS::S3::Bucket").items():
            rules = chosen(bucket["LifecycleConfiguration"]["Rules"], set())
            self.assertFalse([rule for rule in rules if "ExpirationInDays" in rule], name)

    def test_a_key_of_ones_own_encrypts_everything(self):
        holds = {
            "AWS::S3::Bucket": "BucketEncryption",
            "AWS::SQS::Queue": "KmsMasterKeyId",
            "AWS::SNS::Topic": "KmsMasterKeyId",
            "AWS::DynamoDB::Table": "SSESpecification",
            "AWS::SecretsManager::Secret": "KmsKeyId",
            "AWS::Logs::LogGroup": "KmsKeyId",
            "AWS::Lambda::Function": "KmsKeyArn",
        }
        for kind, member in holds.items():
            for name, properties in resources(kind).items():
                with_key = chosen(properties, {"HasKey"}).get(member)
                self.assertIn("KmsKeyArn", json.dumps(with_key), name)
                self.assertNotIn("KmsKeyArn", json.dumps(chosen(properties, set())), name)
        for queue in QUEUES.values():
            self.assertTrue(chosen(queue, set())["SqsManagedSseEnabled"])

    def test_the_table_is_the_one_that_the_ledger_speaks_of(self):
        (table,) = resources("AWS::DynamoDB::Table").values()
        code = "".join(path.read_text() for path in (ROOT / "shared/aws/src/ledger").glob("*.rs"))
        names = dict(re.findall(r'const (PK|SK|INDEX): &str = "(\w+)"', code))
        self.assertEqual([key["AttributeName"] for key in table["KeySchema"]], [names["PK"], names["SK"]])
        (index,) = table["GlobalSecondaryIndexes"]
        self.assertEqual(index["IndexName"], names["INDEX"])
        self.assertEqual([key["AttributeName"] for key in index["KeySchema"]], ["work", "due"])
        self.assertEqual(index["Projection"], {"ProjectionType": "KEYS_ONLY"})
        types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        self.assertEqual(types, {"pk": "S", "sk": "S", "work": "S", "due": "N"})

    def test_the_table_is_hard_to_lose(self):
        (name,) = resources("AWS::DynamoDB::Table")
        table = transformed()["Resources"][name]
        self.assertEqual((table["DeletionPolicy"], table["UpdateReplacePolicy"]), ("Retain", "Retain"))
        self.assertTrue(table["Properties"]["DeletionProtectionEnabled"])
        self.assertTrue(table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
        self.assertEqual(table["Properties"]["TimeToLiveSpecification"], {"AttributeName": "expires", "Enabled": True})


class Watching(unittest.TestCase):
    def test_every_alarm_tells_the_topic_once(self):
        for name, alarm in ALARMS.items():
            with self.subTest(name):
                self.assertEqual(alarm["AlarmActions"], [{"Ref": "Topic"}])
                self.assertFalse({"OKActions", "InsufficientDataActions"} & set(alarm))
                self.assertIn(alarm["TreatMissingData"], ("notBreaching", "ignore"))

    def test_every_function_has_an_alarm(self):
        watched = {target(a["Dimensions"][0]["Value"]) for a in ALARMS.values() if a["MetricName"] == "Errors"}
        self.assertEqual(watched, set(FUNCTIONS))

    def test_every_metric_of_ours_is_one_that_the_code_counts(self):
        counted = set()
        for folder in ("functions", "shared"):
            for path in (ROOT / folder).rglob("src/**/*.rs"):
                if path.name != "telemetry.rs":
                    counted |= set(re.findall(r"\bmetric\.(\w+) =", path.read_text()))
        widgets = json.loads(self.dashboard())["widgets"]
        shown = {metric[1] for w in widgets for metric in w["properties"].get("metrics", []) if metric[0] == "Quorate"}
        alarmed = {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == "Quorate"}
        self.assertEqual((shown | alarmed) - counted, set())

    def test_the_dashboard_stays_in_its_grid(self):
        taken: set[tuple[int, int]] = set()
        for widget in json.loads(self.dashboard())["widgets"]:
            cells = {
                (widget["x"] + x, widget["y"] + y) for x in range(widget["width"]) for y in range(widget["height"])
            }
            self.assertLess(max(x for x, _ in cells), 24)
            self.assertFalse(cells & taken)
            taken |= cells

    def dashboard(self) -> str:
        (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
        return dashboard["DashboardBody"]["Fn::Sub"]


class ForPeople(unittest.TestCase):
    def test_the_command_finds_what_it_reads_in_the_outputs(self):
        needed = {"UploadsBucket", "ResultsBucket", "Table", "Bus", "TolokaUrl", "TolokaToken"}
        self.assertLessEqual(needed, set(transformed()["Outputs"]))

    def test_every_parameter_is_explained_and_grouped(self):
        parameters = transformed()["Parameters"]
        groups = transformed()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        self.assertEqual(sorted(name for group in groups for name in group["Parameters"]), sorted(parameters))
        readme = (INFRA / "README.md").read_text()
        for name, parameter in parameters.items():
            self.assertIn("Description", parameter, name)
            self.assertIn("Default", parameter, name)
            self.assertIn(f"| `{name}` |", readme, name)

    def test_every_check_that_is_skipped_says_why(self):
        for name, resource in source()["Resources"].items():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                self.assertTrue(skip["comment"], f"{name}: {skip['id']}")


if __name__ == "__main__":
    unittest.main()
