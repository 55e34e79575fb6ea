//! Tasks: asked for under operation ids, made once, listed.

use super::*;

/// The whole point of an operation id: however often a request comes, its tasks are made once.
pub async fn an_operation_makes_its_tasks_once(case: &Case<'_, impl Workers>) {
    let pool = case.pool(false).await;
    let tasks = case.images(0..5);
    assert_eq!(case.submit(&pool, 0, &tasks).await, Submitted::Accepted);
    assert_eq!(case.submit(&pool, 0, &tasks).await, Submitted::Existed);
    let log = case.log(0).await;
    assert_eq!(case.submit(&pool, 0, &tasks).await, Submitted::Existed);
    assert_eq!(case.log(0).await, log);
    let made: BTreeMap<ImageId, Outcome> = case
        .tasks(&pool)
        .await
        .into_iter()
        .map(|(image, task)| (image, Outcome::Task(task)))
        .collect();
    assert_eq!(made, log);
    assert_eq!(made.len(), 5);
    assert_eq!(case.tasks(&pool).await.len(), 5);
}

/// An operation that never came is not known; the same images under another id are other tasks.
pub async fn operations_are_told_apart(case: &Case<'_, impl Workers>) {
    let pool = case.pool(false).await;
    assert_eq!(case.status(0).await, OperationStatus::Unknown);
    let log = case
        .crowd()
        .operation_log(case.operation(0))
        .await
        .unwrap_or_default();
    assert_eq!(log, BTreeMap::new());
    let first = case.add(&pool, 0, case.images(0..2)).await;
    assert_eq!(case.status(1).await, OperationStatus::Unknown);
    let second = case.add(&pool, 1, case.images(0..2)).await;
    assert_ne!(first, second);
    assert_eq!(case.log(0).await, first);
    assert_eq!(case.tasks(&pool).await.len(), 4);
}

/// The log says of each image what became of it.
pub async fn a_task_that_cannot_be_made_keeps_no_other_from_it(case: &Case<'_, impl Workers>) {
    let pool = case.pool(false).await;
    let mut tasks = case.images(0..3);
    tasks[1].input.clear();
    let log = case.add(&pool, 0, tasks).await;
    assert_eq!(log.len(), 3);
    let made = |number| match &log[&case.image(number)] {
        Outcome::Task(task) => Some((case.image(number), task.clone())),
        Outcome::Refused(_) => None,
    };
    assert_eq!(made(1), None);
    let expected: Vec<_> = [made(0).unwrap(), made(2).unwrap()].into();
    let mut listed = case.tasks(&pool).await;
    listed.sort_unstable();
    let mut expected = expected;
    expected.sort_unstable();
    assert_eq!(listed, expected);
    case.open(&pool).await;
    assert_eq!(case.take(&pool, 0).await.tasks, 2);
}

/// A pool may have more tasks than a page of a listing, and who asks may go on from any of them.
pub async fn tasks_are_listed_whole_and_in_order(case: &Case<'_, impl Workers>) {
    let pool = case.pool(false).await;
    let mut expected = BTreeMap::new();
    for part in 0..3 {
        let tasks = case.images(part * 350..(part + 1) * 350);
        expected.extend(case.add(&pool, part, tasks).await);
    }
    let other = case.pool(false).await;
    case.add(&other, 3, case.images(0..2)).await;
    let listed = case.tasks(&pool).await;
    assert!(listed.is_sorted_by(|(_, a), (_, b)| a < b));
    let found: BTreeMap<ImageId, Outcome> = listed
        .iter()
        .map(|(image, task)| (*image, Outcome::Task(task.clone())))
        .collect();
    assert_eq!((listed.len(), found), (1050, expected));
    let rest = case.crowd().tasks(&pool, Some(&listed[1039].1)).await;
    let rest = rest.unwrap();
    assert_eq!((rest.items.as_slice(), rest.next), (&listed[1040..], None));
}
