//! Images, their bytes, control images and aliases.

use std::collections::BTreeSet;

use futures_util::future::{join_all, join3};
use quorate_core::ids::{CampaignName, ImageId};
use quorate_core::ports::{Admission, Admitted, Ledger, Write};
use quorate_core::state::{Counts, Image, Kind, SealReason};
use rust_decimal::Decimal;

use super::{Case, at};
use crate::eventually;

/// An admission happens whole or not at all, and once.
pub async fn an_image_is_admitted_once(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    for claim_content in [true, false] {
        let first = if claim_content { 0 } else { 100 };
        let images =
            |range: std::ops::Range<u32>| case.images(first + range.start..first + range.end);
        let admit = async |range| {
            let admission = Admission {
                claim_content,
                ..case.admission(images(range))
            };
            ledger.admit(&admission).await.unwrap()
        };
        let before = case.counts(1).await.images;
        let done = Admitted::Done { images: before + 3 };
        assert_eq!(admit(0..3).await, done);
        // Its reply was lost: it looks again, and finds its images.
        assert_eq!(admit(0..3).await, Admitted::Known);
        // One that overlaps with it writes nothing at all.
        assert_eq!(admit(2..5).await, Admitted::Known);
        assert_eq!(case.counts(1).await.images, before + 3);
        assert_eq!(admit(3..5).await, Admitted::Done { images: before + 5 });
    }
    assert_eq!(case.committed().await, Decimal::from(4));
    // Those that claim no content are there with their admission.
    let unclaimed = case.images(100..101).remove(0);
    assert_eq!(ledger.image(unclaimed.id).await, Ok(Some(unclaimed)));
}

/// The items of images that claim their content come after the admission; if they did not, the
/// claim tells whose the content is.
pub async fn images_may_follow_their_admission(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let images = case.images(0..60);
    let admitted = ledger.admit(&case.admission(images.clone())).await;
    assert_eq!(admitted, Ok(Admitted::Done { images: 60 }));
    assert_eq!(ledger.image(images[0].id).await, Ok(None));
    // The writer died here. The event comes again.
    let hashes: Vec<String> = images.iter().map(|image| image.sha256.clone()).collect();
    let originals = ledger.originals(&case.campaign, &hashes).await.unwrap();
    assert_eq!(originals.len(), 60);
    for image in &images {
        assert_eq!(originals[&image.sha256], image.id);
    }
    for _ in 0..2 {
        assert_eq!(ledger.put_images(&images).await, Ok(()));
    }
    assert_eq!(ledger.put_images(&[]).await, Ok(()));
    for image in &images {
        assert_eq!(ledger.image(image.id).await, Ok(Some(image.clone())));
    }
    let ids: Vec<ImageId> = case.images(0..100).iter().map(|image| image.id).collect();
    let expected: BTreeSet<ImageId> = ids[..60].iter().copied().collect();
    eventually(Ok(expected), async || ledger.known_images(&ids).await).await;
    assert_eq!(ledger.known_images(&[]).await, Ok(BTreeSet::new()));
    let too_many: Vec<ImageId> = case.images(0..101).iter().map(|image| image.id).collect();
    assert!(ledger.known_images(&too_many).await.is_err());
    let twice = [ids[0], ids[0]];
    assert_eq!(
        ledger.known_images(&twice).await,
        Ok(BTreeSet::from([ids[0]]))
    );
    assert_eq!(case.counts(1).await.images, 60);
}

/// Later images of the same bytes are aliases of the first.
pub async fn the_same_bytes_have_one_original(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    ledger
        .admit(&case.admission(case.images(0..1)))
        .await
        .unwrap();
    let copy = case.image("copy.png", "bytes0");
    let again = case.admission(vec![copy.clone()]);
    assert_eq!(ledger.admit(&again).await, Ok(Admitted::Known));
    let hashes = ["bytes0", "bytes9", "bytes0"].map(str::to_owned);
    let originals = ledger.originals(&case.campaign, &hashes).await.unwrap();
    let original = case.images(0..1)[0].id;
    assert_eq!(originals, [("bytes0".to_owned(), original)].into());

    let alias = Image {
        same_as: Some(original),
        ..copy
    };
    let aliases = Admission {
        batch: None,
        aliases: vec![alias.clone()],
        at: at(5),
        ..case.admission(Vec::new())
    };
    let done = Admitted::Done { images: 2 };
    assert_eq!(ledger.admit(&aliases).await, Ok(done));
    assert_eq!(ledger.admit(&aliases).await, Ok(Admitted::Known));
    assert_eq!(ledger.image(alias.id).await, Ok(Some(alias.clone())));
    let page = ledger.round_aliases(&case.round(1), None).await.unwrap();
    assert_eq!((page.items, page.next), (vec![alias], None));
    let stored = ledger.round(&case.round(1)).await.unwrap().unwrap();
    assert_eq!(stored.last_upload, at(5));
    let expected = Counts {
        images: 2,
        aliases: 1,
        batches: 1,
        ..Counts::default()
    };
    assert_eq!(stored.counts, expected);

    // A campaign that does not dedupe neither claims nor minds claims.
    let unclaimed = Admission {
        claim_content: false,
        ..case.admission(vec![
            case.image("x.png", "bytes0"),
            case.image("y.png", "bytes0"),
        ])
    };
    let done = Admitted::Done { images: 4 };
    assert_eq!(ledger.admit(&unclaimed).await, Ok(done));
    // Another campaign has its own bytes.
    let other: CampaignName = format!("other.{}", case.campaign).parse().unwrap();
    assert!(ledger.originals(&other, &hashes).await.unwrap().is_empty());
}

/// What comes after the seal belongs to the next round.
pub async fn a_sealed_round_takes_no_uploads(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let first = case.admission(case.images(0..2));
    ledger.admit(&first).await.unwrap();
    ledger.seal_round(&id, SealReason::Age).await.unwrap();
    let late = case.admission(case.images(2..4));
    assert_eq!(ledger.admit(&late).await, Ok(Admitted::Sealed));
    assert_eq!(case.committed().await, Decimal::ONE);
    // What went in before the seal is not sent on to the next round.
    assert_eq!(ledger.admit(&first).await, Ok(Admitted::Known));
    ledger.open_round(&case.round(2), at(1)).await.unwrap();
    let next = Admission {
        round: case.round(2),
        ..late
    };
    let done = Admitted::Done { images: 2 };
    assert_eq!(ledger.admit(&next).await, Ok(done));
    assert_eq!(case.batches(2).await[0].round, Some(case.round(2)));
    assert_eq!(case.counts(1).await.images, 2);
    let nowhere = Admission {
        round: case.round(9),
        ..case.admission(case.images(5..6))
    };
    assert!(ledger.admit(&nowhere).await.is_err());
}

/// An event that is delivered many times at once is work once.
pub async fn of_many_admissions_of_an_image_one_counts(case: &Case<'_, impl Ledger>) {
    case.open().await;
    // Each has another image beside the one that all of them have.
    let admissions: Vec<Admission> = (1..9)
        .map(|n| case.admission([case.images(0..1), case.images(n..n + 1)].concat()))
        .collect();
    let admitted = join_all(admissions.iter().map(|it| case.ledger.admit(it))).await;
    let count = |wanted: &Admitted| admitted.iter().flatten().filter(|it| *it == wanted).count();
    assert_eq!(count(&Admitted::Done { images: 2 }), 1, "{admitted:?}");
    assert_eq!(count(&Admitted::Known), 7, "{admitted:?}");
    assert_eq!(case.counts(1).await.images, 2);
    assert_eq!(case.committed().await, Decimal::ONE);
    let hashes: Vec<String> = (0..9).map(|n| format!("bytes{n}")).collect();
    let claimed = case.ledger.originals(&case.campaign, &hashes).await;
    assert_eq!(claimed.unwrap().len(), 2, "the others wrote nothing");
}

/// Writers of one round do not lose each other's counts.
pub async fn admissions_at_once_all_count(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let admissions: Vec<Admission> = (0..10)
        .map(|n| case.admission(case.images(n * 5..n * 5 + 5)))
        .collect();
    let admitted = join_all(admissions.iter().map(|it| case.ledger.admit(it))).await;
    let done = |it: &Result<Admitted, _>| matches!(it, Ok(Admitted::Done { .. }));
    assert!(admitted.iter().all(done), "{admitted:?}");
    let counts = case.counts(1).await;
    assert_eq!((counts.images, counts.batches), (50, 10));
    assert_eq!(case.committed().await, Decimal::from(10));
    let reserved = case.ledger.round(&case.round(1)).await.unwrap().unwrap();
    assert_eq!(reserved.reserved, Decimal::from(10));
}

/// A picture in two folders of control images would tell its answer.
pub async fn control_images_have_different_bytes(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let ledger = case.ledger;
    let golden = case.control(Kind::Golden, "1.png", "a");
    assert_eq!(ledger.add_control(&golden).await, Ok(golden.clone()));
    assert_eq!(ledger.add_control(&golden).await, Ok(golden.clone()));
    assert_eq!(ledger.image(golden.id).await, Ok(Some(golden.clone())));
    let leak = case.control(Kind::Exam, "1.png", "a");
    assert_eq!(ledger.add_control(&leak).await, Ok(golden.clone()));
    assert_eq!(ledger.image(leak.id).await, Ok(None));
    let work = case.image("1.png", "z");
    assert!(ledger.add_control(&work).await.is_err());

    let earlier = case.control(Kind::Golden, "0.png", "b");
    ledger.add_control(&earlier).await.unwrap();
    let exam = case.control(Kind::Exam, "0.png", "c");
    ledger.add_control(&exam).await.unwrap();
    let controls = async |kind| ledger.controls(&case.campaign, kind).await;
    assert_eq!(controls(Kind::Golden).await, Ok(vec![earlier, golden]));
    assert_eq!(controls(Kind::Exam).await, Ok(vec![exam]));
    assert_eq!(controls(Kind::Training).await, Ok(Vec::new()));
    // They claim nothing: the same picture may also be work.
    let real = case.admission(vec![case.image("1.png", "a")]);
    let done = Admitted::Done { images: 1 };
    assert_eq!(ledger.admit(&real).await, Ok(done));

    let same: Vec<Image> = (0..8)
        .map(|n| case.control(Kind::Training, &format!("{n}.png"), "same"))
        .collect();
    let kept = join_all(same.iter().map(|image| ledger.add_control(image))).await;
    assert!(kept.iter().all(|image| *image == kept[0]), "{kept:?}");
    let stored = controls(Kind::Training).await.unwrap();
    assert_eq!(Ok(&stored[0]), kept[0].as_ref());
    assert_eq!(stored.len(), 1);
}

/// A round may have more aliases than a page.
pub async fn aliases_are_listed_whole_and_in_order(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let original = case.images(0..1).remove(0);
    ledger
        .admit(&case.admission(vec![original.clone()]))
        .await
        .unwrap();
    let alias = |image: Image| Image {
        same_as: Some(original.id),
        ..image
    };
    let aliases: Vec<Image> = case.images(1..1051).into_iter().map(alias).collect();
    for chunk in aliases.chunks(45) {
        let admission = Admission {
            batch: None,
            aliases: chunk.to_vec(),
            ..case.admission(Vec::new())
        };
        ledger.admit(&admission).await.unwrap();
    }
    let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = ledger.round_aliases(&id, after.as_deref()).await.unwrap();
        listed.extend(page.items);
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected = aliases;
    expected.sort_by_key(|image| image.id.to_string());
    assert_eq!(listed, expected);
    assert_eq!(pages, 2);
    let none = ledger.round_aliases(&case.round(2), None).await.unwrap();
    assert_eq!((none.items, none.next), (Vec::new(), None));
}

/// Uploads that come while the round is sealed are in it or are not, and the books say which.
pub async fn uploads_meet_the_seal(case: &Case<'_, impl Ledger>) {
    case.open().await;
    let (ledger, id) = (case.ledger, case.round(1));
    let mut admissions: Vec<Admission> = (0..9)
        .map(|n| case.admission(case.images(n..n + 1)))
        .collect();
    let late = admissions.pop().unwrap();
    let (early, others) = admissions.split_at(4);
    let admit = async |some: &[Admission]| join_all(some.iter().map(|it| ledger.admit(it))).await;
    let seal = ledger.seal_round(&id, SealReason::Age);
    let (early, sealed, others) = join3(admit(early), seal, admit(others)).await;
    assert_eq!(sealed, Ok(Write::Done));
    assert_eq!(ledger.admit(&late).await, Ok(Admitted::Sealed));
    let mut taken = 0;
    for (admission, admitted) in admissions.iter().zip(early.into_iter().chain(others)) {
        let is_taken = admitted != Ok(Admitted::Sealed);
        let again = match is_taken {
            true => Admitted::Known,
            false => Admitted::Sealed,
        };
        assert_eq!(ledger.admit(admission).await, Ok(again));
        let batch = admission.batch.as_ref().unwrap().id;
        let stored = ledger.batch(batch).await.unwrap();
        assert_eq!(stored.is_some(), is_taken);
        taken += u64::from(is_taken);
    }
    let counts = case.counts(1).await;
    assert_eq!((counts.images, counts.batches), (taken, taken));
    assert_eq!(case.committed().await, Decimal::from(taken));
}
