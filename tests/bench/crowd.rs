//! What the crowd platform does with a pool as large as Toloka takes:
//! `cargo build --release && cargo bench -p quorate-tests --bench crowd`.
//!
//! For pools of 10⁴ and of 10⁶ tasks, beside each other: tasks created by asynchronous operations, the
//! pool opened, pages taken, and pages taken and submitted by 50 workers at once. Then 10⁶ answers are
//! listed and downloaded as a table. All against a real `quorate crowd` with its data on disk, over
//! HTTP; its peak memory is told (Linux). Other sizes: `… --bench crowd -- 10000 100000`.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt as _;
use quorate_toloka::{
    AssignmentQuery, Client, CreateOptions, TsvQuery,
    limits::TASKS_PER_ASYNC_REQUEST,
    types::{Pool, Project, Task},
};
use serde_json::{Value, json};
use uuid::Uuid;

const WORKERS: usize = 50;
/// Pages that are taken one after the other.
const PAGES_ALONE: usize = 200;
/// Pages of each of the workers at once.
const PAGES_AT_ONCE: usize = 40;
const TASKS_PER_PAGE: usize = 10;
/// Control tasks.
const GOLDEN: usize = 5_000;
/// Answers that are listed.
const ANSWERS: usize = 1_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|size| size.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![10_000, 1_000_000]
    } else {
        sizes
    };
    let largest = sizes.iter().copied().max().unwrap_or_default();
    for size in sizes {
        println!("\na pool of {size} tasks");
        let folder = tempfile::tempdir()?;
        let crowd = Crowd::start(folder.path()).await?;
        let bench = Bench::new(&crowd, size).await?;
        bench.take_alone().await?;
        bench
            .work_at_once(PAGES_AT_ONCE, "pages by 50 workers at once")
            .await?;
        if size == largest && size * 3 >= ANSWERS {
            let pages = ANSWERS / TASKS_PER_PAGE / WORKERS - PAGES_AT_ONCE;
            bench
                .work_at_once(pages, "the same until 10⁶ answers")
                .await?;
            crowd.tell_memory("peak memory until here");
            bench.list().await?;
            bench.download().await?;
        }
        crowd.tell_memory("peak memory");
        crowd.tell_size();
    }
    Ok(())
}

/// A started `quorate crowd`; killed when dropped.
struct Crowd {
    process: Child,
    folder: PathBuf,
    url: String,
    invite: String,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Crowd {
    async fn start(folder: &Path) -> Result<Self> {
        let mut process = Command::new(quorate()?)
            .args(["crowd", "--json", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let stdout = process.stdout.take().context("no output")?;
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
                .map(|_| line)
        })
        .await??;
        let ready: Value = serde_json::from_str(&line)?;
        let text = |name: &str| ready.get(name).and_then(Value::as_str).map(str::to_owned);
        let page = text("worker_page").context("no page")?;
        Ok(Self {
            process,
            folder: folder.to_owned(),
            url: text("listening").context("no address")?,
            invite: page
                .split_once("#invite=")
                .context("no invitation")?
                .1
                .to_owned(),
        })
    }

    fn tell_memory(&self, what: &str) {
        if let Some(memory) = peak_memory(self.process.id()) {
            println!("{what:36} {memory:9} MB");
        }
    }

    fn tell_size(&self) {
        let size = |name| std::fs::metadata(self.folder.join(name)).map_or(0, |file| file.len());
        let megabytes = (size("crowd.sqlite") + size("crowd.sqlite-wal")) / 1_000_000;
        println!("{:36} {megabytes:9} MB", "on disk");
    }
}

/// A pool of tasks, and the workers.
struct Bench {
    http: reqwest::Client,
    url: String,
    client: Client,
    pool: String,
    tokens: Vec<String>,
}

impl Bench {
    /// Makes the pool and opens it.
    async fn new(crowd: &Crowd, size: usize) -> Result<Self> {
        let client = Client::builder(&crowd.url)
            .api_key("bench")
            .timeout(Duration::from_secs(60))
            .build()?;
        let project: Project = serde_json::from_value(json!({
            "public_name": "Cat or dog?",
            "assignments_issuing_type": "AUTOMATED",
            "task_spec": {
                "input_spec": {"image": {"type": "url"}},
                "output_spec": {"result": {"type": "string", "allowed_values": ["cat", "dog"]}},
                "view_spec": {"type": "tb", "config": "{}"}},
        }))?;
        let project = client.create_project(&project).await?;
        // Rules such as real pools have; nobody breaks these.
        let ban = json!({"type": "RESTRICTION_V2", "parameters": {"scope": "POOL", "duration_unit": "PERMANENT"}});
        let pool: Pool = serde_json::from_value(json!({
            "project_id": project.id, "private_name": "large", "will_expire": "2100-01-01T00:00:00",
            "reward_per_assignment": 0.01, "assignment_max_duration_seconds": 3600,
            "defaults": {"default_overlap_for_new_tasks": 3, "default_overlap_for_new_task_suites": 3},
            "mixer_config": {"real_tasks_count": TASKS_PER_PAGE - 1, "golden_tasks_count": 1, "training_tasks_count": 0},
            "quality_control": {"configs": [
                {"collector_config": {"type": "GOLDEN_SET", "parameters": {"history_size": 10}}, "rules": [{
                    "conditions": [{"key": "golden_set_correct_answers_rate", "operator": "LT", "value": 60}],
                    "action": ban}]},
                {"collector_config": {"type": "ASSIGNMENT_SUBMIT_TIME", "parameters": {"history_size": 5, "fast_submit_threshold_seconds": 1}}, "rules": [{
                    "conditions": [{"key": "fast_submitted_count", "operator": "GT", "value": 5}],
                    "action": ban}]},
                {"collector_config": {"type": "MAJORITY_VOTE", "parameters": {"history_size": 10, "answer_threshold": 2}}, "rules": [{
                    "conditions": [{"key": "correct_answers_rate", "operator": "LT", "value": 60}],
                    "action": ban}]}]},
        }))?;
        let pool = client.create_pool(&pool).await?.id;
        let began = Instant::now();
        create(&client, &pool, size).await?;
        tell("tasks created", size, began.elapsed());
        create_golden(&client, &pool).await?;
        let began = Instant::now();
        client.open_pool(&pool).await?;
        println!(
            "{:36} {:9.1} ms",
            "pool opened",
            began.elapsed().as_secs_f64() * 1e3
        );

        let http = quorate_toloka::http_builder().build()?;
        let mut tokens = Vec::new();
        for worker in 0..WORKERS {
            let form =
                json!({"login": format!("w{worker}"), "password": "bench", "invite": crowd.invite});
            let answer: Value = http
                .post(format!("{}/api/worker/v1/workers", crowd.url))
                .json(&form)
                .send()
                .await?
                .error_for_status()?
                .json()
                .await?;
            tokens.push(
                answer
                    .get("token")
                    .and_then(Value::as_str)
                    .context("no token")?
                    .to_owned(),
            );
        }
        Ok(Self {
            http,
            url: crowd.url.clone(),
            client,
            pool,
            tokens,
        })
    }

    /// The first page, and those after it, taken by one worker while nobody else works.
    async fn take_alone(&self) -> Result<()> {
        let token = self.tokens.first().context("no worker")?;
        let mut times = Vec::new();
        for _ in 0..PAGES_ALONE {
            let (page, took) = self.take(token).await?;
            times.push(took);
            self.submit(token, &page).await?;
        }
        let first = times.first().copied().unwrap_or_default();
        println!(
            "{:36} {:9.2} ms",
            "first page handed out",
            first.as_secs_f64() * 1e3
        );
        tell_times("page handed out, nobody else", &mut times);
        Ok(())
    }

    /// All workers take and submit pages at once.
    async fn work_at_once(&self, pages: usize, what: &str) -> Result<()> {
        let began = Instant::now();
        let work = self.tokens.iter().map(|token| async move {
            let mut times = Vec::new();
            for _ in 0..pages {
                let (page, take) = self.take(token).await?;
                times.push((take, self.submit(token, &page).await?));
            }
            anyhow::Ok(times)
        });
        let times = futures_util::future::try_join_all(work).await?.concat();
        tell(what, times.len(), began.elapsed());
        let (mut takes, mut submits): (Vec<_>, Vec<_>) = times.into_iter().unzip();
        tell_times("  a page handed out", &mut takes);
        tell_times("  a page submitted", &mut submits);
        Ok(())
    }

    async fn call(&self, token: &str, path: &str, body: &Value) -> Result<(Value, Duration)> {
        let began = Instant::now();
        let request = self
            .http
            .post(format!("{}/api/worker/v1{path}", self.url))
            .json(body);
        let reply = request
            .header("Authorization", format!("Worker {token}"))
            .send()
            .await?;
        let answer = reply.error_for_status()?.json().await?;
        Ok((answer, began.elapsed()))
    }

    async fn take(&self, token: &str) -> Result<(Value, Duration)> {
        let path = format!("/pools/{}/assignments", self.pool);
        let (mut answer, took) = self.call(token, &path, &Value::Null).await?;
        let page = answer
            .get_mut("assignment")
            .map(Value::take)
            .unwrap_or_default();
        ensure!(page.is_object(), "no page: {answer}");
        Ok((page, took))
    }

    async fn submit(&self, token: &str, page: &Value) -> Result<Duration> {
        let id = page.get("id").and_then(Value::as_str).context("no id")?;
        let solution = json!({"output_values": {"result": "cat"}});
        let count = page
            .get("tasks")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let body = json!({"solutions": vec![solution; count]});
        Ok(self
            .call(token, &format!("/assignments/{id}/submit"), &body)
            .await?
            .1)
    }

    /// All assignments, page by page.
    async fn list(&self) -> Result<()> {
        let began = Instant::now();
        let mut answers = 0;
        let mut list = pin!(self.client.assignments(AssignmentQuery::pool(&self.pool)));
        while let Some(assignment) = list.try_next().await? {
            answers += assignment.solutions.map_or(0, |solutions| solutions.len());
        }
        ensure!(answers >= ANSWERS, "{answers} answers were listed");
        tell("answers listed as assignments", answers, began.elapsed());
        Ok(())
    }

    /// The table of all answers.
    async fn download(&self) -> Result<()> {
        let began = Instant::now();
        let mut rows = 0;
        let mut table = self
            .client
            .assignments_tsv(&self.pool, &TsvQuery::default())
            .await?;
        while table.next_row().await?.is_some() {
            rows += 1;
        }
        ensure!(rows >= ANSWERS, "{rows} rows came");
        tell("answers downloaded as a table", rows, began.elapsed());
        Ok(())
    }
}

/// Uploads tasks by asynchronous operations, one after the other.
async fn create(client: &Client, pool: &str, size: usize) -> Result<()> {
    let mut batch = Vec::new();
    for n in 0..size {
        let image = json!({"image": format!("https://images.example.com/campaign/{n:07}.jpg")});
        batch.push(Task {
            pool_id: pool.to_owned(),
            input_values: serde_json::from_value(image)?,
            ..Task::default()
        });
        if batch.len() == TASKS_PER_ASYNC_REQUEST || n + 1 == size {
            let id = Uuid::from_u64_pair(1, u64::try_from(n)?);
            let options = CreateOptions {
                allow_defaults: true,
                ..CreateOptions::new(id)
            };
            let operation = client.create_tasks(&batch, &options).await?;
            let details = client
                .get_operation(&operation.id)
                .await?
                .creation_details();
            ensure!(
                details.is_some_and(|one| one.failed_count == 0),
                "tasks failed"
            );
            batch.clear();
        }
    }
    Ok(())
}

/// Uploads control tasks, enough for every page of every worker.
async fn create_golden(client: &Client, pool: &str) -> Result<()> {
    let golden = |n: usize| {
        serde_json::from_value::<Task>(json!({
            "pool_id": pool, "infinite_overlap": true,
            "input_values": {"image": format!("https://images.example.com/golden/{n:05}.jpg")},
            "known_solutions": [{"output_values": {"result": "cat"}}]}))
    };
    let tasks: std::result::Result<Vec<Task>, _> = (0..GOLDEN).map(golden).collect();
    client
        .create_tasks(&tasks?, &CreateOptions::new(Uuid::from_u64_pair(2, 0)))
        .await?;
    Ok(())
}

fn tell(what: &str, count: usize, took: Duration) {
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64();
    println!("{what:36} {rate:9.0} /s {:9.2} s", took.as_secs_f64());
}

/// The middle one and the 99th of 100.
fn tell_times(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| {
        let time = times.get(times.len() * percent / 100).copied();
        time.unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "{what:36} {:9.2} ms, 99 of 100 within {:.2} ms",
        at(50),
        at(99)
    );
}

/// The command beside this benchmark.
fn quorate() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let built = me
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("quorate"));
    built
        .filter(|file| file.exists())
        .context("build it first: cargo build --release")
}

/// The most memory that a process had, in megabytes; Linux tells.
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}
