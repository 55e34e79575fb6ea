//! The `quorate` command as its users meet it: what it prints, what it writes, how it ends.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is a failure")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use quorate_core::campaign;
use quorate_core::ids::RoundId;
use quorate_core::ports::Ledger as _;
use quorate_core::state::CampaignItem;
use quorate_core::time::Timestamp;
use quorate_local::ledger::SqliteLedger;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Runs `quorate` in `folder`.
fn quorate(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    command
        .current_dir(folder)
        .args(args)
        .env_remove("RUST_LOG")
        .env_remove("QUORATE_CROWD_KEYS")
        .stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The stdout of a command that must succeed.
fn good(folder: &Path, args: &[&str]) -> String {
    let output = quorate(folder, args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// Stdout and stderr of a command that must fail with exit code 1.
fn bad(folder: &Path, args: &[&str]) -> (String, String) {
    let output = quorate(folder, args);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{args:?}: {}",
        stdout(&output)
    );
    (stdout(&output), stderr(&output))
}

/// A PNG whose frame is whole; the shade makes its bytes its own.
fn png(path: &Path, shade: u8) {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0][..]),
        (b"IDAT", &[shade][..]),
        (b"IEND", &[][..]),
    ] {
        bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        bytes.extend(kind);
        bytes.extend(data);
        bytes.extend([0; 4]);
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A folder with a campaign `cells` from the template and 20 images.
fn cells() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path(), &["campaign", "new", "cells"]);
    for shade in 0..20 {
        png(
            &folder.path().join(format!("cells/images/{shade:02}.png")),
            shade,
        );
    }
    folder
}

/// Replaces text in the campaign's definition.
fn edit(folder: &TempDir, from: &str, to: &str) {
    let file = folder.path().join("cells/campaign.toml");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(&file, text.replace(from, to)).unwrap();
}

#[test]
fn every_command_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        "",
        "demo",
        "up",
        "crowd",
        "campaign",
        "campaign new",
        "campaign check",
        "campaign plan",
        "campaign apply",
        "campaign seal",
        "status",
        "aggregate",
    ] {
        let mut args: Vec<&str> = words.split_whitespace().collect();
        args.push("--help");
        let help = good(folder.path(), &args);
        let usage = format!("Usage: quorate {words}").trim_end().to_owned();
        assert!(help.contains(&usage), "{words}: {help}");
        // The examples at the end show the command at work.
        let (_, examples) = help.rsplit_once("Print help").unwrap();
        assert!(
            examples.contains(&format!("quorate {words}")),
            "{words}: {help}"
        );
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["frobnicate"][..],
        &["crowd", "--time-scale", "0"],
        &["campaign", "plan", "x", "--fee", "20%"],
    ] {
        assert_eq!(
            quorate(folder.path(), args).status.code(),
            Some(2),
            "{args:?}"
        );
    }
}

#[test]
fn a_new_campaign_passes_its_check_and_has_a_plan() {
    let folder = cells();
    let twin = folder.path().join("cells/images/twin.png");
    png(&twin, 7);
    for (path, shade) in [
        ("golden/cat/a", 100),
        ("golden/dog/b", 101),
        ("golden/neither/c", 102),
        ("training/cat/d", 103),
    ] {
        png(&folder.path().join(format!("cells/{path}.png")), shade);
    }
    let checked = good(folder.path(), &["campaign", "check", "cells"]);
    assert_eq!(
        checked,
        "warning: training/ has no task with the answer dog, neither\n\
         images    21 (1 with the bytes of another)\n\
         golden    3 (cat 1, dog 1, neither 1)\n\
         training  1 (cat 1)\n\
         cells: no errors\n"
    );
    let plan = good(
        folder.path(),
        &["campaign", "plan", "cells", "--fee", "0.2"],
    );
    assert_eq!(
        plan,
        "cells would create\n  \
         project   Cat or dog? (cat, dog, neither)\n  \
         training  1 task\n  \
         golden    3 control tasks in every pool\n  \
         round 1   20 tasks (and 1 image with the bytes of one of them) on 3 pages, 9 assignments to pay, 60 answers\n  \
         cost      $0.54 expected with full pages, 20 % fee included\n  \
         reserved  $0.58 to begin with; pages that are not full may take more\n  \
         budget    $25.00, $24.46 left\n"
    );
    let plan: Value = serde_json::from_str(&good(
        folder.path(),
        &["campaign", "plan", "cells", "--json"],
    ))
    .unwrap();
    assert_eq!(plan["expected"], json!(0.45));
    assert_eq!(plan["rounds"][0]["answers"], json!(60));
}

#[test]
fn new_never_overwrites_and_wants_a_name_that_can_be_one() {
    let folder = cells();
    edit(&folder, "Cat or dog?", "Mine");
    let (_, error) = bad(folder.path(), &["campaign", "new", "cells"]);
    assert!(
        error.contains("exists already and was left as it is"),
        "{error}"
    );
    let kept = fs::read_to_string(folder.path().join("cells/campaign.toml")).unwrap();
    assert!(kept.contains("Mine"));
    let (_, error) = bad(folder.path(), &["campaign", "new", "My Cells"]);
    assert_eq!(
        error,
        "error: choose another folder name\n  because: \"My Cells\" cannot name a campaign: use 1 to 64 lower-case \
         letters, digits, '-', '_' or '.', starting with a letter or digit\n"
    );
}

#[test]
fn check_shows_the_line_and_the_place_like_a_compiler() {
    let folder = cells();
    edit(&folder, "\"dog\", \"neither\"]", "\"dog\", \"cat\"]");
    edit(&folder, "overlap = 3", "overlap = 0");
    let (shown, error) = bad(folder.path(), &["campaign", "check", "cells"]);
    assert_eq!(
        shown,
        "error: label \"cat\" is listed twice
  --> cells/campaign.toml:10:25
   |
10 | labels = [\"cat\", \"dog\", \"cat\"]
   |                         ^^^^^

error: `overlap` is how many people judge each image: 1 to 30000
  --> cells/campaign.toml:13:11
   |
13 | overlap = 0
   |           ^
cells: 2 errors
"
    );
    assert_eq!(error, "");
    // The file alone, under whatever name.
    fs::rename(
        folder.path().join("cells/campaign.toml"),
        folder.path().join("x.toml"),
    )
    .unwrap();
    let (shown, _) = bad(folder.path(), &["campaign", "check", "x.toml", "--json"]);
    let findings: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(findings["ok"], json!(false));
    assert_eq!(findings["problems"][1]["line"], json!(13));
}

#[test]
fn check_names_each_upload_that_cannot_become_a_task() {
    let folder = cells();
    let root = folder.path().join("cells");
    fs::write(
        root.join("images/notes.txt"),
        "these are my notes, not an image",
    )
    .unwrap();
    fs::write(root.join("images/.DS_Store"), "nobody means this").unwrap();
    fs::write(root.join("stray.png"), "x").unwrap();
    fs::create_dir(root.join(".git")).unwrap();
    fs::write(root.join(".git/config"), "nor this").unwrap();
    png(&root.join("golden/kat/1.png"), 100);
    png(&root.join("golden/cat/2.png"), 101);
    png(&root.join("exam/dog/3.png"), 101);
    let (shown, _) = bad(folder.path(), &["campaign", "check", "cells"]);
    for line in [
        "error: cells/images/notes.txt: it is not an image\n",
        "error: cells/golden/kat/1.png: \"kat\" is not a label of this campaign; did you mean \"cat\"?\n",
        "error: cells/golden/cat/2.png: it leaks: it has the same content as cells/exam/dog/3.png",
        "error: cells/stray.png: it is in no folder that means something",
        "\nimages    20\n",
        "\ncells: 4 errors\n",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(
        !shown.contains("DS_Store") && !shown.contains(".git"),
        "{shown}"
    );
}

#[test]
fn check_reads_rows_by_the_rules_of_the_intake() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("headlines");
    fs::create_dir_all(root.join("rows")).unwrap();
    fs::create_dir_all(root.join("golden")).unwrap();
    fs::write(
        root.join("campaign.toml"),
        "labels = [\"news\", \"clickbait\"]\nfields = [\"headline\"]\nreward_per_page = 0.05\nbudget = 10\n",
    )
    .unwrap();
    fs::write(root.join("rows/a.csv"), "headline\none\n\"  \"\ntwo\n").unwrap();
    fs::write(
        root.join("golden/known.csv"),
        "headline,label\nthree,news\nfour,clickbate\n",
    )
    .unwrap();
    let (shown, _) = bad(folder.path(), &["campaign", "check", "headlines", "--json"]);
    let findings: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(findings["counts"]["images"], json!(2));
    assert_eq!(findings["counts"]["golden"], json!({"news": 1}));
    assert_eq!(
        findings["rejected"],
        json!([
            {"key": "headlines/golden/known.csv", "row": 2,
             "reason": "line 3: \"clickbate\" is not a label of this campaign; did you mean \"clickbait\"?"},
            {"key": "headlines/rows/a.csv", "row": 2, "reason": "line 3: its \"headline\" is empty"},
        ])
    );
}

#[test]
fn check_wants_toloka_files_together() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("clips");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("project.json"), "{}").unwrap();
    let (shown, _) = bad(folder.path(), &["campaign", "check", "clips"]);
    assert_eq!(
        shown,
        "error: pool.json is missing beside it; Toloka's files define a campaign together\n \
         --> clips/project.json\nclips: 1 error\n"
    );
    fs::write(root.join("pool.json"), "{\n  \"defaults\": }\n").unwrap();
    let (shown, _) = bad(folder.path(), &["campaign", "check", "clips"]);
    assert!(
        shown.contains(
            " --> clips/pool.json:2:15\n  |\n2 |   \"defaults\": }\n  |               ^\n"
        ),
        "{shown}"
    );
}

#[test]
fn plan_says_what_does_not_fit_the_budget() {
    let folder = cells();
    edit(&folder, "budget = 25.00", "budget = 0.20");
    let plan = good(folder.path(), &["campaign", "plan", "cells"]);
    assert!(plan.contains("round 1   12 tasks"), "{plan}");
    assert!(
        plan.contains("waiting   8 images that cost $0.15 do not fit"),
        "{plan}"
    );
    // The budget is the most that all of it can cost.
    edit(&folder, "budget = 0.20", "budget = 0.40");
    let plan = good(folder.path(), &["campaign", "plan", "cells"]);
    assert!(plan.contains("cost      $0.40 expected"), "{plan}");
    assert!(plan.contains("budget    $0.40, $0.00 left"), "{plan}");
}

#[test]
fn apply_copies_what_belongs_to_the_campaign_and_can_be_repeated() {
    let folder = cells();
    fs::write(folder.path().join("cells/README.md"), "mine").unwrap();
    let (_, error) = bad(folder.path(), &["campaign", "apply", "cells"]);
    assert!(
        error.contains("start the local stack with `quorate up`"),
        "{error}"
    );

    let uploads = folder.path().join("quorate-data/uploads");
    fs::create_dir_all(&uploads).unwrap();
    let first = quorate(folder.path(), &["campaign", "apply", "cells"]);
    assert_eq!(
        stdout(&first),
        "cells: 21 files copied to quorate-data/uploads/cells, 0 there already\n"
    );
    assert!(stderr(&first).starts_with("not copied: cells/README.md: it is in no folder"));
    assert!(!uploads.join("cells/README.md").exists());

    png(&folder.path().join("cells/images/03.png"), 200);
    assert_eq!(
        good(folder.path(), &["campaign", "apply", "cells"]),
        "cells: 1 file copied to quorate-data/uploads/cells, 20 there already\n"
    );
    let same = |path: &str| {
        fs::read(folder.path().join(path)).unwrap() == fs::read(uploads.join(path)).unwrap()
    };
    assert!(same("cells/images/03.png") && same("cells/campaign.toml"));

    edit(&folder, "overlap = 3", "overlap = 0");
    let (_, error) = bad(folder.path(), &["campaign", "apply", "cells"]);
    assert!(error.contains("nothing was copied"), "{error}");
    assert!(
        fs::read_to_string(uploads.join("cells/campaign.toml"))
            .unwrap()
            .contains("overlap = 3")
    );
}

/// A stack's folder with campaign `cells` and its open round 1.
async fn stack() -> (TempDir, SqliteLedger) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("quorate-data/state");
    fs::create_dir_all(&state).unwrap();
    let ledger = SqliteLedger::open(&state.join("ledger.sqlite")).unwrap();
    let item = CampaignItem {
        name: "cells".parse().unwrap(),
        campaign: campaign::of_files([Some(campaign::TEMPLATE), None, None, None], Decimal::ZERO)
            .unwrap(),
        revision: 1,
        setups: std::collections::BTreeMap::new(),
        lease: None,
        swept: None,
        round: 0,
        committed: Decimal::ZERO,
    };
    ledger.save_campaign(&item).await.unwrap();
    ledger.open_round(&round(), Timestamp(0)).await.unwrap();
    (folder, ledger)
}

fn round() -> RoundId {
    "cells/1".parse().unwrap()
}

#[tokio::test]
async fn seal_ends_the_intake_while_the_stack_has_its_ledger_open() {
    let (folder, ledger) = stack().await;
    let said = good(folder.path(), &["campaign", "seal", "cells"]);
    assert!(said.starts_with("round cells/1 is sealed"), "{said}");
    let round = ledger.round(&round()).await.unwrap().unwrap();
    assert_eq!(round.state.as_str(), "SEALED");
    let (_, error) = bad(folder.path(), &["campaign", "seal", "cell"]);
    assert_eq!(
        error,
        "error: there is no campaign \"cell\"; there are: cells\n"
    );
}

#[tokio::test]
async fn status_tells_of_rounds_money_and_problems() {
    let (folder, ledger) = stack().await;
    ledger.reserve(&round(), Decimal::TWO, None).await.unwrap();
    let event = json!({
        "id": "0f1c6f3e-5a0d-5c3b-9b1e-7a543c5211aa", "time": "2026-01-01T00:00:00.000Z", "detail-type": "Problem",
        "detail": {"kind": "upload_rejected", "campaign": "cells", "message": "cells/images/x: \u{1b}[31m no image"},
    });
    let half = "{\"id\": \"0f1c";
    fs::write(
        folder.path().join("quorate-data/state/events.jsonl"),
        format!("{event}\n{half}"),
    )
    .unwrap();
    assert_eq!(
        good(folder.path(), &["status"]),
        "cells: Cat or dog?\n  \
         budget $25.00, $2.00 spent or reserved, $23.00 left\n  \
         round  state  images  tasks  batches  reserved  spent  results\n  \
         1      OPEN   0       0      0/0      $2.00\n\n\
         last problems\n  \
         2026-01-01T00:00:00.000Z cells: cells/images/x: \\u{1b}[31m no image\n"
    );
    let status: Value = serde_json::from_str(&good(folder.path(), &["status", "--json"])).unwrap();
    assert_eq!(status["campaigns"][0]["rounds"][0]["state"], json!("OPEN"));
    assert_eq!(status["campaigns"][0]["committed"], json!(2.0));
    assert_eq!(status["problems"][0]["kind"], json!("upload_rejected"));
}

#[test]
fn status_without_a_stack_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let (_, error) = bad(folder.path(), &["status"]);
    assert!(error.contains("start one with `quorate up`"), "{error}");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "asking leaves nothing behind"
    );
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_quorate_without_aws_says_how_to_get_one_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["status", "--stack", "labels"][..],
        &["campaign", "seal", "cells", "--stack", "labels"],
        &["campaign", "apply", "cells", "--stack", "labels"],
    ] {
        let output = quorate(folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let error = stderr(&output);
        assert!(
            error.contains("cargo install --path shared/local --features aws"),
            "{error}"
        );
    }
}

const CSV: &str = "task,worker,label\n1.jpg,ann,cat\n1.jpg,bob,cat\n1.jpg,eve,dog\n2.jpg,ann,dog\n2.jpg,bob,dog\n";

#[test]
fn aggregate_gives_the_same_labels_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<Vec<&str>> = CSV
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let jsonl: String = rows
        .iter()
        .map(|row| {
            format!(
                "{}\n",
                json!({"task": row[0], "worker": row[1], "label": row[2]})
            )
        })
        .collect();
    let toloka: String = rows
        .iter()
        .map(|row| format!("{}\t{}\t\t{}\tA1\n", row[0], row[2], row[1]))
        .collect();
    let header = "INPUT:image\tOUTPUT:result\tGOLDEN:result\tASSIGNMENT:worker_id\tASSIGNMENT:assignment_id\n";
    let texts = [
        ("a.csv", CSV.to_owned()),
        ("a.tsv", CSV.replace(',', "\t")),
        ("a.jsonl", jsonl),
        (
            "assignments.tsv",
            format!("{header}3.jpg\tcat\tcat\teve\tA1\n{toloka}"),
        ),
    ];
    let expected = "task\tlabel\tconfidence\n1.jpg\tcat\t0.6666666666666666\n2.jpg\tdog\t1\n";
    for (name, text) in &texts {
        fs::write(folder.path().join(name), text).unwrap();
        let labels = good(
            folder.path(),
            &["aggregate", "--method", "majority-vote", name],
        );
        assert_eq!(labels, expected, "{name}");
        let mut child = command(
            folder.path(),
            &["aggregate", "--method", "majority-vote", "-"],
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert_eq!(
            stdout(&child.wait_with_output().unwrap()),
            expected,
            "{name} from stdin"
        );
    }
}

#[test]
fn aggregate_names_the_bad_row_and_leaves_it_out_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), format!("{CSV}3.jpg,ann\n")).unwrap();
    let (shown, error) = bad(folder.path(), &["aggregate", "a.csv"]);
    assert_eq!(shown, "");
    assert_eq!(
        error,
        "error: a.csv is no answers file (--skip-invalid leaves bad rows out)\n  \
         because: line 7: 2 cells where the first line has 3 columns\n"
    );
    let output = quorate(
        folder.path(),
        &["aggregate", "a.csv", "--skip-invalid", "--json"],
    );
    let summary: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&summary["answers"], &summary["skipped"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(summary["labels"][1]["label"], json!("dog"));
    assert!(
        stderr(&output).starts_with("skipped: line 7:"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn aggregate_writes_its_tables_and_keeps_known_labels() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), CSV).unwrap();
    // Nobody answered "bird": it is a label all the same.
    fs::write(folder.path().join("gold.tsv"), "task\tlabel\n1.jpg\tbird\n").unwrap();
    let said = good(
        folder.path(),
        &[
            "aggregate",
            "a.csv",
            "--gold",
            "gold.tsv",
            "-o",
            "labels.csv",
            "--probabilities",
            "p.tsv",
            "--workers",
            "w.tsv",
        ],
    );
    assert_eq!(said, "");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("labels.csv").starts_with("task,label,confidence\n1.jpg,bird,1\n2.jpg,dog,"));
    assert!(read("p.tsv").starts_with("task\tbird\tcat\tdog\n1.jpg\t1\t0\t0\n"));
    assert!(read("w.tsv").starts_with("worker\tanswers\tskill\tskill_deviation\nann\t2\t"));
    let (_, error) = bad(folder.path(), &["aggregate", "a.csv", "-o", "labels.jsonl"]);
    assert!(error.contains("name it .tsv or .csv"), "{error}");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), CSV).unwrap();
    let args = ["aggregate", "--method", "majority-vote", "a.csv"];
    let mut child = command(folder.path(), &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(0), String::new())
    );
}

/// A started `quorate crowd`; ended when dropped.
struct Crowd {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Crowd {
    fn start(folder: &Path, args: &[&str], keys: Option<&str>) -> Self {
        let mut child = command(
            folder,
            &[&["crowd", "--listen", "127.0.0.1:0"], args].concat(),
        )
        .envs(keys.map(|keys| ("QUORATE_CROWD_KEYS", keys)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The answer to `GET /api/v1/requester` under a key.
fn requester(address: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /api/v1/requester HTTP/1.1\r\nHost: {address}\r\nAuthorization: ApiKey {key}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The answer to `POST /api/v1/skills`.
fn new_skill(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /api/v1/skills HTTP/1.1\r\nHost: {address}\r\nAuthorization: ApiKey any\r\n\
         Content-Length: 12\r\nConnection: close\r\n\r\n{{\"name\":\"s\"}}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn crowd_limits_rates_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    // Ten a minute, and the minute may end meanwhile.
    let refused = |args: &[&str]| {
        let mut crowd = Crowd::start(folder.path(), args, None);
        let line = crowd.line();
        let address = line.strip_prefix("listening on http://").unwrap();
        let answers = (0..21).map(|_| new_skill(address));
        let refused: Vec<String> = answers
            .filter(|answer| !answer.starts_with("HTTP/1.1 201"))
            .collect();
        refused
    };
    assert_eq!(refused(&[]), [""; 0]);
    let refused = refused(&["--rate-limits"]);
    let first = &refused[0];
    assert!(first.starts_with("HTTP/1.1 429"), "{first}");
    assert!(first.contains("retry-after: "), "{first}");
}

#[cfg(unix)]
#[test]
fn crowd_says_where_it_is_answers_and_stops_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut crowd = Crowd::start(
        folder.path(),
        &["--balance", "12.50", "--simulate", "2"],
        None,
    );
    let base = crowd
        .line()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    let page = crowd.line();
    assert!(
        page.starts_with(&format!("workers sign in at {base}/#invite=")),
        "{page}"
    );
    let answer = requester(base.strip_prefix("http://").unwrap(), "any");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("12.5"), "{answer}");

    let pid = crowd.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(crowd.child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    crowd
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.ends_with("stopped\n") && !said.contains("ERROR"),
        "{said}"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "without --data nothing is kept"
    );
}

#[test]
fn crowd_lets_only_its_keys_in_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--json", "--data", "crowd"];
    let mut crowd = Crowd::start(
        folder.path(),
        &args,
        Some("team:first-secret,team:second-secret"),
    );
    let ready: Value = serde_json::from_str(&crowd.line()).unwrap();
    let address = ready["listening"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    assert!(requester(&address, "second-secret").starts_with("HTTP/1.1 200"));
    assert!(requester(&address, "third-secret").starts_with("HTTP/1.1 403"));
    let invite = ready["worker_page"]
        .as_str()
        .unwrap()
        .rsplit_once('=')
        .unwrap()
        .1
        .to_owned();
    drop(crowd);
    let mut again = Crowd::start(folder.path(), &args, Some("team:first-secret"));
    let ready: Value = serde_json::from_str(&again.line()).unwrap();
    assert!(ready["worker_page"].as_str().unwrap().ends_with(&invite));
}

#[test]
fn crowd_is_not_opened_to_the_network_without_keys() {
    let folder = tempfile::tempdir().unwrap();
    let (_, error) = bad(folder.path(), &["crowd", "--listen", "0.0.0.0:0"]);
    assert!(
        error.contains("give keys (--key or QUORATE_CROWD_KEYS), or listen on 127.0.0.1"),
        "{error}"
    );
}
