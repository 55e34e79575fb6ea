"""Projects, pools and tasks as the tests of single methods need them: small and all alike."""

from __future__ import annotations

import datetime

import toloka.client as toloka
import toloka.client.project.template_builder as tb
from toloka.client import TolokaClient

LABELS = ["OK", "BAD", "BROKEN"]


def expiry() -> datetime.datetime:
    """Later than any test."""
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)


def project(
    kit: TolokaClient, name: str = "Is the image fine?", output: dict[str, object] | None = None, **more: object
) -> toloka.Project:
    """A new project that asks for one of three labels, and for what `output` says."""
    result = tb.fields.RadioGroupFieldV1(
        tb.data.OutputData("result"), [tb.fields.GroupFieldOption(label, label) for label in LABELS]
    )
    view = tb.view.ListViewV1([tb.view.ImageViewV1(tb.data.InputData("image")), result])
    label = {"result": toloka.project.StringSpec(allowed_values=LABELS)}
    return kit.create_project(
        toloka.Project(
            public_name=name,
            public_description="Say whether the image is fine.",
            task_spec=toloka.project.task_spec.TaskSpec(
                input_spec={"image": toloka.project.StringSpec()},
                output_spec=label | (output or {}),
                view_spec=toloka.project.TemplateBuilderViewSpec(view=view),
            ),
            **more,
        )
    )


def unmixed_pool(project_id: str, **more: object) -> toloka.Pool:
    """A pool whose pages the requester puts together, not created yet."""
    settings = {
        "private_name": "Pool",
        "may_contain_adult_content": False,
        "will_expire": expiry(),
        "reward_per_assignment": 0.02,
        "assignment_max_duration_seconds": 600,
        "defaults": toloka.Pool.Defaults(default_overlap_for_new_tasks=1, default_overlap_for_new_task_suites=1),
    }
    return toloka.Pool(project_id=project_id, **settings | more)


def pool(kit: TolokaClient, tasks: int = 0, project_id: str | None = None, **more: object) -> toloka.Pool:
    """A new pool with so many tasks, one a page."""
    form = unmixed_pool(project_id or project(kit).id, **more)
    form.set_mixer_config(real_tasks_count=1)
    made = kit.create_pool(form)
    if tasks:
        kit.create_tasks([task(made.id, n) for n in range(tasks)], allow_defaults=True)
    return made


def task(pool_id: str, number: int, **more: object) -> toloka.Task:
    return toloka.Task(pool_id=pool_id, input_values={"image": f"{number}.png"}, **more)


def training(kit: TolokaClient, project_id: str, name: str = "Training") -> toloka.Training:
    return kit.create_training(
        toloka.Training(
            project_id=project_id,
            private_name=name,
            may_contain_adult_content=False,
            assignment_max_duration_seconds=600,
            training_tasks_in_task_suite_count=1,
            task_suites_required_to_pass=1,
            inherited_instructions=True,
        )
    )


def ids(objects: object) -> list[str]:
    return [one.id for one in objects]
