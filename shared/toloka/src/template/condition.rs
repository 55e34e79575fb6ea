//! What holds or does not: in the validation of a field, and where a decision is made.

use super::component::{Any, Condition, List, Number, Text, components};

components! {
    Condition
    common {
        /// What the worker is told when it does not hold.
        set hint("hint": Text);
    }

    /// All of them hold.
    all All = "condition.all" () {
        /// Adds one.
        push condition("conditions": Condition);
    }

    /// One of them holds.
    any AnyOf = "condition.any" () {
        /// Adds one.
        push condition("conditions": Condition);
    }

    /// Two places (`latitude,longitude`) are at most so many metres apart.
    distance Distance = "@yandex-toloka/condition.distance" (from "from": Text, to "to": Text, max "max": Number) {}

    /// There is no value.
    empty Empty = "condition.empty" () {
        /// Which; that of the field that it validates unless it is called.
        set data("data": Any);
    }

    /// The value is this.
    equals Equals = "condition.equals" (to "to": Any) {
        /// Which; that of the field that it validates unless it is called.
        set data("data": Any);
    }

    /// The worker has opened a link.
    link_opened LinkOpened = "condition.link-opened" (url "url": Text) {}

    /// The other does not hold.
    not Not = "condition.not" (condition "condition": Condition) {}

    /// The player that it validates was started.
    played Played = "condition.played" () {}

    /// The player that it validates has come to the end.
    played_fully PlayedFully = "condition.played-fully" () {}

    /// There is a value.
    required Required = "condition.required" () {
        /// Which; that of the field that it validates unless it is called.
        set data("data": Any);
    }

    /// The value is a link to the same site as another one.
    same_domain SameDomain = "condition.same-domain" (original "original": Text) {
        /// Which; that of the field that it validates unless it is called.
        set data("data": Any);
    }

    /// The value fits a JSON schema.
    schema Schema = "condition.schema" (schema "schema": Any) {
        /// Which; that of the field that it validates unless it is called.
        set data("data": Any);
    }

    /// All elements of a list are in another one.
    sub_array SubArray = "condition.sub-array" (data "data": List, parent "parent": List) {}
}
