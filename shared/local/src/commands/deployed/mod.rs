//! A stack on AWS: the arguments that name it, and what is found under its name.
//!
//! The AWS SDK is much of a build, so it is behind the feature `aws`; without it the arguments are
//! there all the same and say how to get a `quorate` that takes them.

#[cfg(feature = "aws")]
mod stack;

#[cfg(feature = "aws")]
pub(super) use stack::{Deployed, explain};

/// Which stack on AWS is meant, if one is.
#[derive(Debug, clap::Args)]
pub(super) struct OnAws {
    /// A stack on AWS, by the name it was deployed under, instead of one on this machine
    #[arg(long, value_name = "NAME", value_parser = stack_name)]
    stack: Option<String>,
    /// The AWS profile to use [default: `AWS_PROFILE`, else the usual credentials]
    #[arg(long, value_name = "PROFILE", requires = "stack")]
    profile: Option<String>,
    /// The region of the stack [default: `AWS_REGION`, else the profile's]
    #[arg(long, value_name = "REGION", requires = "stack")]
    region: Option<String>,
}

fn stack_name(text: &str) -> Result<String, &'static str> {
    if cfg!(feature = "aws") {
        Ok(text.to_owned())
    } else {
        Err("this quorate was built without AWS. Build one with it:\n  \
             cargo install --path shared/local --features aws")
    }
}
