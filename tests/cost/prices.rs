//! What AWS asks for, and what a million images come to.
//!
//! List prices of us-east-1 in dollars, without free tiers, as of November 2026, from the pages
//! "Amazon DynamoDB pricing for on-demand capacity", "Amazon S3 pricing", "Amazon EventBridge
//! pricing", "Amazon SQS pricing", "AWS Lambda pricing", "AWS Secrets Manager pricing" and "Amazon
//! EC2 on-demand pricing" (data transfer). Check them: they change, and other regions differ.

/// A price, and what it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Price {
    /// Dollars for so many.
    dollars: f64,
    /// How many.
    each: f64,
    /// What is counted, as in "$0.40 for 1 million requests".
    what: &'static str,
}

const MILLION: f64 = 1e6;

const fn price(dollars: f64, each: f64, what: &'static str) -> Price {
    Price {
        dollars,
        each,
        what,
    }
}

pub(crate) const WRITE_UNITS: Price = price(0.625, MILLION, "write units");
pub(crate) const READ_UNITS: Price = price(0.125, MILLION, "read units");
pub(crate) const S3_PUTS: Price = price(0.005, 1e3, "PUT or LIST requests");
pub(crate) const S3_GETS: Price = price(0.0004, 1e3, "GET or HEAD requests");
/// Events of S3 are opted into; some sources say that they are free.
pub(crate) const EVENTS: Price = price(1.0, MILLION, "events");
pub(crate) const SCHEDULES: Price = price(1.0, MILLION, "invocations");
pub(crate) const SQS: Price = price(0.40, MILLION, "requests");
pub(crate) const INVOCATIONS: Price = price(0.20, MILLION, "invocations");
/// On arm64; a quarter more on x86-64.
pub(crate) const GB_SECONDS: Price = price(0.000_013_333_4, 1.0, "GB-seconds");
pub(crate) const SECRETS: Price = price(0.05, 1e4, "requests");
pub(crate) const TRANSFER: Price = price(0.09, 1.0, "GB");

impl Price {
    /// Dollars for so many.
    pub(crate) fn of(self, amount: f64) -> f64 {
        amount * self.dollars / self.each
    }

    /// The price in words.
    pub(crate) fn words(self) -> String {
        let (dollars, what) = (self.dollars, self.what);
        match self.each {
            1.0 => format!("${dollars} a {}", what.trim_end_matches('s')),
            MILLION => format!("${dollars} for a million {what}"),
            each => format!("${dollars} for {each} {what}"),
        }
    }
}
