//! Logs and metrics: every event of `tracing` is one JSON object on one line of stdout, where
//! Lambda takes it to CloudWatch Logs.
//!
//! | member | what |
//! |---|---|
//! | `timestamp`, `level`, `message` | RFC 3339 in UTC; `ERROR` … `TRACE`; words |
//! | `function`, `target` | the function, as in the template; the module that speaks |
//! | `requestId`, `xrayTraceId` | the invocation: the names that Lambda's own lines use |
//! | anything else | the fields of the event and of the spans around it, by their names |
//!
//! A field `metric.<name>` with a number is also a metric of CloudWatch, with the stack's name as
//! its dimension: the line becomes a document of the [Embedded Metric Format][emf], so that counting
//! costs no request and use cases need nothing but `tracing`. A metric's unit follows from its
//! name: `…_seconds` are seconds, `…_dollars` have no unit, all others are counts.
//!
//! | variable | meaning |
//! |---|---|
//! | `QUORATE_LOG` | what is written: a level, or levels of modules, e.g. `info,quorate_core=debug` |
//! | `AWS_LAMBDA_LOG_LEVEL` | the level if `QUORATE_LOG` is not set; Lambda sets it from the function's logging configuration |
//! | `QUORATE_STACK` | the stack's name |
//!
//! Metrics are written at any level. Modules outside Quorate never say more than at `info`: what
//! clients of HTTP say below that has headers and bodies, and so secrets.
//!
//! [emf]: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

use std::error::Error;
use std::fmt::Debug;
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};

use crate::config::{ConfigError, environment};

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Quorate";

/// What marks a field as a metric.
const METRIC: &str = "metric.";

/// Begins to write events, and panics as events, to stdout. The first call counts.
///
/// # Errors
/// A variable that is not set or wrong. Events are written nevertheless, from `info` up, so that
/// the error can be told like all others.
pub fn init(function: &'static str) -> Result<(), ConfigError> {
    let targets = targets(environment);
    let stack = stack(environment);
    let lines = Lines {
        function,
        stack: stack.clone().unwrap_or_default(),
        // Nobody is left to tell of a closed stdout.
        write: |line: &[u8]| drop(io::stdout().lock().write_all(line)),
    };
    let wanted = targets.clone().unwrap_or_else(|_| up_to(LevelFilter::INFO));
    // It only fails if there is a subscriber already.
    drop(tracing::subscriber::set_global_default(subscriber(
        lines, wanted,
    )));
    panic::set_hook(Box::new(tell));
    targets.and(stack).map(drop)
}

/// Tells of a panic, with the ids of the invocation that it ends.
fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let words = panic.payload_as_str().unwrap_or("without words");
    tracing::error!(place, "panicked: {words}");
}

/// The stack's name, given a way to look variables up.
fn stack(lookup: impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let stack = lookup("QUORATE_STACK").filter(|stack| !stack.is_empty());
    stack.ok_or_else(|| ConfigError {
        variable: "QUORATE_STACK",
        found: "is not set".to_owned(),
        expected: "the name of the stack",
    })
}

/// What is to be written.
fn targets(lookup: impl Fn(&str) -> Option<String>) -> Result<Targets, ConfigError> {
    let set = |name| lookup(name).filter(|value| !value.is_empty());
    if let Some(filter) = set("QUORATE_LOG") {
        return filter.parse().map_err(|_| ConfigError {
            variable: "QUORATE_LOG",
            found: format!("is {filter:?}"),
            expected: "a level, or levels of modules such as info,quorate_core=debug",
        });
    }
    // Lambda's own levels: `FATAL` is the one that `tracing` does not have.
    let level = set("AWS_LAMBDA_LOG_LEVEL").map(|level| level.replace("FATAL", "ERROR"));
    let level = level.and_then(|level| level.parse().ok());
    Ok(up_to(level.unwrap_or(LevelFilter::INFO)))
}

fn up_to(level: LevelFilter) -> Targets {
    Targets::new().with_default(level)
}

fn subscriber<W>(lines: Lines<W>, targets: Targets) -> impl Subscriber + Send + Sync
where
    W: Fn(&[u8]) + Send + Sync + 'static,
{
    let wanted = move |metadata: &Metadata<'_>| {
        let level = metadata.level();
        let ours = metadata.target().starts_with("quorate");
        // Spans carry the invocation's id to every line, errors too.
        let always = (metadata.is_span() && *level <= Level::INFO)
            || metadata.fields().iter().any(|field| is_metric(&field));
        always
            || (targets.would_enable(metadata.target(), level) && (ours || *level <= Level::INFO))
    };
    Registry::default().with(lines.with_filter(filter_fn(wanted)))
}

/// Writes each event as a line.
struct Lines<W> {
    function: &'static str,
    stack: String,
    write: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let spans = context.event_scope(event);
        for span in spans.into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.plain.extend(of_span.plain.clone());
            }
        }
        event.record(&mut fields);
        let line = Line::new(self, event.metadata(), fields, Timestamp::now());
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            (self.write)(&line);
        }
    }
}

/// A line, in the order in which a person reads it.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Value>,
    function: &'a str,
    target: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<'a> Line<'a> {
    fn new<W>(
        lines: &'a Lines<W>,
        metadata: &'a Metadata<'_>,
        Fields { mut plain, metrics }: Fields,
        now: Timestamp,
    ) -> Self {
        let message = plain.remove("message");
        // A member must not come twice.
        for taken in ["timestamp", "level", "function", "target"] {
            plain.remove(taken);
        }
        if !metrics.is_empty() {
            plain.insert("stack".to_owned(), lines.stack.clone().into());
            plain.insert("_aws".to_owned(), described(&metrics, now));
            plain.extend(metrics);
        }
        Self {
            timestamp: format!("{now:.3}"),
            level: metadata.level().as_str(),
            message,
            function: lines.function,
            target: metadata.target(),
            fields: plain,
        }
    }
}

/// The member `_aws`, which says that `metrics` are metrics.
fn described(metrics: &Map<String, Value>, now: Timestamp) -> Value {
    let metrics = metrics.keys();
    let metrics: Vec<Value> = metrics
        .map(|name| json!({"Name": name, "Unit": unit(name)}))
        .collect();
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [["stack"]],
        "Metrics": metrics,
    });
    json!({"Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive]})
}

fn is_metric(field: &Field) -> bool {
    field.name().starts_with(METRIC)
}

fn unit(metric: &str) -> &'static str {
    match metric {
        seconds if seconds.ends_with("_seconds") => "Seconds",
        dollars if dollars.ends_with("_dollars") => "None",
        _ => "Count",
    }
}

/// Fields of an event or a span as JSON.
#[derive(Default)]
struct Fields {
    plain: Map<String, Value>,
    /// Numbers, by what comes after `metric.`.
    metrics: Map<String, Value>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        let value = value.into();
        match field.name().strip_prefix(METRIC) {
            Some(name) if value.is_number() => self.metrics.insert(name.to_owned(), value),
            _ => self.plain.insert(field.name().to_owned(), value),
        };
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // What JSON has no number for becomes null, and so no metric.
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut words = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        self.set(field, words);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// The lines that `speak` leads to under a filter, and their text.
    fn written(targets: &str, speak: impl FnOnce()) -> Vec<String> {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let lines = Lines {
            function: "create-tasks",
            stack: "cells-prod".to_owned(),
            write: move |line: &[u8]| sink.lock().unwrap().extend_from_slice(line),
        };
        let subscriber = subscriber(lines, targets.parse().unwrap());
        tracing::subscriber::with_default(subscriber, speak);
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// The only line, without its time, which is returned in milliseconds.
    fn one(speak: impl FnOnce()) -> (Value, i64) {
        let lines = written("info", speak);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let mut line: Value = serde_json::from_str(&lines[0]).unwrap();
        let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        let time: Timestamp = time.as_str().unwrap().parse().unwrap();
        (line, time.as_millisecond())
    }

    #[test]
    fn an_event_is_a_line_with_its_fields_and_those_of_the_spans_around_it() {
        let (line, _) = one(|| {
            let outer =
                tracing::info_span!("outer", requestId = "r1", later = tracing::field::Empty);
            let _outer = outer.enter();
            outer.record("later", 7);
            let _inner = tracing::info_span!("inner", batch.id = %"b1", round = 1).entered();
            tracing::warn!(round = 2, ok = false, share = 0.5, list = ?[1, 2], "not {}", "sent");
        });
        let expected = json!({
            "level": "WARN",
            "message": "not sent",
            "function": "create-tasks",
            "target": "quorate_aws::telemetry::tests",
            "requestId": "r1",
            "later": 7,
            "batch.id": "b1",
            "round": 2,
            "ok": false,
            "share": 0.5,
            "list": "[1, 2]",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_begins_with_what_a_person_looks_for() {
        let lines = written("info", || tracing::info!(a = 1, "hello"));
        let (time, rest) = lines[0].split_at(r#"{"timestamp":"2026-01-05T10:00:00.000Z"#.len());
        assert!(time.ends_with('Z'), "{time}");
        let expected = r#"","level":"INFO","message":"hello","function":"create-tasks","#
            .to_owned()
            + r#""target":"quorate_aws::telemetry::tests","a":1}"#;
        assert_eq!(rest, expected);
    }

    #[test]
    fn what_comes_from_outside_stays_on_its_line() {
        let (line, _) = one(|| {
            tracing::info!(
                key = "a\nb\u{1b}[31m\"}",
                "{}",
                "forged\r\n{\"level\":\"INFO\"}"
            );
        });
        assert_eq!(line["key"], "a\nb\u{1b}[31m\"}");
        assert_eq!(line["message"], "forged\r\n{\"level\":\"INFO\"}");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("round cells/1 was not closed")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other("throttled"));
        let (line, _) = one(|| tracing::error!(error = &error as &dyn Error));
        assert_eq!(line["error"], "round cells/1 was not closed: throttled");
        assert_eq!(line.get("message"), None);
    }

    #[test]
    fn a_panic_is_told_on_one_line_with_the_ids_of_its_invocation() {
        let usual = panic::take_hook();
        let (line, _) = one(|| {
            let _span = tracing::info_span!("invocation", requestId = "r1").entered();
            panic::set_hook(Box::new(tell));
            let caught = panic::catch_unwind(|| panic!("asked for\nby the test"));
            assert!(caught.is_err());
        });
        panic::set_hook(usual);
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["message"], "panicked: asked for\nby the test");
        assert_eq!(line["requestId"], "r1");
        let place = line["place"].as_str().unwrap();
        assert!(place.starts_with(file!()), "{place}");
    }

    #[test]
    fn fields_cannot_take_the_place_of_what_every_line_has() {
        let (line, _) = one(|| tracing::info!(level = "x", function = "x", target = "x", "m"));
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["function"], "create-tasks");
        assert_eq!(line["target"], "quorate_aws::telemetry::tests");
    }

    #[test]
    fn numbers_named_as_metrics_make_an_embedded_metric_document() {
        let (line, time) = one(|| {
            tracing::info!(
                round = "cells/1",
                metric.images = 95_u64,
                metric.cost_dollars = 4.32,
                metric.oldest_work_seconds = 61,
                "admitted"
            );
        });
        let expected = json!({
            "level": "INFO",
            "message": "admitted",
            "function": "create-tasks",
            "target": "quorate_aws::telemetry::tests",
            "round": "cells/1",
            "stack": "cells-prod",
            "images": 95,
            "cost_dollars": 4.32,
            "oldest_work_seconds": 61,
            "_aws": {
                "Timestamp": time,
                "CloudWatchMetrics": [{
                    "Namespace": "Quorate",
                    "Dimensions": [["stack"]],
                    "Metrics": [
                        {"Name": "cost_dollars", "Unit": "None"},
                        {"Name": "images", "Unit": "Count"},
                        {"Name": "oldest_work_seconds", "Unit": "Seconds"},
                    ],
                }],
            },
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_not_a_number_is_no_metric() {
        let (line, _) = one(|| tracing::info!(metric.share = f64::NAN, metric.images = "many"));
        assert_eq!(line.get("_aws"), None);
        assert_eq!(line["metric.images"], "many");
        assert_eq!(line["metric.share"], Value::Null);
    }

    #[test]
    fn a_quiet_log_keeps_metrics_and_the_ids_of_invocations() {
        let lines = written("error", || {
            let _span = tracing::info_span!("invocation", requestId = "r1").entered();
            tracing::info!("chatter");
            tracing::info!(metric.images = 1, "admitted");
            tracing::error!("failed");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains(r#""images":1"#));
        assert!(lines[1].contains(r#""requestId":"r1""#));
    }

    #[test]
    fn other_crates_never_tell_of_headers_and_bodies() {
        let lines = written("trace", || {
            tracing::debug!(target: "aws_smithy_runtime::client", "authorization: secret");
            tracing::trace!(target: "quorate_core::rounds", "ours");
            tracing::info!(target: "lambda_runtime", "theirs");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!lines.concat().contains("secret"));
    }

    fn level(variables: &[(&str, &str)]) -> Result<String, ConfigError> {
        let of = |name: &str| variables.iter().find(|(key, _)| *key == name);
        let lookup = |name: &str| of(name).map(|(_, value)| (*value).to_owned());
        targets(lookup).map(|targets| targets.to_string())
    }

    #[test]
    fn the_filter_is_ours_then_lambdas_then_info() {
        for (variables, expected) in [
            (vec![], "info"),
            (vec![("QUORATE_LOG", "")], "info"),
            (vec![("AWS_LAMBDA_LOG_LEVEL", "FATAL")], "error"),
            (vec![("AWS_LAMBDA_LOG_LEVEL", "DEBUG")], "debug"),
            (
                vec![("QUORATE_LOG", "warn"), ("AWS_LAMBDA_LOG_LEVEL", "DEBUG")],
                "warn",
            ),
        ] {
            assert_eq!(level(&variables).unwrap(), expected, "{variables:?}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = level(&[("QUORATE_LOG", "info,quorate=loud")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "QUORATE_LOG is \"info,quorate=loud\"; expected a level, or levels of modules such as \
             info,quorate_core=debug"
        );
        for unset in [None, Some(String::new())] {
            let error = stack(|_| unset.clone()).unwrap_err().to_string();
            assert!(error.starts_with("QUORATE_STACK is not set;"), "{error}");
        }
    }
}
