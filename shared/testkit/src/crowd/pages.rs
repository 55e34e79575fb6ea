//! Pages: taken, answered, given back, listed and paid.

use std::collections::BTreeSet;

use super::*;

/// Overlap means as many workers: the tasks of a worker's pages are all different.
pub async fn nobody_gets_a_task_twice(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(5).await;
    for worker in [0, 1] {
        while let Some(page) = case.workers.take(&pool, worker).await {
            case.send_in(&page).await;
        }
    }
    let mut answers = BTreeMap::<String, Vec<String>>::new();
    for page in case.pages(&pool, &["ACCEPTED"]).await {
        let tasks = page.answers.into_iter().map(|answer| answer.task);
        answers.entry(page.worker).or_default().extend(tasks);
    }
    assert_eq!(answers.len(), 2);
    for tasks in answers.into_values() {
        let different: BTreeSet<&String> = tasks.iter().collect();
        assert_eq!((tasks.len(), different.len()), (5, 5));
    }
    eventually(complete(), async || case.openness(&pool).await).await;
}

/// A page is as large as the campaign says; what is left makes a smaller one.
pub async fn pages_are_full_while_there_are_images(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(5).await;
    let mut sizes = Vec::new();
    while let Some(page) = case.workers.take(&pool, 0).await {
        sizes.push(page.tasks);
    }
    assert_eq!(sizes, [2, 2, 1]);
}

/// Each label belongs to its task, and a control task's known answer comes with it.
pub async fn answers_come_back_as_they_were_given(case: &Case<'_, impl Workers>) {
    let pool = case.pool(true).await;
    let mut log = case.add(&pool, 0, case.images(0..2)).await;
    let golden = vec![case.control(2, "dog", None)];
    log.extend(case.add(&pool, 1, golden).await);
    case.open(&pool).await;
    let before = case.pool_status(&pool).await;
    assert!(before.open);
    let page = case.take(&pool, 0).await;
    assert_eq!(page.tasks, 3);
    case.workers.pass(Duration::from_secs(30));
    let labels = ["cat", "dog", "cat"];
    assert_eq!(
        case.workers.submit(&page, &labels).await,
        Vec::<String>::new()
    );
    let pages = case.pages(&pool, &["ACCEPTED"]).await;
    assert_eq!(pages.len(), 1);
    let sent = &pages[0];
    assert_eq!((&sent.id, sent.status.as_str()), (&page.id, "ACCEPTED"));
    assert_eq!(sent.reward, Decimal::new(5, 2));
    assert!(sent.submitted.as_ref().is_some_and(|at| *at > sent.created));
    let given: Vec<_> = sent.answers.iter().map(|it| it.label.as_deref()).collect();
    assert_eq!(given, labels.map(Some));
    let found: BTreeMap<ImageId, Outcome> = sent
        .answers
        .iter()
        .map(|it| (it.image.unwrap(), Outcome::Task(it.task.clone())))
        .collect();
    assert_eq!(found, log);
    for answer in &sent.answers {
        let golden = answer.image == Some(case.image(2));
        assert_eq!(answer.known.as_deref(), golden.then_some("dog"));
    }
    // Labels are read from one field; there is nothing in another.
    let other = case
        .crowd()
        .assignments(&pool, "other", &["ACCEPTED"], None);
    let other = other.await.unwrap().items;
    assert!(other[0].answers.iter().all(|it| it.label.is_none()));
}

/// A worker who has seen every control task goes on without, and when every image has its answers
/// the control tasks keep nothing open.
pub async fn control_tasks_serve_the_images(case: &Case<'_, impl Workers>) {
    let pool = case.pool(true).await;
    case.add(&pool, 0, case.images(0..3)).await;
    case.add(&pool, 1, vec![case.control(3, "dog", None)]).await;
    case.open(&pool).await;
    for worker in [0, 1] {
        let pages = [
            case.take(&pool, worker).await,
            case.take(&pool, worker).await,
        ];
        assert_eq!(pages.each_ref().map(|page| page.tasks), [3, 1]);
        assert!(case.workers.take(&pool, worker).await.is_none());
        for page in &pages {
            case.send_in(page).await;
        }
    }
    eventually(complete(), async || case.openness(&pool).await).await;
}

/// A wrong answer in a training is explained, and corrected before the page is taken.
pub async fn a_training_shows_its_hint(case: &Case<'_, impl Workers>) {
    let shape = Shape {
        kind: Kind::Training,
        golden: false,
        project: &case.project().await,
        exam_skill: None,
    };
    let training = case.pool_of(&shape, "training").await;
    let tasks = vec![
        case.control(0, "cat", Some("It has whiskers.")),
        case.control(1, "cat", Some("It purrs.")),
    ];
    case.add(&training, 0, tasks).await;
    case.open(&training).await;
    for worker in 0..3 {
        let page = case.take(&training, worker).await;
        assert_eq!(page.tasks, 2);
        let hints = case.workers.submit(&page, &["dog", "dog"]).await;
        let hints: BTreeSet<&str> = hints.iter().map(String::as_str).collect();
        assert_eq!(hints, BTreeSet::from(["It has whiskers.", "It purrs."]));
        let hints = case.workers.submit(&page, &["cat", "dog"]).await;
        assert_eq!(hints.len(), 1);
        case.send_in(&page).await;
    }
    assert_eq!(case.openness(&training).await, (true, None));
    assert_eq!(case.spent(&training).await, Decimal::ZERO);
}

/// Each page is in the lists of its status, and who asks may go on from any of them.
pub async fn pages_are_listed_by_status_and_in_order(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(8).await;
    let mut held = Vec::new();
    for worker in [0, 1, 2, 3, 0, 1] {
        held.push(case.take(&pool, worker).await);
    }
    for page in [&held[4], &held[0], &held[1]] {
        case.send_in(page).await;
    }
    case.workers.skip(&held[2]).await;
    let ids =
        |pages: Vec<Assignment>| -> Vec<String> { pages.into_iter().map(|page| page.id).collect() };
    let named = |positions: &[usize]| -> Vec<String> {
        positions.iter().map(|at| held[*at].id.clone()).collect()
    };
    for (statuses, positions) in [
        (&["ACCEPTED"][..], &[0, 1, 4][..]),
        (&["SKIPPED"], &[2]),
        (&["ACTIVE"], &[3, 5]),
        (&["EXPIRED"], &[]),
        (&["ACCEPTED", "ACTIVE"], &[0, 1, 3, 4, 5]),
    ] {
        let listed = case.pages(&pool, statuses).await;
        let right = |page: &Assignment| statuses.contains(&page.status.as_str());
        assert!(listed.iter().all(right), "{listed:?}");
        assert_eq!(ids(listed), named(positions), "{statuses:?}");
    }
    let active = case.pages(&pool, &["ACTIVE"]).await;
    assert!(
        active
            .iter()
            .all(|page| page.submitted.is_none() && page.answers.is_empty())
    );
    let rest = case
        .crowd()
        .assignments(&pool, "label", &["ACCEPTED"], Some(&held[0].id));
    let rest = rest.await.unwrap();
    assert_eq!((ids(rest.items), rest.next), (named(&[1, 4]), None));
}

/// A page that is skipped or whose time is over is answered by somebody else.
pub async fn what_was_given_back_goes_to_others(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(2).await;
    let skipped = case.take(&pool, 0).await;
    let late = case.take(&pool, 1).await;
    // Both answers that are wanted are out.
    assert!(case.workers.take(&pool, 2).await.is_none());
    case.workers.skip(&skipped).await;
    assert!(case.workers.take(&pool, 0).await.is_none());
    case.workers.pass(PAGE_TIME);
    let expired = case.pages(&pool, &["EXPIRED"]).await;
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].id, late.id);
    assert_eq!(case.openness(&pool).await, (true, None));
    case.work(&pool, 2).await;
    case.work(&pool, 3).await;
    eventually(complete(), async || case.openness(&pool).await).await;
    assert_eq!(case.pages(&pool, &["ACCEPTED"]).await.len(), 2);
}

/// Only pages that are accepted cost anything.
pub async fn what_is_sent_in_is_paid(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(8).await;
    assert_eq!(case.spent(&pool).await, Decimal::ZERO);
    case.take(&pool, 0).await;
    let skipped = case.take(&pool, 1).await;
    case.workers.skip(&skipped).await;
    assert_eq!(case.spent(&pool).await, Decimal::ZERO);
    for cents in [5, 10, 15] {
        case.work(&pool, 2).await;
        assert_eq!(case.spent(&pool).await, Decimal::new(cents, 2));
    }
    let other = case.pool(false).await;
    assert_eq!(case.spent(&other).await, Decimal::ZERO);
}

/// Closing stops giving out; who has a page may still send it in, and is paid.
pub async fn a_page_in_hand_outlives_the_closing(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(2).await;
    let pages = [case.take(&pool, 0).await, case.take(&pool, 1).await];
    case.crowd().close_pool(&pool).await.unwrap();
    assert_eq!(case.pages(&pool, &["ACTIVE"]).await.len(), 2);
    case.send_in(&pages[0]).await;
    case.send_in(&pages[1]).await;
    assert_eq!(case.spent(&pool).await, Decimal::new(10, 2));
    // All is answered, but that is not why it closed.
    assert_eq!(case.openness(&pool).await, by_hand());
}

/// A ban is told of in every pool where it keeps somebody out, and in no other.
pub async fn bans_are_told_where_they_concern(case: &Case<'_, impl Workers>) {
    let projects = [case.project().await, case.project().await];
    let mut pools = Vec::new();
    for (number, project) in (0..).zip([&projects[0], &projects[0], &projects[1]]) {
        let shape = Shape {
            kind: Kind::Real,
            golden: false,
            project,
            exam_skill: None,
        };
        let pool = case.pool_of(&shape, &format!("pool {number}")).await;
        case.add(&pool, number, case.images(0..8)).await;
        case.open(&pool).await;
        pools.push((project, pool));
    }
    let scopes = [
        Scope::Pool(pools[0].1.clone()),
        Scope::Project(projects[0].clone()),
        Scope::AllProjects,
    ];
    let names = ["POOL", "PROJECT", "ALL_PROJECTS"];
    let mut ids = Vec::new();
    for (worker, scope) in scopes.iter().enumerate() {
        ids.push(case.workers.ban(worker, scope, "guesses").await);
    }
    for ((project, pool), banned) in pools.iter().zip([&[0, 1, 2][..], &[1, 2], &[2]]) {
        let told = case.crowd().bans(project, pool, None).await.unwrap();
        let told: BTreeSet<(String, String, String)> = told
            .items
            .into_iter()
            .map(|ban| (ban.worker, ban.scope, ban.reason))
            .filter(|(worker, ..)| ids.contains(worker))
            .collect();
        let expected = banned
            .iter()
            .map(|n| (ids[*n].clone(), names[*n].to_owned(), "guesses".to_owned()));
        assert_eq!(told, expected.collect());
        for worker in 0..4 {
            let page = case.workers.take(pool, worker).await;
            assert_eq!(page.is_none(), banned.contains(&worker), "{worker} {pool}");
        }
    }
}
