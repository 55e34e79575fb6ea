//! What workers see: texts, images, lists.

use super::component::{
    Action, Any, Condition, Flag, List, Number, Ratio, Text, View, components, words,
};

components! {
    View
    common {
        /// A heading above it.
        set label("label": Text);
        /// An explanation that opens beside the heading.
        set hint("hint": Text);
        /// What must hold before the page can be submitted.
        set validation("validation": Condition);
    }

    /// A button that does something.
    action_button ActionButton = "view.action-button" (label "label": Text, action "action": Action) {}

    /// A coloured block that stands out.
    alert Alert = "view.alert" (content "content": View) {
        /// Its colour; blue unless it is called.
        set theme("theme": Theme);
    }

    /// A player of sound.
    audio Audio = "view.audio" (url "url": Text) {
        /// Whether it begins again at the end.
        set repeat("loop": Flag);
    }

    /// A block that opens and closes under its heading.
    collapse Collapse = "view.collapse" (label "label": Text, content "content": View) {
        /// Whether it is open at first.
        set default_opened("defaultOpened": Flag);
    }

    /// A frame like that of a telephone.
    device_frame DeviceFrame = "view.device-frame" (content "content": View) {
        /// Whether it takes all the height that is free.
        set full_height("fullHeight": Flag);
        /// The greatest width, pixels.
        set max_width("maxWidth": Number);
        /// The least width, pixels.
        set min_width("minWidth": Number);
        /// Width to height.
        set ratio("ratio": Ratio);
    }

    /// A line across.
    divider Divider = "view.divider" () {}

    /// A frame around something.
    group Group = "view.group" (content "content": View) {}

    /// Another web page within this one.
    iframe Iframe = "view.iframe" (url "url": Text) {
        /// Whether it takes all the height that is free.
        set full_height("fullHeight": Flag);
        /// The greatest width, pixels.
        set max_width("maxWidth": Number);
        /// The least width, pixels.
        set min_width("minWidth": Number);
        /// Width to height.
        set ratio("ratio": Ratio);
    }

    /// An image.
    image Image = "view.image" (url "url": Text) {
        /// Whether it takes all the height that is free.
        set full_height("fullHeight": Flag);
        /// The greatest width, pixels.
        set max_width("maxWidth": Number);
        /// The least width, pixels.
        set min_width("minWidth": Number);
        /// Whether there is no frame around it; true unless it is called.
        set no_border("noBorder": Flag);
        /// Whether it is loaded before it comes into sight.
        set no_lazy_load("noLazyLoad": Flag);
        /// Whether a click opens it in full size; true unless it is called.
        set popup("popup": Flag);
        /// Width to height.
        set ratio("ratio": Ratio);
        /// Whether the worker may turn it.
        set rotatable("rotatable": Flag);
        /// Whether one that is too large scrolls; else it is made smaller.
        set scrollable("scrollable": Flag);
    }

    /// A list with a word to the left of each element.
    labeled_list LabeledList = "view.labeled-list" () {
        /// Adds an element.
        push_object item("items": label "label": Text, content "content": View);
        /// Adds an element with an explanation.
        push_object explained_item("items": label "label": Text, content "content": View, hint "hint": Text);
        /// The least width of the elements, pixels.
        set min_width("minWidth": Number);
    }

    /// A link.
    link Link = "view.link" (url "url": Text) {
        /// The words of the link; its address unless it is called.
        set content("content": Text);
    }

    /// Several links.
    link_group LinkGroup = "view.link-group" () {
        /// Adds a link.
        push_object link("links": url "url": Text, content "content": Text);
        /// Adds a link that looks like a button.
        push_object themed_link("links": url "url": Text, content "content": Text, theme "theme": Text);
    }

    /// Several components, one below the other.
    list ListView = "view.list" () {
        /// Adds a component.
        push item("items": View);
        /// Takes all components from elsewhere, such as a
        /// [`transform`](super::helper::transform).
        set items("items": List);
        /// Whether they are below or beside each other.
        set direction("direction": Direction);
        /// How far they are apart.
        set size("size": Size);
    }

    /// A map.
    map Map = "view.map" (center "center": Text) {
        /// Adds a point, `latitude,longitude`.
        push_object marker("markers": position "position": Text);
        /// Adds a point with words and a colour, such as `#ff0000`.
        push_object labeled_marker("markers": position "position": Text, label "label": Text, color "color": Text);
        /// Adds an area; its points are `latitude,longitude`.
        push_object polygon("polygons": points "points": List);
        /// Adds an area with a colour, such as `#ff0000`.
        push_object colored_polygon("polygons": points "points": List, color "color": Text);
        /// How near, 0–19.
        set zoom("zoom": Number);
    }

    /// A text in Markdown.
    markdown Markdown = "view.markdown" (content "content": Text) {}

    /// A text.
    text TextView = "view.text" (content "content": Any) {}

    /// A player of films.
    video Video = "view.video" (url "url": Text) {
        /// Whether it takes all the height that is free.
        set full_height("fullHeight": Flag);
        /// The greatest width, pixels.
        set max_width("maxWidth": Number);
        /// The least width, pixels.
        set min_width("minWidth": Number);
        /// Width to height.
        set ratio("ratio": Ratio);
    }
}

words! {
    /// The colour of a block or note.
    Theme {
        /// Blue.
        Info = "info",
        /// Green.
        Success = "success",
        /// Yellow.
        Warning = "warning",
        /// Red.
        Danger = "danger",
    }

    /// How a list runs.
    Direction {
        /// Below each other.
        Vertical = "vertical",
        /// Beside each other.
        Horizontal = "horizontal",
    }

    /// How far the elements of a list are apart.
    Size {
        /// Little.
        Small = "s",
        /// More; the usual.
        Medium = "m",
    }
}
