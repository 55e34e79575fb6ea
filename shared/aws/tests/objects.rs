//! A bucket of S3 does what the port says.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod emulator;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Delete, ObjectIdentifier, VersioningConfiguration,
};
use quorate_aws::objects::{Bucket, Presentation};
use quorate_core::ports::Objects as _;
use uuid::Uuid;

/// Runs a check in a bucket of its own that keeps versions.
fn run(check: impl AsyncFnOnce(&Bucket)) {
    emulator::block_on(async {
        let s3 = emulator::connection().s3();
        let bucket = create(&s3, true).await;
        check(&bucket).await;
        delete(&s3, bucket.bucket()).await;
    });
}

quorate_testkit::objects_checks!(
    #[ignore = "needs an emulator: ./test starts one"]
    run
);

async fn create(s3: &Client, versions: bool) -> Bucket {
    let name = format!("quorate-test-{}", Uuid::new_v4());
    s3.create_bucket().bucket(&name).send().await.unwrap();
    if versions {
        let enabled = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Enabled)
            .build();
        let put = s3.put_bucket_versioning().bucket(&name);
        put.versioning_configuration(enabled).send().await.unwrap();
    }
    Bucket::new(s3.clone(), name)
}

/// Deletes a bucket with all its versions.
async fn delete(s3: &Client, bucket: &str) {
    loop {
        let found = s3.list_object_versions().bucket(bucket).send().await;
        let found = found.unwrap();
        let versions = found
            .versions()
            .iter()
            .map(|it| (it.key(), it.version_id()));
        let markers = found.delete_markers().iter();
        let markers = markers.map(|it| (it.key(), it.version_id()));
        let objects: Vec<ObjectIdentifier> = versions
            .chain(markers)
            .map(|(key, version)| {
                let object = ObjectIdentifier::builder().key(key.unwrap());
                object
                    .set_version_id(version.map(str::to_owned))
                    .build()
                    .unwrap()
            })
            .collect();
        if objects.is_empty() {
            break;
        }
        let all = Delete::builder()
            .set_objects(Some(objects))
            .build()
            .unwrap();
        s3.delete_objects()
            .bucket(bucket)
            .delete(all)
            .send()
            .await
            .unwrap();
    }
    s3.delete_bucket().bucket(bucket).send().await.unwrap();
}

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_deleted_object_is_gone_but_its_versions_stay_readable() {
    run(async |bucket: &Bucket| {
        let s3 = emulator::connection().s3();
        bucket.put("a.jpg", b"one").await.unwrap();
        let version = bucket.head("a.jpg").await.unwrap().unwrap().version;
        let deleted = s3.delete_object().bucket(bucket.bucket()).key("a.jpg");
        let marker = deleted.send().await.unwrap().version_id.unwrap();
        assert_eq!(bucket.head("a.jpg").await, Ok(None));
        assert_eq!(bucket.list("", None).await.unwrap().items, []);
        assert_eq!(
            bucket.get("a.jpg", &version, 9).await,
            Ok(Some(b"one".to_vec()))
        );
        assert_eq!(bucket.get("a.jpg", &marker, 9).await, Ok(None));
        let gone = s3.delete_object().bucket(bucket.bucket()).key("a.jpg");
        gone.version_id(&version).send().await.unwrap();
        assert_eq!(bucket.get("a.jpg", &version, 9).await, Ok(None));
    });
}

/// The version is then the etag: what was read is what was seen, or nothing.
#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_bucket_without_versions_never_gives_other_bytes() {
    emulator::block_on(async {
        let s3 = emulator::connection().s3();
        let bucket = create(&s3, false).await;
        bucket.put("a.jpg", b"one").await.unwrap();
        let head = bucket.head("a.jpg").await.unwrap().unwrap();
        assert_eq!(
            bucket.list("", None).await.unwrap().items,
            std::slice::from_ref(&head)
        );
        let got = bucket.get("a.jpg", &head.version, 9).await;
        assert_eq!(got, Ok(Some(b"one".to_vec())));
        bucket.put("a.jpg", b"two").await.unwrap();
        assert_eq!(bucket.get("a.jpg", &head.version, 9).await, Ok(None));
        delete(&s3, bucket.bucket()).await;
    });
}

const PRESENTATION: Presentation<'_> = Presentation {
    content_type: "image/png",
    disposition: "inline",
    cache_control: "private, max-age=60",
};

/// What anybody gets who has nothing but the address of an object.
async fn open(bucket: &Bucket, key: &str, version: &str) -> reqwest::Response {
    let minute = Duration::from_secs(60);
    let signed = bucket.presign(key, version, PRESENTATION, minute).await;
    let anybody = quorate_toloka::http_builder().build().unwrap();
    anybody.get(signed.unwrap()).send().await.unwrap()
}

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_presigned_address_shows_its_version() {
    run(async |bucket: &Bucket| {
        bucket.put("a b+ü.jpg", b"one").await.unwrap();
        let version = bucket.head("a b+ü.jpg").await.unwrap().unwrap().version;
        bucket.put("a b+ü.jpg", b"two").await.unwrap();
        let answer = open(bucket, "a b+ü.jpg", &version).await;
        assert_eq!(answer.bytes().await.unwrap(), "one");
    });
}

/// In a bucket without versions: the emulator forgets the headers where a version is asked for.
#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_presigned_address_shows_an_object_as_we_say() {
    emulator::block_on(async {
        let s3 = emulator::connection().s3();
        let bucket = create(&s3, false).await;
        bucket.put("a.html", b"<script>").await.unwrap();
        let version = bucket.head("a.html").await.unwrap().unwrap().version;
        let answer = open(&bucket, "a.html", &version).await;
        assert_eq!(answer.headers()["content-type"], PRESENTATION.content_type);
        let disposition = &answer.headers()["content-disposition"];
        assert_eq!(disposition, PRESENTATION.disposition);
        let cache_control = &answer.headers()["cache-control"];
        assert_eq!(cache_control, PRESENTATION.cache_control);
        delete(&s3, bucket.bucket()).await;
    });
}

#[test]
#[ignore = "needs an emulator: ./test starts one"]
fn a_bucket_that_does_not_exist_is_named() {
    emulator::block_on(async {
        let name = format!("quorate-test-{}", Uuid::new_v4());
        let bucket = Bucket::new(emulator::connection().s3(), &name);
        for error in [
            bucket.check().await.unwrap_err(),
            bucket.put("a", b"x").await.unwrap_err(),
            bucket.list("", None).await.unwrap_err(),
        ] {
            assert!(
                matches!(error, quorate_core::PortError::Refused(_)),
                "{error:?}"
            );
            assert!(error.to_string().contains(&name), "{error}");
        }
    });
}
