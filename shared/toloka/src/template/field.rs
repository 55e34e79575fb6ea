//! What workers fill in. Each writes to its data, usually [`output`](super::data::output).

use super::{
    component::{Any, Condition, Flag, List, Number, Ratio, Text, View, components, words},
    data::Data,
    view::{Direction, Size},
};

components! {
    View
    common {
        /// A heading above it.
        set label("label": Text);
        /// An explanation that opens beside the heading.
        set hint("hint": Text);
        /// What must hold before the page can be submitted; a [`required`](super::condition::required)
        /// without data is about this field.
        set validation("validation": Condition);
    }

    /// Records sound, or takes files with sound.
    audio Audio = "field.audio" (data "data": Data) {
        /// Whether several are allowed.
        set multiple("multiple": Flag);
    }

    /// A button that writes one value.
    button_radio ButtonRadio = "field.button-radio" (data "data": Data, value_to_set "valueToSet": Any) {}

    /// Buttons of which one can be chosen.
    button_radio_group ButtonRadioGroup = "field.button-radio-group" (data "data": Data) {
        /// Adds a button: the value that is stored and the words on it.
        push_object option("options": value "value": Any, label "label": Text);
        /// Adds a button with an explanation.
        push_object explained_option("options": value "value": Any, label "label": Text, hint "hint": Text);
    }

    /// A box that can be ticked.
    checkbox Checkbox = "field.checkbox" (data "data": Data) {
        /// Whether it cannot be changed.
        set disabled("disabled": Flag);
        /// Whether false is stored, too; else only true is.
        set preserve_false("preserveFalse": Flag);
    }

    /// Boxes of which any number can be ticked.
    checkbox_group CheckboxGroup = "field.checkbox-group" (data "data": Data) {
        /// Adds a box: the key that is stored and the words beside it.
        push_object option("options": value "value": Any, label "label": Text);
        /// Adds a box with an explanation.
        push_object explained_option("options": value "value": Any, label "label": Text, hint "hint": Text);
        /// Whether they cannot be changed.
        set disabled("disabled": Flag);
        /// Whether false is stored, too; else only true is.
        set preserve_false("preserveFalse": Flag);
    }

    /// A date, with the time of day or without.
    date Date = "field.date" (data "data": Data, format "format": DateFormat) {
        /// Adds a date that cannot be chosen.
        push block("blockList": Text);
        /// The latest date, `YYYY-MM-DD hh:mm`.
        set max("max": Text);
        /// The earliest date, `YYYY-MM-DD hh:mm`.
        set min("min": Text);
        /// A text while it is empty.
        set placeholder("placeholder": Text);
    }

    /// A mail address.
    email Email = "field.email" (data "data": Data) {
        /// A text while it is empty.
        set placeholder("placeholder": Text);
    }

    /// Files to upload.
    file File = "field.file" (data "data": Data) {
        /// Adds a media type that is allowed (`"image/png"`).
        push accept("accept": Text);
        /// Whether several are allowed.
        set multiple("multiple": Flag);
    }

    /// Areas of an image.
    image_annotation ImageAnnotation = "field.image-annotation" (data "data": Data, image "image": Text) {
        /// Whether areas cannot be changed.
        set disabled("disabled": Flag);
        /// Whether it takes all the height that is free.
        set full_height("fullHeight": Flag);
        /// Adds a kind of area: the value that is stored and the words on its button.
        push_object area("labels": value "value": Text, label "label": Text);
        /// The least width, pixels.
        set min_width("minWidth": Number);
        /// Width to height.
        set ratio("ratio": Ratio);
        /// Whether points can be set; all shapes are allowed unless one is named.
        within point("shapes", "point": Flag);
        /// Whether polygons can be drawn.
        within polygon("shapes", "polygon": Flag);
        /// Whether rectangles can be drawn.
        within rectangle("shapes", "rectangle": Flag);
    }

    /// A list that the worker makes longer; `render` shows one element, whose fields write to
    /// [`relative`](super::data::relative) data.
    list ListField = "field.list" (data "data": Data, render "render": View) {
        /// The words of the button that adds an element.
        set button_label("buttonLabel": Text);
        /// Whether the elements are below or beside each other.
        set direction("direction": Direction);
        /// Whether elements can be added and removed; true unless it is called.
        set editable("editable": Flag);
        /// The most elements.
        set max_length("maxLength": Number);
        /// How far they are apart.
        set size("size": Size);
    }

    /// Files from a telephone: allow one source at least.
    media_file MediaFile = "field.media-file" (data "data": Data) {
        /// Whether files can be taken from the file system.
        within file_system("accept", "fileSystem": Flag);
        /// Whether files can be taken from the gallery.
        within gallery("accept", "gallery": Flag);
        /// Whether a photo can be taken.
        within photo("accept", "photo": Flag);
        /// Whether a film can be made.
        within video("accept", "video": Flag);
        /// Whether several are allowed.
        set multiple("multiple": Flag);
    }

    /// A number.
    number NumberField = "field.number" (data "data": Data) {
        /// The greatest number.
        set maximum("maximum": Number);
        /// The least number.
        set minimum("minimum": Number);
        /// A text while it is empty.
        set placeholder("placeholder": Text);
    }

    /// A telephone number.
    phone_number PhoneNumber = "field.phone-number" (data "data": Data) {
        /// A text while it is empty.
        set placeholder("placeholder": Text);
    }

    /// Round marks of which one can be chosen.
    radio_group RadioGroup = "field.radio-group" (data "data": Data) {
        /// Adds a mark: the value that is stored and the words beside it.
        push_object option("options": value "value": Any, label "label": Text);
        /// Adds a mark with an explanation.
        push_object explained_option("options": value "value": Any, label "label": Text, hint "hint": Text);
        /// Whether they cannot be changed.
        set disabled("disabled": Flag);
    }

    /// A list that drops down, of which one can be chosen.
    select Select = "field.select" (data "data": Data) {
        /// Adds an element: the value that is stored and the words of it.
        push_object option("options": value "value": Any, label "label": Text);
        /// Takes all elements from elsewhere.
        set options("options": List);
        /// A text while nothing is chosen.
        set placeholder("placeholder": Text);
    }

    /// A line of text.
    text TextField = "field.text" (data "data": Data) {
        /// Whether it cannot be changed.
        set disabled("disabled": Flag);
        /// A text while it is empty.
        set placeholder("placeholder": Text);
    }

    /// Parts of a text.
    text_annotation TextAnnotation = "field.text-annotation" (data "data": Data, content "content": Text) {
        /// What can be marked; anything unless it is called.
        set adjust("adjust": Adjust);
        /// Whether it cannot be changed.
        set disabled("disabled": Flag);
        /// Adds a kind of part: the value that is stored and the words on its button.
        push_object category("labels": value "value": Text, label "label": Text);
    }

    /// Several lines of text.
    textarea Textarea = "field.textarea" (data "data": Data) {
        /// Whether it cannot be changed.
        set disabled("disabled": Flag);
        /// A text while it is empty.
        set placeholder("placeholder": Text);
        /// Whether the worker may make it higher; true unless it is called.
        set resizable("resizable": Flag);
        /// Its height, lines.
        set rows("rows": Number);
    }
}

words! {
    /// What a date has.
    DateFormat {
        /// A day and a time.
        DateTime = "date-time",
        /// A day.
        Date = "date",
    }

    /// What can be marked in a text.
    Adjust {
        /// Whole words.
        Words = "words",
    }
}
