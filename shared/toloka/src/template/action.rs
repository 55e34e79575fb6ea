//! What is done when a key or button is pressed, or something changes.

use super::{
    component::{Action, Any, Number, Reference, Text, components, words},
    data::Data,
    view::Theme,
};

components! {
    Action
    common {}

    /// Several things.
    bulk Bulk = "action.bulk" () {
        /// Adds one.
        push action("payload": Action);
    }

    /// Shows a note.
    notify Notify = "action.notify" () {
        /// What it says.
        within content("payload", "content": Any);
        /// Its colour.
        within theme("payload", "theme": Theme);
        /// How long it waits before, milliseconds.
        within delay("payload", "delay": Number);
        /// How long it stays, milliseconds.
        within duration("payload", "duration": Number);
    }

    /// Opens or closes an image or block.
    open_close OpenClose = "action.open-close" (view "view": Reference) {}

    /// Opens a link.
    open_link OpenLink = "action.open-link" (payload "payload": Text) {}

    /// Starts or stops a player.
    play_pause PlayPause = "action.play-pause" (view "view": Reference) {}

    /// Turns an image.
    rotate Rotate = "action.rotate" (view "view": Reference, payload "payload": Turn) {}

    /// Writes a value.
    set Set = "action.set" (data "data": Data, payload "payload": Any) {}

    /// Turns true into false and back.
    toggle Toggle = "action.toggle" (data "data": Data) {}
}

words! {
    /// Which way an image is turned.
    Turn {
        /// To the left.
        Left = "left",
        /// To the right.
        Right = "right",
    }
}
