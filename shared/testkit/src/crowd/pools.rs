//! Projects, skills and pools: made, found, opened and closed.

use super::*;

/// Whatever is made under a marker is what is found under it, and nothing else is.
pub async fn what_is_made_is_found_by_its_marker(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let marker = case.marker("project");
    assert_eq!(crowd.find_project(&marker).await, Ok(None));
    let project = case.project().await;
    let found = async || crowd.find_project(&marker).await.unwrap();
    eventually(Some(project.clone()), found).await;
    let other = crowd.find_project(&case.marker("proj")).await;
    assert_eq!(other, Ok(None));

    let name = case.marker("skill");
    assert_eq!(crowd.find_skill(&name).await, Ok(None));
    let skill = crowd.create_skill(&name).await.unwrap();
    let found = async || crowd.find_skill(&name).await.unwrap();
    eventually(Some(skill.clone()), found).await;
    assert_eq!(crowd.find_skill(&case.marker("ski")).await, Ok(None));

    let elsewhere = case.project().await;
    for kind in [Kind::Real, Kind::Exam, Kind::Training] {
        let marker = case.marker(kind.as_str());
        let find = async |project: &str, kind| crowd.find_pool(project, kind, &marker).await;
        assert_eq!(find(&project, kind).await, Ok(None));
        let shape = Shape {
            kind,
            golden: false,
            project: &project,
            exam_skill: (kind == Kind::Exam).then_some(&skill),
        };
        let pool = case.pool_of(&shape, kind.as_str()).await;
        eventually(Ok(Some(pool)), async || find(&project, kind).await).await;
        assert_eq!(find(&elsewhere, kind).await, Ok(None));
        // A training is no pool, and a pool is no training.
        let other = match kind {
            Kind::Training => Kind::Real,
            _ => Kind::Training,
        };
        assert_eq!(find(&project, other).await, Ok(None));
    }
}

/// A marker is no idempotency key: who creates twice has two.
pub async fn nothing_is_made_only_once_for_its_marker(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let projects = [case.project().await, case.project().await];
    assert_ne!(projects[0], projects[1]);
    let marker = case.marker("project");
    let found = async || crowd.find_project(&marker).await.unwrap();
    eventually(true, async || found().await.is_some()).await;
    assert!(projects.contains(&found().await.unwrap()));
    let shape = Shape {
        kind: Kind::Real,
        golden: false,
        project: &projects[0],
        exam_skill: None,
    };
    let pools = [
        case.pool_of(&shape, "pool").await,
        case.pool_of(&shape, "pool").await,
    ];
    assert_ne!(pools[0], pools[1]);
    let marker = case.marker("pool");
    let find = async || crowd.find_pool(&projects[0], Kind::Real, &marker).await;
    eventually(true, async || find().await.unwrap().is_some()).await;
    assert!(pools.contains(&find().await.unwrap().unwrap()));
}

/// A new pool gives nothing out, and an empty one does not open.
pub async fn a_pool_is_closed_until_it_is_opened_with_tasks(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let pool = case.pool(false).await;
    let closed = PoolStatus {
        open: false,
        close_reason: None,
        last_stopped: None,
        least_images: 1,
    };
    assert_eq!(case.pool_status(&pool).await, closed);
    assert_eq!(crowd.open_pool(&pool).await, Ok(PoolOpened::Empty));
    case.add(&pool, 0, case.images(0..3)).await;
    assert_eq!(case.pool_status(&pool).await, closed);
    assert!(case.workers.take(&pool, 0).await.is_none());
    case.open(&pool).await;
    eventually((true, None), async || case.openness(&pool).await).await;
    case.take(&pool, 0).await;
    // It is open already.
    case.open(&pool).await;
    assert_eq!(case.openness(&pool).await, (true, None));
}

/// Closing is recorded with its reason and its time, and closing what is closed changes nothing.
pub async fn a_pool_that_is_closed_by_hand_says_so_and_opens_again(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let pool = case.open_pool(3).await;
    crowd.close_pool(&pool).await.unwrap();
    eventually(by_hand(), async || case.openness(&pool).await).await;
    assert!(case.workers.take(&pool, 0).await.is_none());
    let first = case.pool_status(&pool).await.last_stopped.unwrap();
    case.workers.pass(Duration::from_secs(60));
    crowd.close_pool(&pool).await.unwrap();
    assert_eq!(
        case.pool_status(&pool).await.last_stopped.as_ref(),
        Some(&first)
    );
    case.open(&pool).await;
    eventually(true, async || case.pool_status(&pool).await.open).await;
    case.take(&pool, 0).await;
    crowd.close_pool(&pool).await.unwrap();
    eventually(by_hand(), async || case.openness(&pool).await).await;
    let second = case.pool_status(&pool).await.last_stopped.unwrap();
    assert!(first < second, "{first} {second}");
}

/// Who closes a pool for an update and dies leaves it open in the end; who closes it by hand closes
/// it for good.
pub async fn a_pool_closed_for_an_update_opens_by_itself(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let pool = case.open_pool(3).await;
    let update = (false, Some("FOR_UPDATE".to_owned()));
    crowd.close_for_update(&pool).await.unwrap();
    eventually(update.clone(), async || case.openness(&pool).await).await;
    assert!(case.workers.take(&pool, 0).await.is_none());
    case.workers.pass(UPDATE_TIME - Duration::from_secs(1));
    assert_eq!(case.openness(&pool).await, update);
    case.workers.pass(Duration::from_secs(1));
    eventually(true, async || case.pool_status(&pool).await.open).await;
    case.take(&pool, 0).await;

    crowd.close_for_update(&pool).await.unwrap();
    crowd.close_pool(&pool).await.unwrap();
    case.workers.pass(UPDATE_TIME * 2);
    assert!(!case.pool_status(&pool).await.open);
    // An update of a pool that is closed leaves it closed.
    crowd.close_for_update(&pool).await.unwrap();
    case.workers.pass(UPDATE_TIME * 2);
    assert!(!case.pool_status(&pool).await.open);
}

/// It is put away only when nobody can be paid in it any more, and then for good; its pages stay
/// readable.
pub async fn an_archived_pool_stays_closed(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let pool = case.open_pool(3).await;
    let open = crowd.archive_pool(&pool).await;
    assert!(matches!(open, Err(PortError::Unavailable(_))), "{open:?}");
    let page = case.take(&pool, 0).await;
    crowd.close_pool(&pool).await.unwrap();
    let in_hand = crowd.archive_pool(&pool).await;
    assert!(
        matches!(in_hand, Err(PortError::Unavailable(_))),
        "{in_hand:?}"
    );
    case.send_in(&page).await;
    crowd.archive_pool(&pool).await.unwrap();
    crowd.archive_pool(&pool).await.unwrap();
    assert_eq!(crowd.open_pool(&pool).await, Ok(PoolOpened::Archived));
    assert!(!case.pool_status(&pool).await.open);
    assert_eq!(case.pages(&pool, &["ACCEPTED"]).await.len(), 1);
}

/// The setting changes only while the pool is closed; then it holds for all pages, the last too.
pub async fn the_least_images_on_a_page_are_kept_to(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let pool = case.open_pool(3).await;
    // Somebody opened it in between: try again.
    let open = crowd.set_least_images(&pool, 2).await;
    assert!(matches!(open, Err(PortError::Unavailable(_))), "{open:?}");
    crowd.close_for_update(&pool).await.unwrap();
    crowd.set_least_images(&pool, 2).await.unwrap();
    crowd.set_least_images(&pool, 2).await.unwrap();
    assert_eq!(case.pool_status(&pool).await.least_images, 2);
    case.open(&pool).await;
    assert_eq!(case.take(&pool, 0).await.tasks, 2);
    assert!(case.workers.take(&pool, 0).await.is_none());
    crowd.close_for_update(&pool).await.unwrap();
    crowd.set_least_images(&pool, 1).await.unwrap();
    case.open(&pool).await;
    assert_eq!(case.pool_status(&pool).await.least_images, 1);
    assert_eq!(case.take(&pool, 0).await.tasks, 1);
}

/// What a page costs is known, how many there can be only if each is full.
pub async fn a_campaign_with_a_budget_begins_with_full_pages(case: &Case<'_, impl Workers>) {
    let case = case.with(|campaign| campaign.budget = Some(Decimal::TEN));
    let pool = case.open_pool(3).await;
    assert_eq!(case.pool_status(&pool).await.least_images, 2);
    assert_eq!(case.take(&pool, 0).await.tasks, 2);
    assert!(case.workers.take(&pool, 0).await.is_none());
}

/// Every image has its answers and no page is in hand: only then it is over, and it says since
/// when. Opened with nothing new in it, it is over at once.
pub async fn a_pool_is_complete_when_its_work_is_done(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(2).await;
    case.work(&pool, 0).await;
    assert_eq!(case.openness(&pool).await, (true, None));
    let last = case.take(&pool, 1).await;
    case.workers.pass(Duration::from_secs(60));
    assert_eq!(case.openness(&pool).await, (true, None));
    case.send_in(&last).await;
    eventually(complete(), async || case.openness(&pool).await).await;
    let first = case.pool_status(&pool).await.last_stopped.unwrap();
    assert!(case.workers.take(&pool, 2).await.is_none());

    case.workers.pass(Duration::from_secs(60));
    let again = case.pool_status(&pool).await.last_stopped.unwrap();
    assert_eq!(again, first);
    case.open(&pool).await;
    eventually(complete(), async || case.openness(&pool).await).await;
    let second = case.pool_status(&pool).await.last_stopped.unwrap();
    assert!(first < second, "{first} {second}");
}

/// A pool that is over stays so until it is opened; then its new tasks are worked on.
pub async fn new_tasks_leave_a_closed_pool_closed(case: &Case<'_, impl Workers>) {
    let pool = case.open_pool(1).await;
    case.work(&pool, 0).await;
    case.work(&pool, 1).await;
    eventually(complete(), async || case.openness(&pool).await).await;
    case.add(&pool, 1, case.images(1..2)).await;
    assert_eq!(case.openness(&pool).await, complete());
    assert!(case.workers.take(&pool, 2).await.is_none());
    case.open(&pool).await;
    eventually(true, async || case.pool_status(&pool).await.open).await;
    case.work(&pool, 0).await;
    // Into an open pool they go as well.
    case.add(&pool, 2, case.images(2..3)).await;
    case.work(&pool, 1).await;
    assert!(case.pool_status(&pool).await.open);
    case.work(&pool, 0).await;
    eventually(complete(), async || case.openness(&pool).await).await;
    let images = async |page: &Assignment| page.answers.len();
    let mut answers = 0;
    for page in case.pages(&pool, &["ACCEPTED"]).await {
        answers += images(&page).await;
    }
    assert_eq!(answers, 6);
}

/// An exam is open until somebody closes it.
pub async fn control_tasks_alone_are_never_complete(case: &Case<'_, impl Workers>) {
    let skill = case
        .crowd()
        .create_skill(&case.marker("skill"))
        .await
        .unwrap();
    let shape = Shape {
        kind: Kind::Exam,
        golden: false,
        project: &case.project().await,
        exam_skill: Some(&skill),
    };
    let exam = case.pool_of(&shape, "exam").await;
    let tasks = (0..2).map(|n| case.control(n, "cat", None)).collect();
    case.add(&exam, 0, tasks).await;
    case.open(&exam).await;
    for worker in 0..5 {
        case.work(&exam, worker).await;
        // Nobody takes it twice.
        assert!(case.workers.take(&exam, worker).await.is_none());
    }
    assert_eq!(case.openness(&exam).await, (true, None));
    assert_eq!(case.spent(&exam).await, Decimal::ZERO);
}

/// The missing answers on full pages must be affordable.
pub async fn a_pool_opens_only_if_the_account_covers_it(case: &Case<'_, impl Workers>) {
    let crowd = case.crowd();
    let case = case.paying(BALANCE / Decimal::TWO);
    let pool = case.pool(false).await;
    case.add(&pool, 0, case.images(0..3)).await;
    // Six answers, two on a page.
    assert_eq!(
        crowd.open_pool(&pool).await,
        Ok(PoolOpened::NotEnoughBalance)
    );
    assert_eq!(case.openness(&pool).await, (false, None));
    let covered = case.pool(false).await;
    case.add(&covered, 1, case.images(0..2)).await;
    case.open(&covered).await;
    // What a page in hand will cost is not there any more.
    case.take(&covered, 0).await;
    let other = case.pool(false).await;
    case.add(&other, 2, case.images(0..2)).await;
    assert_eq!(
        crowd.open_pool(&other).await,
        Ok(PoolOpened::NotEnoughBalance)
    );
}

/// Two pools that the account covers one at a time: whoever asks last gets nothing.
pub async fn a_pool_closes_when_the_account_is_empty(case: &Case<'_, impl Workers>) {
    let case = case.paying(BALANCE / Decimal::TWO);
    let pools = [case.open_pool(2).await, {
        let pool = case.pool(false).await;
        case.add(&pool, 1, case.images(0..2)).await;
        case.open(&pool).await;
        pool
    }];
    case.work(&pools[0], 0).await;
    let held = case.take(&pools[1], 0).await;
    assert!(case.workers.take(&pools[1], 1).await.is_none());
    let empty = (false, Some("NOT_ENOUGH_BALANCE".to_owned()));
    eventually(empty, async || case.openness(&pools[1]).await).await;
    case.send_in(&held).await;
    assert_eq!(case.spent(&pools[1]).await, BALANCE / Decimal::TWO);
}
