//! Values that are computed when the page is shown.

use super::component::{Any, Condition, List, Text, components, words};

components! {
    Source
    common {}

    /// Several lists after each other.
    concat_arrays ConcatArrays = "helper.concat-arrays" () {
        /// Adds a list.
        push items("items": Any);
    }

    /// An object out of keys and values.
    entries2object Entries2Object = "helper.entries2object" () {
        /// Adds a key with its value.
        push_object entry("entries": key "key": Text, value "value": Any);
        /// Takes all entries from elsewhere.
        set entries("entries": List);
    }

    /// The first value when a condition holds; else nothing, or the second one.
    when If = "helper.if" (condition "condition": Condition, then "then": Any) {
        /// The value when it does not hold.
        set otherwise("else": Any);
    }

    /// Texts after each other.
    join Join = "helper.join" () {
        /// Adds a text.
        push item("items": Text);
        /// What stands between them.
        set by("by": Text);
    }

    /// The keys and values of an object as a list.
    object2entries Object2Entries = "helper.object2entries" (data "data": Any) {}

    /// A text with one part replaced by another one.
    replace Replace = "helper.replace" (data "data": Text, find "find": Text, replace "replace": Text) {}

    /// A link to what a search engine finds.
    search_query SearchQuery = "helper.search-query" (query "query": Text, engine "engine": Engine) {}

    /// The value of the first case that holds.
    switch Switch = "helper.switch" () {
        /// Adds a case.
        push_object case("cases": condition "condition": Condition, result "result": Any);
        /// The value when none holds.
        set default("default": Any);
    }

    /// A text in capitals or the other way round.
    text_transform TextTransform = "helper.text-transform" (data "data": Text, transformation "transformation": Transformation) {}

    /// A list made out of another one: `into` for each element, which is
    /// [`local("item")`](super::data::local) there.
    transform Transform = "helper.transform" (into "into": Any, items "items": List) {}

    /// A text in the worker's language, by its key in the project's translations.
    translate Translate = "helper.translate" (key "key": Text) {}

    /// A file on Yandex Disk, by its path.
    proxy Proxy = "@yandex-toloka/helper.proxy" (path "path": Text) {}
}

words! {
    /// A search engine.
    Engine {
        /// Yandex.
        Yandex = "yandex",
        /// Google.
        Google = "google",
        /// Bing.
        Bing = "bing",
        /// Mail.ru.
        MailRu = "mail.ru",
        /// Wikipedia.
        Wikipedia = "wikipedia",
        /// Yandex, collections.
        YandexCollections = "yandex/collections",
        /// Yandex, films.
        YandexVideo = "yandex/video",
        /// Yandex, images.
        YandexImages = "yandex/images",
        /// Yandex, news.
        YandexNews = "yandex/news",
        /// Google, images.
        GoogleImages = "google/images",
        /// Google, news.
        GoogleNews = "google/news",
    }

    /// What becomes of a text.
    Transformation {
        /// All in capitals.
        Uppercase = "uppercase",
        /// Nothing in capitals.
        Lowercase = "lowercase",
        /// The first letter a capital.
        Capitalize = "capitalize",
    }
}
