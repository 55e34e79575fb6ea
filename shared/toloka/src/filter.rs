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

/// A fact that is one of a few values.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Identity<V>(Fact<V>);

impl<V: Into<Value>> Identity<V> {
    /// It is this.
    pub fn is(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::Eq, value.into())
    }

    /// It is not this.
    pub fn is_not(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::Ne, value.into())
    }
}

/// A fact that is a number.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Comparable<V>(Fact<V>);

impl Comparable<Decimal> {
    /// It is this.
    pub fn is(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Eq, number(value.into()))
    }

    /// It is not this.
    pub fn is_not(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Ne, number(value.into()))
    }

    /// It is this or more.
    pub fn at_least(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Gte, number(value.into()))
    }

    /// It is more than this.
    pub fn above(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Gt, number(value.into()))
    }

    /// It is this or less.
    pub fn at_most(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Lte, number(value.into()))
    }

    /// It is less than this.
    pub fn below(self, value: impl Into<Decimal>) -> Filter {
        self.0.compare(Operator::Lt, number(value.into()))
    }
}

/// A fact that is several values at once, or a place that lies within others.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Inclusion<V>(Fact<V>);

impl<V: Into<Value>> Inclusion<V> {
    /// This is among its values.
    pub fn includes(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::In, value.into())
    }

    /// This is not among its values.
    pub fn excludes(self, value: impl Into<V>) -> Filter {
        self.0.compare(Operator::NotIn, value.into())
    }

    /// One of these is among its values.
    pub fn includes_any<T: Into<V>>(self, values: impl IntoIterator<Item = T>) -> Filter
    where
        V: Clone,
    {
        let values = values.into_iter();
        Filter::Or(values.map(|value| self.clone().includes(value)).collect())
    }
}

/// A worker's value of a skill, which may be missing.
#[derive(Clone, Debug)]
#[must_use = "compare it"]
pub struct Skill(String);

/// The worker's value of the skill with this id, 0–100.
pub fn skill(skill_id: impl Into<String>) -> Skill {
    Skill(skill_id.into())
}

impl Skill {
    /// The worker has the skill, and it is this or more.
    #[must_use]
    pub fn at_least(self, value: impl Into<Decimal>) -> Filter {
        self.value().at_least(value)
    }

    /// The worker has the skill, and it is more than this.
    #[must_use]
    pub fn above(self, value: impl Into<Decimal>) -> Filter {
        self.value().above(value)
    }

    /// The worker has the skill, and it is this or less.
    #[must_use]
    pub fn at_most(self, value: impl Into<Decimal>) -> Filter {
        self.value().at_most(value)
    }

    /// The worker has the skill, and it is less than this.
    #[must_use]
    pub fn below(self, value: impl Into<Decimal>) -> Filter {
        self.value().below(value)
    }

    /// The worker has the skill, and it is this.
    #[must_use]
    pub fn is(self, value: impl Into<Decimal>) -> Filter {
        self.value().is(value)
    }

    /// The worker's value is not this.
    #[must_use]
    pub fn is_not(self, value: impl Into<Decimal>) -> Filter {
        self.value().is_not(value)
    }

    /// The worker does not have the skill.
    #[must_use]
    pub fn is_missing(self) -> Filter {
        Filter::condition(FilterCategory::Skill, self.0, Operator::Eq, Value::Null)
    }

    /// The worker has the skill, whatever its value.
    #[must_use]
    pub fn is_there(self) -> Filter {
        Filter::condition(FilterCategory::Skill, self.0, Operator::Ne, Value::Null)
    }

    fn value(self) -> Comparable<Decimal> {
        Comparable(Fact::new(FilterCategory::Skill, self.0))
    }
}

/// Which fact about a worker.
#[derive(Clone, Debug)]
struct Fact<V> {
    category: FilterCategory,
    key: String,
    value: PhantomData<V>,
}

impl<V> Fact<V> {
    fn new(category: FilterCategory, key: impl Into<String>) -> Self {
        Self {
            category,
            key: key.into(),
            value: PhantomData,
        }
    }

    fn compare(self, operator: Operator, value: impl Into<Value>) -> Filter {
        Filter::condition(self.category, self.key, operator, value)
    }
}

/// A number as JSON, exactly and without needless zeros.
pub(crate) fn number(value: Decimal) -> Value {
    // A decimal prints as a JSON number.
    serde_json::from_str(&value.normalize().to_string()).unwrap_or_default()
}

/// Facts by their names on the wire.
macro_rules! facts {
    ($($(#[$doc:meta])+ $name:ident: $category:ident $key:literal $kind:ident<$value:ty>;)+) => {$(
        $(#[$doc])+
        pub fn $name() -> $kind<$value> {
            $kind(Fact::new(FilterCategory::$category, $key))
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
    date_of_birth: Profile "date_of_birth" Comparable<Decimal>;
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
    os_version: Computed "os_version" Comparable<Decimal>;
    /// The operating system's major version.
    os_version_major: Computed "os_version_major" Comparable<Decimal>;
    /// The operating system's minor version.
    os_version_minor: Computed "os_version_minor" Comparable<Decimal>;
    /// The operating system's bug-fix version.
    os_version_bugfix: Computed "os_version_bugfix" Comparable<Decimal>;
    /// The kind of software.
    user_agent_type: Computed "user_agent_type" Identity<UserAgentType>;
    /// The browser.
    user_agent_family: Computed "user_agent_family" Identity<UserAgentFamily>;
    /// The browser's version, major and minor.
    user_agent_version: Computed "user_agent_version" Comparable<Decimal>;
    /// The browser's major version.
    user_agent_version_major: Computed "user_agent_version_major" Comparable<Decimal>;
    /// The browser's minor version.
    user_agent_version_minor: Computed "user_agent_version_minor" Comparable<Decimal>;
    /// The browser's bug-fix version.
    user_agent_version_bugfix: Computed "user_agent_version_bugfix" Comparable<Decimal>;
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
