//! How components are arranged.

use super::component::{Condition, Flag, Number, Ratio, View, components, words};

components! {
    View
    common {
        /// What must hold before the page can be submitted.
        set validation("validation": Condition);
    }

    /// Something with bars above and below.
    bars Bars = "layout.bars" (content "content": View) {
        /// The bar below.
        set bar_after("barAfter": View);
        /// The bar above.
        set bar_before("barBefore": View);
    }

    /// Columns.
    columns Columns = "layout.columns" () {
        /// Adds a column.
        push item("items": View);
        /// Whether each takes all the height that is free and scrolls alone.
        set full_height("fullHeight": Flag);
        /// The width below which they are one below the other, pixels.
        set min_width("minWidth": Number);
        /// The widths relative to each other.
        set ratio("ratio": Ratio);
        /// Where what is lower than its column stands.
        set vertical_align("verticalAlign": VerticalAlign);
    }

    /// Things to compare, each with its own controls, and controls for all.
    compare Compare = "layout.compare" (common_controls "commonControls": View) {
        /// Adds a thing with its controls.
        push_object item("items": content "content": View, controls "controls": View);
        /// The least width, pixels; 400 unless it is called.
        set min_width("minWidth": Number);
        /// Whether the controls for all are as wide as everything.
        set wide_common_controls("wideCommonControls": Flag);
    }

    /// Things beside each other, and controls.
    side_by_side SideBySide = "layout.side-by-side" (controls "controls": View) {
        /// Adds a thing.
        push item("items": View);
        /// The least width of a thing, pixels; 400 at least.
        set min_item_width("minItemWidth": Number);
    }

    /// Something with controls to the right of it.
    sidebar Sidebar = "layout.sidebar" (content "content": View, controls "controls": View) {
        /// The width of the controls, pixels; 200 unless it is called.
        set controls_width("controlsWidth": Number);
        /// Further controls below.
        set extra_controls("extraControls": View);
        /// The width below which the controls go below, pixels; 400 unless it is called.
        set min_width("minWidth": Number);
    }
}

words! {
    /// Where something stands that is lower than its column.
    VerticalAlign {
        /// At the top.
        Top = "top",
        /// In the middle.
        Middle = "middle",
        /// At the bottom.
        Bottom = "bottom",
    }
}
