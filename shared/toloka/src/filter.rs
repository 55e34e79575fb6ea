//! Filters: who may work in a pool.
//!
//! Every fact about a worker offers only the comparisons that the platform knows for it; `&` and
//! `|` join the conditions.
//!
//! ```
//! use quorate_toloka::{
//!     filter::{ClientType, client_type, languages, skill},
//!     types::Pool,
//! };
//!
//! let speaks_english = languages().includes("EN");
//! let good_or_new = skill("12").at_least(80) | skill("12").is_missing();
//! let at_a_desk = client_type().is(ClientType::Browser);
//! let pool = Pool {
//!     filter: Some(speaks_english & good_or_new & at_a_desk),
//!     ..Pool::default()
//! };
//! # let written = serde_json::to_value(&pool).unwrap();
//! # assert_eq!(written["filter"]["and"][1]["or"][0]["value"], 80);
//! ```

use std::marker::PhantomData;

use serde_json::Value;

use crate::types::{Decimal, Filter, FilterCategory, Operator, open_enum::open_enum};

/// The comparisons of a number, by the type's own `compare`.
macro_rules! comparisons {
    ($result:ty) => {
        /// It is this.
        pub fn is(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Eq, number(value.into()))
        }

        /// It is not this.
        pub fn is_not(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Ne, number(value.into()))
        }

        /// It is this or more.
        pub fn at_least(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Gte, number(value.into()))
        }

        /// It is more than this.
        pub fn above(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Gt, number(value.into()))
        }

        /// It is this or less.
        pub fn at_most(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Lte, number(value.into()))
        }

        /// It is less than this.
        pub fn below(self, value: impl Into<Decimal>) -> $result {
            self.compare(Operator::Lt, number(value.into()))
        }
    };
}

pub(crate) use comparisons;

/// Which fact about a worker.
#[derive(Clone, Debug)]
struct Fact {
    category: FilterCategory,
    key: String,
}

impl Fact {
    fn compare(self, operator: Operator, value: impl Into<Value>) -> Filter {
        Filter::condition(self.category, self.key, operator, value)
    }
}

/// A fact that is one of a few values.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Identity<V>(Fact, PhantomData<V>);

impl<V: Into<Value>> Identity<V> {
    fn new(fact: Fact) -> Self {
        Self(fact, PhantomData)
    }

    /// It is this.
    pub fn is(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::Eq, value.into())
    }

    /// It is not this.
    pub fn is_not(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::Ne, value.into())
    }
}

/// A fact that is several values at once, or a place that lies within others.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Inclusion<V>(Fact, PhantomData<V>);

impl<V: Into<Value>> Inclusion<V> {
    fn new(fact: Fact) -> Self {
        Self(fact, PhantomData)
    }

    /// This is among its values.
    pub fn includes(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::In, value.into())
    }

    /// This is not among its values.
    pub fn excludes(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::NotIn, value.into())
    }

    /// One of these is among its values.
    pub fn includes_any<T: Into<V>>(self, values: impl IntoIterator<Item = T>) -> Filter {
        let includes = |value: T| self.0.clone().compare(Operator::In, value.into());
        Filter::Or(values.into_iter().map(includes).collect())
    }
}

/// A fact that is a number.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Comparable(Fact);

impl Comparable {
    fn new(fact: Fact) -> Self {
        Self(fact)
    }

    fn compare(self, operator: Operator, value: Value) -> Filter {
        self.0.compare(operator, value)
    }

    comparisons!(Filter);
}

/// A worker's value of a skill, which may be missing.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Skill(Fact);

/// The worker's value of the skill with this id, 0–100.
pub fn skill(skill_id: impl Into<String>) -> Skill {
    Skill(Fact {
        category: FilterCategory::Skill,
        key: skill_id.into(),
    })
}

impl Skill {
    fn compare(self, operator: Operator, value: Value) -> Filter {
        self.0.compare(operator, value)
    }

    comparisons!(Filter);

    /// The worker does not have the skill.
    pub fn is_missing(self) -> Filter {
        self.compare(Operator::Eq, Value::Null)
    }

    /// The worker has the skill, whatever its value.
    pub fn is_there(self) -> Filter {
        self.compare(Operator::Ne, Value::Null)
    }
}

/// A number as JSON, exactly and without needless zeros.
pub(crate) fn number(value: Decimal) -> Value {
    // A decimal prints as a JSON number.
    serde_json::from_str(&value.normalize().to_string()).unwrap_or_default()
}

/// Facts by their names on the wire.
macro_rules! facts {
    ($($(#[$doc:meta])+ $name:ident: $category:ident $key:literal $kind:ident $(<$value:ty>)?;)+) => {$(
        $(#[$doc])+
        pub fn $name() -> $kind $(<$value>)? {
            $kind::new(Fact {
                category: FilterCategory::$category,
                key: $key.to_owned(),
            })
        }
    )+};
}

facts! {
    /// The gender in the profile.
    gender: Profile "gender" Identity<Gender>;
    /// The country in the profile, as ISO 3166-1 code (`"FR"`).
    country: Profile "country" Identity<String>;
    /// The citizenship in the profile, as ISO 3166-1 code.
    citizenship: Profile "citizenship" Identity<String>;
    /// The education in the profile.
    education: Profile "education" Identity<Education>;
    /// Whether the worker agreed to adult content.
    adult_allowed: Profile "adult_allowed" Identity<bool>;
    /// The date of birth, seconds since 1970.
    date_of_birth: Profile "date_of_birth" Comparable;
    /// The city in the profile, as the platform's number of the region.
    city: Profile "city" Inclusion<i64>;
    /// The languages in the profile, as codes in capitals (`"EN"`).
    languages: Profile "languages" Inclusion<String>;
    /// Whether the worker's profile is verified.
    verified: Profile "verified" Identity<bool>;
    /// The program that the worker works in.
    client_type: Computed "client_type" Identity<ClientType>;
    /// The region of the telephone number, as the platform's number.
    region_by_phone: Computed "region_by_phone" Inclusion<i64>;
    /// The region of the network address, as the platform's number.
    region_by_ip: Computed "region_by_ip" Inclusion<i64>;
    /// The kind of device.
    device_category: Computed "device_category" Identity<DeviceCategory>;
    /// The operating system.
    os_family: Computed "os_family" Identity<OsFamily>;
    /// The operating system's version, major and minor (14.4).
    os_version: Computed "os_version" Comparable;
    /// The operating system's major version.
    os_version_major: Computed "os_version_major" Comparable;
    /// The operating system's minor version.
    os_version_minor: Computed "os_version_minor" Comparable;
    /// The operating system's bug-fix version.
    os_version_bugfix: Computed "os_version_bugfix" Comparable;
    /// The kind of software.
    user_agent_type: Computed "user_agent_type" Identity<UserAgentType>;
    /// The browser.
    user_agent_family: Computed "user_agent_family" Identity<UserAgentFamily>;
    /// The browser's version, major and minor.
    user_agent_version: Computed "user_agent_version" Comparable;
    /// The browser's major version.
    user_agent_version_major: Computed "user_agent_version_major" Comparable;
    /// The browser's minor version.
    user_agent_version_minor: Computed "user_agent_version_minor" Comparable;
    /// The browser's bug-fix version.
    user_agent_version_bugfix: Computed "user_agent_version_bugfix" Comparable;
}

open_enum! {
    /// A gender.
    Gender {
        /// Female.
        Female = "FEMALE",
        /// Male.
        Male = "MALE",
    }
}

open_enum! {
    /// An education.
    Education {
        /// School.
        Basic = "BASIC",
        /// Vocational training.
        Middle = "MIDDLE",
        /// University.
        High = "HIGH",
    }
}

open_enum! {
    /// The program that a worker works in.
    ClientType {
        /// A browser.
        Browser = "BROWSER",
        /// The platform's app.
        TolokaApp = "TOLOKA_APP",
    }
}

open_enum! {
    /// A kind of device.
    DeviceCategory {
        /// A computer.
        PersonalComputer = "PERSONAL_COMPUTER",
        /// A telephone.
        Smartphone = "SMARTPHONE",
        /// A tablet.
        Tablet = "TABLET",
        /// A watch or the like.
        WearableComputer = "WEARABLE_COMPUTER",
    }
}

open_enum! {
    /// An operating system.
    OsFamily {
        /// Windows.
        Windows = "WINDOWS",
        /// macOS, as it is called now.
        MacOs = "MAC_OS",
        /// macOS, as it was called before.
        OsX = "OS_X",
        /// Linux.
        Linux = "LINUX",
        /// One of the BSDs.
        Bsd = "BSD",
        /// Android.
        Android = "ANDROID",
        /// iOS.
        Ios = "IOS",
        /// `BlackBerry`.
        BlackBerry = "BLACKBERRY",
    }
}

open_enum! {
    /// A kind of software.
    UserAgentType {
        /// A browser.
        Browser = "BROWSER",
        /// A browser on a telephone or tablet.
        MobileBrowser = "MOBILE_BROWSER",
        /// Anything else.
        Other = "OTHER",
    }
}

open_enum! {
    /// A browser.
    UserAgentFamily {
        /// Chrome.
        Chrome = "CHROME",
        /// Chrome on a telephone or tablet.
        ChromeMobile = "CHROME_MOBILE",
        /// Chromium.
        Chromium = "CHROMIUM",
        /// Firefox.
        Firefox = "FIREFOX",
        /// Firefox on a telephone or tablet.
        FirefoxMobile = "MOBILE_FIREFOX",
        /// Safari.
        Safari = "SAFARI",
        /// Safari on a telephone or tablet.
        SafariMobile = "MOBILE_SAFARI",
        /// Yandex Browser.
        YandexBrowser = "YANDEX_BROWSER",
        /// Internet Explorer.
        InternetExplorer = "IE",
        /// Internet Explorer on a telephone.
        InternetExplorerMobile = "IE_MOBILE",
    }
}
