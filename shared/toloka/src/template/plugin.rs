//! What belongs to the page as a whole: its layout, keys, triggers.

use super::{
    component::{Action, Condition, Flag, Number, View, components, set, words},
    data::Data,
};

components! {
    Plugin
    common {}

    /// Keys that do something.
    hotkeys Hotkeys = "plugin.hotkeys" () {}

    /// Does something when the page opens or data change.
    trigger Trigger = "plugin.trigger" (action "action": Action) {
        /// What must hold besides.
        set condition("condition": Condition);
        /// Whether it is done when the page opens.
        set fire_immediately("fireImmediately": Flag);
        /// The data whose change does it.
        set on_change_of("onChangeOf": Data);
    }

    /// How tasks are laid out.
    toloka Toloka = "plugin.toloka" () {
        /// Whether all tasks are below each other, which is the usual, or one comes at a time.
        within layout("layout", "kind": Layout);
        /// The width of a task, pixels.
        within task_width("layout", "taskWidth": Number);
        /// Adds a note above the tasks.
        push notification("notifications": View);
    }

    /// Keys for [`field::image_annotation`](super::field::image_annotation).
    image_annotation_hotkeys ImageAnnotationHotkeys = "plugin.field.image-annotation.hotkeys" () {
        /// Adds the key of the next kind of area.
        push area("labels": Key);
        /// The key that gives up the area.
        set cancel("cancel": Key);
        /// The key that completes the area.
        set confirm("confirm": Key);
        /// The key for points.
        within point("modes", "point": Key);
        /// The key for polygons.
        within polygon("modes", "polygon": Key);
        /// The key for rectangles.
        within rectangle("modes", "rectangle": Key);
        /// The key that chooses areas.
        within select("modes", "select": Key);
    }

    /// Keys for [`field::text_annotation`](super::field::text_annotation).
    text_annotation_hotkeys TextAnnotationHotkeys = "plugin.field.text-annotation.hotkeys" () {
        /// Adds the key of the next kind of part.
        push category("labels": Key);
        /// The key that takes a mark away.
        set remove("remove": Key);
    }
}

words! {
    /// How tasks are laid out.
    Layout {
        /// Below each other.
        Scroll = "scroll",
        /// One at a time.
        Pager = "pager",
    }
}

impl Hotkeys {
    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: Key, action: impl Into<Action>) -> Self {
        set(&mut self.0, key.as_str(), action.into());
        self
    }
}

/// The keys that there are.
macro_rules! keys {
    ($($name:ident $wire:literal)+) => {
        /// A key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key {
            $(#[doc = concat!("The key `", $wire, "`.")] $name,)+
        }

        impl Key {
            /// The key's name in a configuration.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }
        }
    };
}

keys! {
    A "a" B "b" C "c" D "d" E "e" F "f" G "g" H "h" I "i" J "j" K "k" L "l" M "m"
    N "n" O "o" P "p" Q "q" R "r" S "s" T "t" U "u" V "v" W "w" X "x" Y "y" Z "z"
    Digit0 "0" Digit1 "1" Digit2 "2" Digit3 "3" Digit4 "4" Digit5 "5" Digit6 "6" Digit7 "7"
    Digit8 "8" Digit9 "9" Up "up" Down "down"
}

impl Key {
    /// The keys 1 to 9, for the first nine of anything.
    pub const DIGITS: [Self; 9] = [
        Self::Digit1,
        Self::Digit2,
        Self::Digit3,
        Self::Digit4,
        Self::Digit5,
        Self::Digit6,
        Self::Digit7,
        Self::Digit8,
        Self::Digit9,
    ];
}

impl From<Key> for serde_json::Value {
    fn from(key: Key) -> Self {
        key.as_str().into()
    }
}
