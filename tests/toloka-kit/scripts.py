"""Three published examples as a requester writes them with toloka-kit.

Each takes a client, and how many hours its pool stays open at most; it gives the answers as
`get_assignments_df` brings them. They differ from the originals in how often they ask whether a pool is
done: its day is minutes here.
"""

from __future__ import annotations

import datetime
import json

import pandas
import toloka.client as toloka
import toloka.client.project.template_builder as tb

import recorded
from conftest import CLICKBAIT
from processes import wait_for

SECONDS = 120
"""How long a pool may take."""


def wait_pool(client: toloka.TolokaClient, pool_id: str) -> None:
    """Waits until a pool is closed, looking at how far it is meanwhile, as the examples do."""

    def closed() -> bool:
        if client.get_pool(pool_id).is_closed():
            return True
        request = toloka.analytics_request.CompletionPercentagePoolAnalytics(subject_id=pool_id)
        operation = client.wait_operation(client.get_analytics([request]))
        share = operation.details["value"][0]["result"]["value"]
        assert 0 <= share <= 100
        return False

    wait_for(f"pool {pool_id} is closed", closed, SECONDS)


def ban(comment: str, *, days: int = 1) -> toloka.actions.RestrictionV2:
    return toloka.actions.RestrictionV2(
        scope=toloka.user_restriction.UserRestriction.PROJECT,
        duration=days,
        duration_unit="DAYS",
        private_comment=comment,
    )


def introduction(client: toloka.TolokaClient, hours: float) -> pandas.DataFrame:
    """Cats and dogs: the first steps of every requester."""
    assert client.get_requester().balance > 0
    image = tb.view.ImageViewV1(tb.data.InputData("image"), ratio=[1, 1])
    animal = tb.fields.RadioGroupFieldV1(
        tb.data.OutputData("result"),
        [tb.fields.GroupFieldOption("cat", "Cat"), tb.fields.GroupFieldOption("dog", "Dog")],
        validation=tb.conditions.RequiredConditionV1(),
    )
    layout = tb.plugins.TolokaPluginV1("scroll", task_width=400)
    project = client.create_project(
        toloka.Project(
            public_name="Cat or Dog?",
            public_description="Specify the type of animal depicted in a photo.",
            public_instructions="Look at the picture. Determine what is on it: a <b>cat</b> or a <b>dog</b>. "
            "Choose the correct option.",
            task_spec=toloka.project.task_spec.TaskSpec(
                input_spec={"image": toloka.project.UrlSpec()},
                output_spec={"result": toloka.project.StringSpec()},
                view_spec=toloka.project.TemplateBuilderViewSpec(
                    view=tb.view.ListViewV1([image, animal]), plugins=[layout]
                ),
            ),
        )
    )
    pool = toloka.Pool(
        project_id=project.id,
        private_name="Pool 1",
        may_contain_adult_content=False,
        will_expire=project.created + datetime.timedelta(hours=hours),
        reward_per_assignment=0.01,
        assignment_max_duration_seconds=60 * 5,
        defaults=toloka.Pool.Defaults(default_overlap_for_new_tasks=3, default_overlap_for_new_task_suites=0),
        filter=toloka.filter.Languages.in_("EN"),
    )
    pool.quality_control.captcha_frequency = "MEDIUM"
    pool.set_mixer_config(real_tasks_count=10)
    pool.quality_control.add_action(
        collector=toloka.collectors.Captcha(history_size=5),
        conditions=[toloka.conditions.FailRate > 20],
        action=ban("Captcha"),
    )
    pool = client.create_pool(pool)
    [images] = recorded.tasks("introduction")
    tasks = [toloka.Task(pool_id=pool.id, input_values=task["input_values"]) for task in images]
    created = client.create_tasks(tasks, allow_defaults=True)
    assert len(created.items) == len(tasks)
    client.open_pool(pool.id)
    wait_pool(client, pool.id)
    return client.get_assignments_df(pool.id)


def binary_classification(client: toloka.TolokaClient, hours: float) -> pandas.DataFrame:
    """Cats, dogs and neither, with control tasks and rules about who may go on."""
    assert client.get_requester().balance > 0
    result = tb.data.OutputData("result")
    image = tb.view.ImageViewV1(tb.data.InputData("image"), ratio=[1, 1], rotatable=True)
    labels = {"cat": "Cat", "dog": "Dog", "other": "Other"}
    animal = tb.fields.ButtonRadioGroupFieldV1(
        result,
        [tb.fields.GroupFieldOption(value, label) for value, label in labels.items()],
        validation=tb.conditions.RequiredConditionV1(hint="choose one of the options"),
    )
    hotkeys = {f"key_{n}": tb.actions.SetActionV1(result, value) for n, value in enumerate(labels, start=1)}
    layout = tb.plugins.TolokaPluginV1("scroll", task_width=500)
    project = client.create_project(
        toloka.Project(
            public_name="Is it a cat or a dog?",
            public_description="Look at the picture and decide whether there is a cat or a dog.",
            public_instructions="""<p>Decide what category the image belongs to.</p>
<p>Select "<b>Cat</b>" if the picture contains one or more cats.</p>
<p>Select "<b>Dog</b>" if the picture contains one or more dogs.</p>
<p>Select "<b>Other</b>" if:</p>
<ul><li>the picture contains both cats and dogs</li>
<li>the picture is a picture of animals other than cats and dogs</li>
<li>it is not clear whether the picture is of a cat or a dog</li>
</ul>""",
            task_spec=toloka.project.task_spec.TaskSpec(
                input_spec={"image": toloka.project.UrlSpec()},
                output_spec={"result": toloka.project.StringSpec()},
                view_spec=toloka.project.TemplateBuilderViewSpec(
                    view=tb.view.ListViewV1([image, animal]),
                    plugins=[layout, tb.plugins.HotkeysPluginV1(**hotkeys)],
                ),
            ),
        )
    )
    pool = toloka.Pool(
        project_id=project.id,
        private_name="Pool 1",
        may_contain_adult_content=False,
        will_expire=project.created + datetime.timedelta(hours=hours),
        reward_per_assignment=0.01,
        assignment_max_duration_seconds=60 * 10,
        defaults=toloka.Pool.Defaults(default_overlap_for_new_task_suites=3),
        filter=toloka.filter.Languages.in_("EN"),
    )
    pool.set_mixer_config(real_tasks_count=9, golden_tasks_count=1)
    quality, conditions = pool.quality_control, toloka.conditions
    quality.add_action(
        collector=toloka.collectors.Income(),
        conditions=[conditions.IncomeSumForLast24Hours >= 20],
        action=ban("No need more answers from this performer"),
    )
    quality.add_action(
        collector=toloka.collectors.SkippedInRowAssignments(),
        conditions=[conditions.SkippedInRowCount >= 10],
        action=ban("Lazy performer"),
    )
    quality.add_action(
        collector=toloka.collectors.MajorityVote(answer_threshold=2, history_size=10),
        conditions=[conditions.TotalAnswersCount >= 4, conditions.CorrectAnswersRate < 75],
        action=ban("Too low quality", days=10),
    )
    quality.add_action(
        collector=toloka.collectors.GoldenSet(),
        conditions=[conditions.GoldenSetCorrectAnswersRate < 60.0, conditions.GoldenSetAnswersCount >= 3],
        action=ban("Golden set", days=10),
    )
    pool = client.create_pool(pool)
    [images] = recorded.tasks("binary-classification")
    tasks = []
    for task in images:
        known = task.get("known_solutions")
        control = {"infinite_overlap": True, "known_solutions": known} if known else {}
        tasks.append(toloka.Task(pool_id=pool.id, input_values=task["input_values"], **control))
    client.create_tasks(tasks, allow_defaults=True)
    client.open_pool(pool.id)
    wait_pool(client, pool.id)
    return client.get_assignments_df(pool.id)


def text_classification(client: toloka.TolokaClient, hours: float) -> pandas.DataFrame:
    """Headlines, from configurations in files: a training, then a pool for who passed it.

    Its control tasks have the pool's overlap and run out before the pool is done: it ends when its
    time is over.
    """
    configs = {part: json.loads((CLICKBAIT / f"{part}.json").read_text()) for part in ("project", "exam", "pool")}
    project = client.create_project(toloka.Project.structure(configs["project"]))
    training = toloka.Training.structure(configs["exam"])
    training.project_id = project.id
    training = client.create_training(training)
    pool = toloka.Pool.structure(configs["pool"])
    pool.project_id = project.id
    pool.will_expire = project.created + datetime.timedelta(hours=hours)
    pool.quality_control.training_requirement = toloka.quality_control.QualityControl.TrainingRequirement(
        training_pool_id=training.id, training_passing_skill_value=90
    )
    pool = client.create_pool(pool)
    golden, exam, real = recorded.tasks("text-classification-flow")
    for pool_id, rows, open_pool in ((pool.id, golden, False), (training.id, exam, True), (pool.id, real, False)):
        tasks = [toloka.Task.structure({**row, "pool_id": pool_id}) for row in rows]
        created = client.create_tasks(tasks, allow_defaults=True, open_pool=open_pool, skip_invalid_items=False)
        assert len(created.items) == len(rows)
    assert client.get_pool(pool.id).is_closed()
    client.open_pool(pool.id)
    wait_pool(client, pool.id)
    return client.get_assignments_df(pool.id, status=[], exclude_banned=False)
