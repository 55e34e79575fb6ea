//! `quorate aggregate` as its users meet it: every method and option on files, and what is said when they do not fit.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "in a test, a panic is a failure"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use quorate_aggregate::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Three tasks: cat by two of three, dog by both, fox by one.
const ANSWERS: &str = "task,worker,label\n1.jpg,ann,cat\n1.jpg,bob,cat\n1.jpg,eve,dog\n2.jpg,ann,dog\n\
    2.jpg,bob,dog\n3.jpg,eve,fox\n";

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn aggregate(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
        .current_dir(folder)
        .arg("aggregate")
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Stdout and stderr of a run that must succeed.
fn good(folder: &Path, args: &[&str]) -> (String, String) {
    let output = aggregate(folder, args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

/// The document of a run that must succeed, and stderr.
fn document(folder: &Path, args: &[&str]) -> (Value, String) {
    let (shown, said) = good(folder, &[args, &["--json"]].concat());
    (serde_json::from_str(&shown).unwrap(), said)
}

/// A real crowd in a folder of its own: `answers.tsv`, `gt.tsv`, and every fifth known label in `gold.tsv`.
fn crowd(name: &str) -> TempDir {
    let truth = fs::read_to_string(data(name).join("gt.tsv")).unwrap();
    let rows: Vec<&str> = truth.lines().collect();
    let gold: Vec<&str> = rows[1..].iter().step_by(5).copied().collect();
    let folder = folder_with(&[
        ("gt.tsv", &truth),
        ("gold.tsv", &format!("{}\n{}\n", rows[0], gold.join("\n"))),
    ]);
    fs::copy(
        data(name).join("answers.tsv"),
        folder.path().join("answers.tsv"),
    )
    .unwrap();
    folder
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../aggregate/tests/data")
        .join(name)
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

/// The rows of a table by its first column.
fn table(text: &str, separator: char) -> BTreeMap<String, Vec<String>> {
    let rows = text.lines().skip(1).map(|line| {
        let mut cells = line.split(separator).map(str::to_owned);
        (cells.next().unwrap(), cells.collect())
    });
    rows.collect()
}

/// How right each method is on bluebirds; that which needs known labels on the tasks that are none.
const ON_BLUEBIRDS: [(&str, f64); 11] = [
    ("hierarchical-dawid-skene", 0.8981),
    ("majority-vote", 0.7593),
    ("gold-majority-vote", 0.8256),
    ("wawa", 0.7593),
    ("zero-based-skill", 0.7593),
    ("dawid-skene", 0.8981),
    ("one-coin-dawid-skene", 0.7500),
    ("glad", 0.7222),
    ("mace", 0.8889),
    ("kos", 0.7222),
    ("mmsr", 0.7130),
];

#[test]
fn every_method_decides_for_a_real_crowd() {
    let folder = crowd("bluebirds");
    assert_eq!(
        ON_BLUEBIRDS.map(|(name, _)| name),
        Method::ALL.map(Method::name)
    );
    for (method, accuracy) in ON_BLUEBIRDS {
        let mut args = vec!["--method", method, "--truth", "gt.tsv", "answers.tsv"];
        if method == "gold-majority-vote" {
            args.extend(["--gold", "gold.tsv"]);
        }
        let (found, said) = document(folder.path(), &args);
        assert_eq!(
            (&found["method"], &found["tasks"], &found["workers"]),
            (&json!(method), &json!(108), &json!(39))
        );
        assert_eq!(found["labels"].as_array().unwrap().len(), 108);
        let measured = found["measures"]["accuracy"].as_f64().unwrap();
        assert!((measured - accuracy).abs() < 1e-4, "{method}: {measured}");
        assert!(
            said.contains(&format!("note: accuracy {measured:.4}")),
            "{said}"
        );
        let history = found["objectives"].as_array().unwrap();
        assert_eq!(found["iterations"], json!(history.len()), "{method}");
    }
}

/// The file of crowd-kit's outcome, and the options that give it.
const LIKE_CROWD_KIT: [(&str, &[&str]); 11] = [
    ("MajorityVote", &["--method=majority-vote"]),
    ("Wawa", &["--method=wawa"]),
    ("ZeroBasedSkill", &["--method=zero-based-skill"]),
    ("DawidSkene", &["--method=dawid-skene"]),
    ("DawidSkene20", &["--method=dawid-skene", "--iterations=20"]),
    (
        "DawidSkene20+gold20",
        &["--method=dawid-skene", "--iterations=20", "--gold=gold.tsv"],
    ),
    (
        "OneCoinDawidSkene20",
        &["--method=one-coin-dawid-skene", "--iterations=20"],
    ),
    (
        "GoldMajorityVote",
        &["--method=gold-majority-vote", "--gold=gold.tsv"],
    ),
    ("GLAD", &["--method=glad"]),
    ("MACE1", &["--method=mace"]),
    ("KOS", &["--method=kos"]),
];

#[test]
fn crowd_kits_mode_gives_the_labels_and_probabilities_of_crowd_kit() {
    let folder = crowd("bluebirds");
    let always = [
        "--mode=crowd-kit",
        "--output=labels.tsv",
        "--probabilities=probas.tsv",
        "answers.tsv",
    ];
    for (file, args) in LIKE_CROWD_KIT {
        good(folder.path(), &[args, &always].concat());
        let labels = table(&read(&folder, "labels.tsv"), '\t');
        let ours = table(&read(&folder, "probas.tsv"), '\t');
        let expected = fs::read_to_string(data("bluebirds").join(format!("{file}.csv"))).unwrap();
        let expected = table(&expected, ',');
        assert!(expected.len() >= 86, "{file}: {}", expected.len());
        for (task, theirs) in expected {
            assert_eq!(labels[&task][0], theirs[0], "{file}: {task}");
            // What GLAD's optimiser finds depends on rounding, and KOS has no probabilities.
            let tolerance = if file == "GLAD" { 1e-2 } else { 1e-9 };
            for (ours, theirs) in ours[&task].iter().zip(&theirs[1..]) {
                let numbers: [f64; 2] = [ours, theirs].map(|text| text.parse().unwrap());
                assert!(
                    (numbers[0] - numbers[1]).abs() <= tolerance,
                    "{file}: {task}: {numbers:?}"
                );
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let folder = crowd("labelme");
    for method in ["hierarchical-dawid-skene", "mace", "glad", "wawa"] {
        let with = |threads: &str| {
            let args = ["--method", method, "--threads", threads, "answers.tsv"];
            good(
                folder.path(),
                &[
                    &args[..],
                    &["--output=l.tsv", "--probabilities=p.tsv", "--workers=w.tsv"],
                ]
                .concat(),
            );
            ["l.tsv", "p.tsv", "w.tsv"].map(|name| read(&folder, name))
        };
        let one = with("1");
        assert!(one == with("2") && one == with("0"), "{method}");
    }
}

#[test]
fn tables_have_the_columns_that_they_should() {
    let folder = folder_with(&[("a.csv", ANSWERS)]);
    let headers = |method: &str| {
        let tables = ["--workers=w.csv", "--tasks=t.csv", "--probabilities=p.csv"];
        let args = [&["--method", method, "a.csv", "-o", "l.csv"], &tables[..]].concat();
        assert_eq!(good(folder.path(), &args).0, "");
        assert!(read(&folder, "l.csv").starts_with("task,label,confidence\n1.jpg,cat,"));
        assert!(read(&folder, "p.csv").starts_with("task,cat,dog,fox\n1.jpg,"));
        ["w.csv", "t.csv"].map(|name| read(&folder, name).lines().next().unwrap().to_owned())
    };
    let plain = ["worker,answers,skill", "task,label,confidence"];
    assert_eq!(headers("majority-vote"), plain);
    assert_eq!(
        headers("hierarchical-dawid-skene"),
        [
            "worker,answers,skill,skill_deviation",
            "task,label,confidence,majority"
        ]
    );
    assert_eq!(
        headers("glad"),
        [
            "worker,answers,skill,ability",
            "task,label,confidence,easiness"
        ]
    );
    assert_eq!(
        headers("mace"),
        ["worker,answers,skill,spamming", "task,label,confidence"]
    );
}

#[test]
fn the_majority_vote_is_written_in_full() {
    let folder = folder_with(&[("a.csv", ANSWERS)]);
    let args = ["--method=majority-vote", "a.csv", "--workers=w.tsv"];
    let (labels, said) = good(folder.path(), &args);
    assert_eq!(
        labels,
        "task\tlabel\tconfidence\n1.jpg\tcat\t0.6666666666666666\n2.jpg\tdog\t1\n3.jpg\tfox\t1\n"
    );
    assert_eq!(said, "");
    assert_eq!(
        read(&folder, "w.tsv"),
        "worker\tanswers\tskill\nann\t2\t1\nbob\t2\t1\neve\t2\t0.5\n"
    );
}

/// In crowd-kit's mode without iterations, Dawid-Skene's confusion matrices are counts of votes.
#[test]
fn confusion_matrices_have_a_row_for_every_cell() {
    let folder = folder_with(&[("a.csv", ANSWERS)]);
    let args = [
        "--method=dawid-skene",
        "--mode=crowd-kit",
        "--iterations=0",
        "--confusion=c.csv",
        "a.csv",
    ];
    good(folder.path(), &args);
    let text = read(&folder, "c.csv");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows[0],
        ["worker", "truth", "answer", "probability", "deviation"]
    );
    // 3 workers, 3 × 3 labels.
    assert_eq!(rows.len(), 28);
    let cell = |worker, truth, answer| {
        let row = rows.iter().find(|row| row[..3] == [worker, truth, answer]);
        row.unwrap()[3].parse::<f64>().unwrap()
    };
    // Ann said cat of a task that is a cat by 2/3, and dog of one that is a dog.
    assert!((cell("ann", "cat", "cat") - 1.0).abs() < 1e-9);
    assert!((cell("ann", "dog", "cat") - 0.25).abs() < 1e-9);
    assert!((cell("ann", "dog", "dog") - 0.75).abs() < 1e-9);
    // MACE does not tell how sure it is of them.
    let mace = ["--method=mace", "--confusion=c.csv", "a.csv"];
    good(folder.path(), &mace);
    assert!(
        read(&folder, "c.csv")
            .lines()
            .nth(1)
            .unwrap()
            .ends_with(',')
    );
}

#[test]
fn iterations_and_tolerance_end_a_run() {
    let folder = crowd("bluebirds");
    let ended = |args: &[&str]| {
        let (found, said) = document(
            folder.path(),
            &[&["--method=dawid-skene", "answers.tsv"], args].concat(),
        );
        (found["iterations"].clone(), found["stopped"].clone(), said)
    };
    let (iterations, stopped, said) = ended(&["--iterations=3", "--tolerance=-inf"]);
    assert_eq!((iterations, stopped), (json!(3), json!("iteration-limit")));
    assert_eq!(
        said,
        "note: not converged after 3 iterations; --iterations allows more\n"
    );
    let (iterations, stopped, said) = ended(&["--tolerance=1"]);
    assert_eq!((iterations, stopped), (json!(2), json!("converged")));
    assert_eq!(said, "");
}

#[test]
fn a_seed_gives_its_own_random_start() {
    let folder = crowd("bluebirds");
    let with = |seed: &str| {
        let args = [
            "--method=mace",
            "--mode=crowd-kit",
            "--iterations=1",
            "answers.tsv",
        ];
        good(folder.path(), &[&args[..], &["--seed", seed]].concat()).0
    };
    assert_eq!(with("7"), with("7"));
    assert_ne!(with("7"), with("8"));
}

#[test]
fn the_default_method_says_how_far_to_trust_it() {
    let folder = crowd("labelme");
    let (found, said) = document(folder.path(), &["answers.tsv"]);
    assert_eq!(found["method"], json!("hierarchical-dawid-skene"));
    assert_eq!(found["calibration"], Value::Null);
    assert!(
        said.contains("known labels (--gold) would calibrate them"),
        "{said}"
    );
    assert!(found["labels"][0]["majority"].is_string());
    let shares = found["priors"].as_array().unwrap().iter();
    let sum: f64 = shares.map(|prior| prior["share"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    for part in ["read", "aggregate", "write"] {
        assert!(found["seconds"][part].as_f64().unwrap() >= 0.0);
    }
    let args = ["answers.tsv", "--gold=gold.tsv", "--truth=gt.tsv"];
    let (found, said) = document(folder.path(), &args);
    let calibrated = |field: &str| found["calibration"][field].as_f64().unwrap();
    assert_eq!(found["calibration"]["known"], json!(200));
    assert!(calibrated("after") < calibrated("before") - 0.05);
    assert!(
        found["calibration"]["temperatures"]["model"]
            .as_f64()
            .unwrap()
            > 1.0
    );
    assert!(
        said.contains("note: confidences are calibrated on 200 known labels: 0."),
        "{said}"
    );
    // Of 1000 tasks, 200 are known beforehand: they are no test.
    assert_eq!(found["measures"]["compared"], json!(800));
    let folder = folder_with(&[("a.csv", ANSWERS)]);
    let (found, said) = document(folder.path(), &["a.csv"]);
    let warning = "2 of 3 tasks have fewer than three answers";
    assert!(said.contains(&format!("warning: {warning}")), "{said}");
    assert!(found["warnings"][0].as_str().unwrap().starts_with(warning));
}

#[test]
fn known_labels_that_look_wrong_are_told_of() {
    let files = [
        ("a.csv", ANSWERS),
        ("typo.csv", "task,label\n1.jpg,Cat\n"),
        ("other.csv", "task,label\nimages/1.jpg,cat\n"),
    ];
    let folder = folder_with(&files);
    let (labels, said) = good(folder.path(), &["a.csv", "--gold=typo.csv"]);
    assert!(labels.contains("1.jpg\tCat\t1\n"), "{labels}");
    assert!(
        said.contains("warning: nobody answered the known label \"Cat\": is it spelled as"),
        "{said}"
    );
    let (_, said) = good(folder.path(), &["a.csv", "--gold=other.csv"]);
    assert!(
        said.contains("warning: no task with a known label was answered: are they named as"),
        "{said}"
    );
    let (found, said) = document(folder.path(), &["a.csv", "--truth=other.csv"]);
    assert_eq!(found["measures"]["accuracy"], Value::Null);
    assert!(
        said.contains("accuracy unknown, expected calibration error unknown, on 0 tasks"),
        "{said}"
    );
}

#[test]
fn control_tasks_of_toloka_are_left_out() {
    let header = "INPUT:image\tOUTPUT:result\tGOLDEN:result\tASSIGNMENT:worker_id\n";
    let rows = "1.jpg\tcat\t\tann\n1.jpg\tdog\t\tbob\n1.jpg\tcat\t\teve\n9.jpg\tcat\tcat\tann\n";
    let folder = folder_with(&[("assignments.tsv", &format!("{header}{rows}"))]);
    let args = ["--method=majority-vote", "assignments.tsv"];
    let (found, said) = document(folder.path(), &args);
    assert_eq!(
        (&found["tasks"], &found["answers"], &found["golden"]),
        (&json!(1), &json!(3), &json!(1))
    );
    assert_eq!(said, "note: 1 row of control tasks left out\n");
}

const SETS: &str = "task\tworker\tlabel\n1.jpg\tann\tcat,dog\n1.jpg\tbob\tdog\n1.jpg\teve\t[\"cat\",\"fox\"]\n\
    2.jpg\tann\t[]\n2.jpg\tbob\t[]\n2.jpg\teve\tfox\n";

#[test]
fn sets_of_labels_are_decided_label_by_label() {
    let folder = folder_with(&[("a.tsv", SETS)]);
    let sets = ["--method=majority-vote", "--multi-label=,", "a.tsv"];
    let (labels, said) = good(
        folder.path(),
        &[&sets[..], &["--probabilities=p.tsv"]].concat(),
    );
    assert_eq!(
        labels,
        "task\tlabels\tconfidence\n1.jpg\tcat,dog\t0.6666666666666666\n2.jpg\t[]\t0.6666666666666667\n"
    );
    assert_eq!(said, "");
    assert!(
        read(&folder, "p.tsv").starts_with("task\tcat\tdog\tfox\n1.jpg\t0.6666666666666666\t0.66")
    );
    let (found, _) = document(folder.path(), &sets);
    assert_eq!(found["classes"], json!(["cat", "dog", "fox"]));
    assert_eq!(found["labels"][0]["labels"], json!(["cat", "dog"]));
    assert_eq!(
        (&found["workers"], &found["answers"]),
        (&json!(3), &json!(6))
    );
    // Any method does, with its settings.
    good(
        folder.path(),
        &["--multi-label=,", "--iterations=5", "--threads=1", "a.tsv"],
    );
}

/// Arguments, the exit code, and what is said.
const WRONG: &[(&[&str], i32, &str)] = &[
    (
        &["a.csv", "--method=wawa", "--gold=gold.csv"],
        1,
        "error: cannot aggregate by wawa: leave --gold out, or choose another --method\n  because: wawa does not \
         use gold; these do: hierarchical-dawid-skene, gold-majority-vote, dawid-skene, one-coin-dawid-skene, glad, mace\n",
    ),
    (
        &[
            "a.csv",
            "--method=glad",
            "--mode=crowd-kit",
            "--gold=gold.csv",
        ],
        1,
        "because: glad does not use gold in crowd-kit mode; these do: gold-majority-vote, dawid-skene, \
         one-coin-dawid-skene\n",
    ),
    (
        &["a.csv", "--method=mmsr", "--mode=crowd-kit"],
        1,
        "error: cannot aggregate by mmsr: leave --mode out, or choose another --method\n  because: mmsr has no \
         crowd-kit mode, but majority-vote, ",
    ),
    (
        &["a.csv", "--mode=crowd-kit"],
        1,
        "because: hierarchical-dawid-skene has no crowd-kit mode",
    ),
    (
        &["a.csv", "--method=majority-vote", "--iterations=5"],
        1,
        "leave --iterations out",
    ),
    (
        &["a.csv", "--method=kos", "--tolerance=0.1"],
        1,
        "leave --tolerance out",
    ),
    (
        &["a.csv", "--seed=1"],
        1,
        "because: hierarchical-dawid-skene does not use seed; these do: mace\n",
    ),
    (
        &["a.csv", "--method=gold-majority-vote"],
        1,
        "error: cannot aggregate by gold-majority-vote: give a table task, label of them with --gold\n  because: \
         gold-majority-vote needs known labels\n",
    ),
    (
        &[
            "a.csv",
            "--method=gold-majority-vote",
            "--mode=crowd-kit",
            "--gold=gold.csv",
        ],
        1,
        "without --mode crowd-kit, who met no known label is believed to be right in 2 of 3 answers\n  because: worker \
         \"ann\" has no skill",
    ),
    (
        &["a.csv", "--method=kos"],
        1,
        "error: cannot aggregate by kos: choose another --method\n  because: KOS is for two labels; these answers \
         have 3\n",
    ),
    (
        &["a.csv", "--tolerance=nan"],
        1,
        "because: tolerance is NaN; it must be a number\n",
    ),
    (
        &["a.csv", "--method=mmsr", "--iterations=0"],
        1,
        "because: iterations is 0; it must be at least 1\n",
    ),
    (
        &["a.csv", "--method=glad", "--confusion=c.tsv"],
        1,
        "error: glad does not find how each worker errs: leave --confusion out",
    ),
    (
        &["missing.csv"],
        1,
        "error: cannot read missing.csv\n  because: No such file",
    ),
    (
        &["a.csv", "--gold=missing.csv"],
        1,
        "error: cannot read the known labels in missing.csv\n  because: ",
    ),
    (
        &["a.csv", "--gold=twice.csv"],
        1,
        "error: twice.csv:3: task \"1.jpg\" has the label \"cat\" already\n",
    ),
    (
        &["a.csv", "--truth=empty.csv"],
        1,
        "error: empty.csv:2: the task or the label is empty\n",
    ),
    (
        &["a.csv", "--gold=a.jsonl"],
        1,
        "error: a.jsonl would be a table: name it .tsv or .csv",
    ),
    (
        &["a.csv", "--workers=w.parquet"],
        1,
        "error: w.parquet would be a table: name it .tsv or .csv",
    ),
    (
        &["gold.csv"],
        1,
        "because: there is no column \"worker\"; the columns are task, label\n",
    ),
    (
        &["a.csv", "--method=voting"],
        2,
        "[possible values: hierarchical-dawid-skene, majority-vote, gold-majority-vote, wawa, zero-based-skill, \
         dawid-skene, one-coin-dawid-skene, glad, mace, kos, mmsr]",
    ),
    (
        &["a.csv", "--multi-label=,", "--gold=gold.csv"],
        2,
        "cannot be used with '--gold <FILE>'",
    ),
    (
        &["bad-set.csv", "--multi-label=,"],
        1,
        "starts like a JSON array of labels, but is none",
    ),
];

#[test]
fn what_does_not_fit_is_refused_with_the_way_out() {
    let folder = folder_with(&[
        ("a.csv", ANSWERS),
        ("gold.csv", "task,label\n3.jpg,fox\n"),
        ("twice.csv", "task,label\n1.jpg,cat\n1.jpg,dog\n"),
        ("empty.csv", "task,label\n1.jpg,\n"),
        ("bad-set.csv", "task,worker,label\n1,ann,[cat\n"),
    ]);
    for (args, code, expected) in WRONG {
        let output = aggregate(folder.path(), args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(*code), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_quorate_without_parquet_says_how_to_get_it() {
    let folder = folder_with(&[("a.parquet", "PAR1")]);
    let output = aggregate(folder.path(), &["a.parquet"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("cargo install --path shared/local --features parquet"),
        "{said}"
    );
}

#[cfg(feature = "parquet")]
#[test]
fn a_file_that_is_no_parquet_is_refused() {
    let folder = folder_with(&[("a.parquet", "task,worker,label\n")]);
    let output = aggregate(folder.path(), &["a.parquet"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("error: a.parquet is no answers file"),
        "{said}"
    );
}

#[test]
fn help_tells_what_every_method_is_for() {
    let folder = folder_with(&[]);
    let (help, _) = good(folder.path(), &["--help"]);
    for method in Method::ALL {
        assert!(help.contains(&format!("- {method}:")), "{method}: {help}");
    }
}
