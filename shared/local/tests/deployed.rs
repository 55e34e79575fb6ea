//! `quorate` on a stack that was deployed on AWS: what it says, what it uploads, how it fails.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use quorate_aws::http::{self, ReqwestClient};
use quorate_aws::ledger::DynamoLedger;
use quorate_core::campaign;
use quorate_core::event::Event;
use quorate_core::ids::RoundId;
use quorate_core::ports::Ledger as _;
use quorate_core::state::CampaignItem;
use quorate_core::time::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tempfile::TempDir;

const REGION: &str = "eu-west-1";

/// `quorate` in `folder` with nothing of this machine's AWS settings.
fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .args(args)
        .env_remove("RUST_LOG")
        .env("HOME", folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The stdout of a command that must succeed.
fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", text(output.stderr));
    text(output.stdout)
}

/// The stderr of a command that must fail.
fn bad(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(output.stdout));
    text(output.stderr)
}

/// What the template of a stack says of the three outputs that `quorate` looks for.
fn template() -> String {
    let key = |name, kind| json!({"AttributeName": name, "KeyType": kind});
    let attribute = |name, kind| json!({"AttributeName": name, "AttributeType": kind});
    let reference = |name| json!({"Value": {"Ref": name}});
    json!({
        "Resources": {
            "UploadsBucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
            },
            "ResultsBucket": {"Type": "AWS::S3::Bucket"},
            "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    attribute("pk", "S"), attribute("sk", "S"), attribute("work", "S"), attribute("due", "N"),
                ],
                "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "work",
                    "KeySchema": [key("work", "HASH"), key("due", "RANGE")],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }],
            }},
        },
        "Outputs": {
            "UploadsBucket": reference("UploadsBucket"),
            "ResultsBucket": reference("ResultsBucket"),
            "Table": reference("Table"),
        },
    })
    .to_string()
}

/// An emulator's account of our own, with a stack `labels` in it, and a folder to work in.
struct Account {
    endpoint: String,
    /// The access key is the account's number there.
    id: String,
    config: SdkConfig,
    outputs: BTreeMap<String, String>,
    folder: TempDir,
}

impl Account {
    async fn new() -> Self {
        let endpoint = std::env::var("QUORATE_TEST_AWS")
            .expect("QUORATE_TEST_AWS: the address of an emulator");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let id = format!("{:012}", now.as_nanos() % 1_000_000_000_000);
        let credentials = Credentials::new(&id, "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(&endpoint)
            .http_client(ReqwestClient::shared(http::client().unwrap()))
            .region(Region::new(REGION))
            .build();
        let mut account = Self {
            endpoint,
            id,
            config,
            outputs: BTreeMap::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        account.outputs = account.deploy("labels", &template()).await;
        account
    }

    /// Makes a stack; its outputs, once it is there.
    async fn deploy(&self, name: &str, template: &str) -> BTreeMap<String, String> {
        let client = aws_sdk_cloudformation::Client::new(&self.config);
        let request = client
            .create_stack()
            .stack_name(name)
            .template_body(template);
        request.send().await.unwrap();
        for _ in 0..1000 {
            let found = client.describe_stacks().stack_name(name).send().await;
            let found = found.unwrap();
            let stack = &found.stacks()[0];
            match stack.stack_status().unwrap().as_str() {
                "CREATE_IN_PROGRESS" => tokio::task::yield_now().await,
                "CREATE_COMPLETE" => {
                    let pair = |output: &aws_sdk_cloudformation::types::Output| {
                        let text = |text: Option<&str>| text.unwrap().to_owned();
                        (text(output.output_key()), text(output.output_value()))
                    };
                    return stack.outputs().iter().map(pair).collect();
                }
                status => panic!("{name}: {status}"),
            }
        }
        panic!("{name} is not ready");
    }

    /// Runs `quorate` with this account's credentials.
    fn quorate(&self, args: &[&str]) -> Output {
        let mut command = command(self.folder.path(), args);
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", &self.id)
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_REGION", REGION);
        command.output().unwrap()
    }

    fn ledger(&self) -> DynamoLedger {
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        DynamoLedger::new(client, &self.outputs["Table"])
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// Writes a file into the folder.
    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Every version in the uploads bucket: its key and when it came, in that order.
    async fn uploads(&self) -> Vec<String> {
        let listed = self
            .s3()
            .list_object_versions()
            .bucket(&self.outputs["UploadsBucket"])
            .send()
            .await
            .unwrap();
        let mut versions: Vec<_> = listed
            .versions()
            .iter()
            .map(|version| {
                let key = version.key().unwrap().to_owned();
                (*version.last_modified().unwrap(), key)
            })
            .collect();
        versions.sort();
        versions.into_iter().map(|(_, key)| key).collect()
    }
}

fn round() -> RoundId {
    "cells/1".parse().unwrap()
}

/// A campaign of the template with an open round, in a ledger.
async fn begin(ledger: &DynamoLedger) {
    let item = CampaignItem {
        name: "cells".parse().unwrap(),
        campaign: campaign::of_files([Some(campaign::TEMPLATE), None, None, None], Decimal::ZERO)
            .unwrap(),
        revision: 1,
        setups: BTreeMap::new(),
        lease: None,
        swept: None,
        round: 0,
        committed: Decimal::ZERO,
    };
    ledger.save_campaign(&item).await.unwrap();
    ledger.open_round(&round(), Timestamp(0)).await.unwrap();
}

fn problem(number: u32) -> Event {
    let event = json!({
        "id": format!("0f1c6f3e-5a0d-5c3b-9b1e-7a54{number:08}"),
        "time": format!("2026-01-01T00:00:{number:02}.000Z"),
        "detail-type": "Problem",
        "detail": {"kind": "upload_rejected", "campaign": "cells", "message": format!("problem {number}")},
    });
    serde_json::from_value(event).unwrap()
}

#[tokio::test]
#[ignore = "needs an emulator: ./test starts one"]
async fn status_tells_of_a_stack_as_of_one_on_this_machine() {
    let account = Account::new().await;
    let said = good(account.quorate(&["status", "--stack", "labels"]));
    assert!(said.starts_with("no campaign yet"), "{said}");

    let ledger = account.ledger();
    begin(&ledger).await;
    ledger.reserve(&round(), Decimal::TWO, None).await.unwrap();
    for number in 1..=3 {
        let forever = Timestamp(4_000_000_000_000);
        let told = ledger.remember_told(&problem(number), forever).await;
        told.unwrap();
    }
    let said = good(account.quorate(&["status", "--stack", "labels", "--problems", "2"]));
    assert_eq!(
        said,
        "cells: Cat or dog?\n  \
         budget $25.00, $2.00 spent or reserved, $23.00 left\n  \
         round  state  images  tasks  batches  reserved  spent  results\n  \
         1      OPEN   0       0      0/0      $2.00\n\n\
         last problems\n  \
         2026-01-01T00:00:02.000Z cells: problem 2\n  \
         2026-01-01T00:00:03.000Z cells: problem 3\n"
    );
    let said = good(account.quorate(&["status", "--stack", "labels", "--json"]));
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status["campaigns"][0]["rounds"][0]["state"], json!("OPEN"));
    assert_eq!(status["problems"][0]["message"], json!("problem 1"));

    let said = good(account.quorate(&["campaign", "seal", "cells", "--stack", "labels"]));
    assert!(said.starts_with("round cells/1 is sealed"), "{said}");
    let sealed = ledger.round(&round()).await.unwrap().unwrap();
    assert_eq!(sealed.state.as_str(), "SEALED");
}

#[tokio::test]
#[ignore = "needs an emulator: ./test starts one"]
async fn apply_uploads_what_is_new_in_order_and_nothing_twice() {
    let account = Account::new().await;
    good(account.quorate(&["campaign", "new", "cells"]));
    for number in 0..40 {
        let name = format!("cells/images/a b+{number}%.png");
        account.write(&name, format!("image {number}").as_bytes());
    }
    account.write("cells/golden/cat/g.png", b"golden");
    account.write("cells/training/dog/t.png", b"training");
    account.write("cells/.notes", b"not for the bucket");
    let apply = || good(account.quorate(&["campaign", "apply", "cells", "--stack", "labels"]));
    let bucket = &account.outputs["UploadsBucket"];
    assert_eq!(
        apply(),
        format!("cells: 43 files copied to s3://{bucket}/cells, 0 there already\n")
    );
    let uploads = account.uploads().await;
    assert_eq!(uploads.len(), 43);
    assert_eq!(uploads[0], "cells/campaign.toml");
    assert_eq!(uploads[1], "cells/training/dog/t.png");
    assert_eq!(uploads[2], "cells/golden/cat/g.png");
    assert!(uploads.contains(&"cells/images/a b+7%.png".to_owned()));

    let said = apply();
    assert!(said.starts_with("cells: 0 files copied"), "{said}");
    assert!(said.ends_with(" 43 there already\n"), "{said}");
    assert_eq!(account.uploads().await.len(), 43, "no version was added");

    // Other bytes of the same size.
    account.write("cells/images/a b+7%.png", b"IMAGE 7");
    assert!(apply().contains("1 file copied"));
    assert_eq!(account.uploads().await.len(), 44);
    assert!(apply().contains("0 files copied"));
}

#[tokio::test]
#[ignore = "needs an emulator: ./test starts one"]
async fn apply_knows_what_came_in_parts_by_its_bytes() {
    let account = Account::new().await;
    good(account.quorate(&["campaign", "new", "cells"]));
    account.write("cells/images/1.png", b"large");
    let (s3, bucket) = (account.s3(), &account.outputs["UploadsBucket"]);
    let key = "cells/images/1.png";
    let begun = s3.create_multipart_upload().bucket(bucket).key(key);
    let begun = begun.send().await.unwrap();
    let id = begun.upload_id().unwrap();
    let part = s3
        .upload_part()
        .bucket(bucket)
        .key(key)
        .upload_id(id)
        .part_number(1)
        .body(ByteStream::from_static(b"large"))
        .send()
        .await
        .unwrap();
    let part = CompletedPart::builder()
        .part_number(1)
        .e_tag(part.e_tag().unwrap())
        .build();
    s3.complete_multipart_upload()
        .bucket(bucket)
        .key(key)
        .upload_id(id)
        .multipart_upload(CompletedMultipartUpload::builder().parts(part).build())
        .send()
        .await
        .unwrap();
    let said = good(account.quorate(&["campaign", "apply", "cells", "--stack", "labels"]));
    assert!(said.contains("1 file copied"), "{said}");
    assert!(said.ends_with(" 1 there already\n"), "{said}");
}

#[tokio::test]
#[ignore = "needs an emulator: ./test starts one"]
async fn a_stack_that_is_not_there_or_not_ours_is_told_of() {
    let account = Account::new().await;
    let error = bad(account.quorate(&["status", "--stack", "lables"]));
    assert!(
        error.starts_with(
            "error: cannot find the stack lables in eu-west-1\n  because: ValidationError:"
        ) && error.contains("--profile"),
        "{error}"
    );
    let bucket = json!({"Resources": {"Mine": {"Type": "AWS::S3::Bucket"}}});
    account.deploy("website", &bucket.to_string()).await;
    let error = bad(account.quorate(&["status", "--stack", "website"]));
    assert!(
        error.starts_with("error: website is not a stack of Quorate's: it has no output Table"),
        "{error}"
    );
}

#[test]
fn without_credentials_or_region_it_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let status = ["status", "--stack", "labels"];
    let error = bad(command(folder.path(), &status).output().unwrap());
    assert!(error.starts_with("error: no AWS region is set"), "{error}");

    let placed = [&status[..], &["--region", REGION]].concat();
    let error = bad(command(folder.path(), &placed).output().unwrap());
    assert!(
        error.contains("--profile") && error.contains("aws sso login"),
        "{error}"
    );
    let unknown = [&placed[..], &["--profile", "nobody"]].concat();
    let error = bad(command(folder.path(), &unknown).output().unwrap());
    assert!(
        error.starts_with("error: the AWS profile nobody gives no credentials"),
        "{error}"
    );
}

/// The stderr of `quorate status` when AWS refuses with `code` and says whose key it was.
async fn refused(code: &'static str, options: &[&str]) -> String {
    let refuse = async move |headers: HeaderMap| {
        let signed = headers["authorization"].to_str().unwrap();
        let (_, key) = signed.split_once("Credential=").unwrap();
        let (key, _) = key.split_once('/').unwrap();
        let body = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>\
             <Message>You are {key}</Message></Error></ErrorResponse>"
        );
        (StatusCode::FORBIDDEN, body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(refuse);
    drop(tokio::spawn(async { axum::serve(listener, router).await }));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".aws")).unwrap();
    let profile = "[labels]\naws_access_key_id = THEPROFILE\naws_secret_access_key = secret\n";
    fs::write(folder.path().join(".aws/credentials"), profile).unwrap();
    let args = [
        &["status", "--stack", "labels", "--region", REGION],
        options,
    ]
    .concat();
    let mut command = command(folder.path(), &args);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", "THEENVIRONMENT")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    bad(run.await.unwrap())
}

#[tokio::test]
async fn a_refusal_comes_with_what_to_do() {
    let error = refused("AccessDenied", &[]).await;
    assert_eq!(
        error,
        "error: cannot find the stack labels in eu-west-1\n  because: AccessDenied: You are THEENVIRONMENT\n    \
         the AWS profile must be allowed cloudformation:DescribeStacks\n"
    );
    let error = refused("ExpiredToken", &[]).await;
    assert!(
        error.contains("ExpiredToken: You are THEENVIRONMENT\n    sign in again"),
        "{error}"
    );
}

#[tokio::test]
async fn a_profile_that_is_named_goes_before_the_environment() {
    let error = refused("AccessDenied", &["--profile", "labels"]).await;
    assert!(error.contains("You are THEPROFILE"), "{error}");
}

#[test]
fn one_stack_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["status", "--stack", "labels", "--data", "here"][..],
        &["status", "--profile", "me"],
        &[
            "campaign", "apply", "cells", "--stack", "labels", "--to", "there",
        ],
        &[
            "campaign", "seal", "cells", "--stack", "labels", "--data", "here",
        ],
    ] {
        let output = command(folder.path(), args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
}
