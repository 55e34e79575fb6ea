//! The pages that the template builder makes are those of the published examples.

use quorate_toloka::{
    template::{
        Choice, Classification, Page, Subject, action, condition, data as place, field, helper,
        layout,
        plugin::{self, Key, Layout},
        reference,
        view::{self, Direction, Theme},
    },
    types::{Project, ViewSpec},
};
use serde_json::{Value, json};

use crate::{
    compare::difference,
    data::{self, Flow},
};

/// The page of a published example.
fn published(name: &str) -> ViewSpec {
    let flows: Vec<Flow> = data::read("flows.json");
    let flow = flows.iter().find(|flow| flow.flow == name).unwrap();
    let request = flow
        .requests
        .iter()
        .find(|request| request.path == "/api/v1/projects")
        .unwrap();
    let project: Project = serde_json::from_value(request.body.clone()).unwrap();
    project.task_spec.unwrap().view_spec.unwrap()
}

fn assert_same_page(built: &ViewSpec, published: &ViewSpec) {
    let config =
        |page: &ViewSpec| -> Value { serde_json::from_str(page.config.as_ref().unwrap()).unwrap() };
    assert_eq!(difference(&config(built), &config(published)), None);
    assert_eq!(built.lock, published.lock);
    assert_eq!(
        (&built.kind, built.infer_data_spec),
        (&published.kind, published.infer_data_spec)
    );
}

#[test]
fn an_image_with_radio_labels() {
    let page = Classification::new(Subject::image("image"), "result")
        .label("cat", "Cat")
        .label("dog", "Dog")
        .choice(Choice::Radio)
        .hotkeys(false)
        .task_width(400);
    assert_same_page(&page.view_spec(), &published("introduction"));
}

#[test]
fn an_image_with_buttons_and_keys() {
    let image = Subject::Image {
        field: "image".into(),
        ratio: (1, 1),
        rotatable: true,
        max_width: None,
    };
    let page = Classification::new(image, "result")
        .label("cat", "Cat")
        .label("dog", "Dog")
        .label("other", "Other")
        .hint("choose one of the options");
    assert_same_page(&page.view_spec(), &published("binary classification"));
}

#[test]
fn a_text_with_buttons_and_keys() {
    let text = Subject::Text {
        field: "headline".into(),
        prefix: Some("Headline: ".into()),
    };
    let page = Classification::new(text, "category")
        .label("clickbait", "Clickbait")
        .label("notclickbait", "Not clickbait")
        .hint("you need to select one answer")
        .task_width(300);
    assert_same_page(&page.view_spec(), &published("text classification"));
}

#[test]
fn only_nine_labels_have_keys_and_every_label_is_allowed() {
    let page = (0..12).fold(Classification::new(Subject::text("t"), "out"), |page, i| {
        page.label(format!("v{i}"), format!("Label {i}"))
    });
    let spec = page.question("Which?").task_spec();
    assert_eq!(
        spec.output_spec["out"]
            .allowed_values
            .as_ref()
            .unwrap()
            .len(),
        12
    );
    let config: Value = serde_json::from_str(&spec.view_spec.unwrap().config.unwrap()).unwrap();
    let keys = config["plugins"][1].as_object().unwrap();
    assert_eq!(
        keys.keys().filter(|key| key.parse::<u32>().is_ok()).count(),
        9
    );
    assert_eq!(keys["9"]["payload"], "v8");
    assert_eq!(config["view"]["items"][1]["label"], "Which?");
}

#[test]
fn a_page_of_all_kinds_of_components_is_written_as_the_template_builder_reads_it() {
    let choice = field::radio_group(place::output("answer"))
        .option("yes", "Yes")
        .option(3, "Three")
        .disabled(condition::not(
            condition::empty().data(place::internal("done")),
        ))
        .validation(condition::all().condition(condition::required().hint("Choose.")));
    let media = field::media_file(place::output("photo"))
        .photo(true)
        .gallery(false);
    let cases = helper::switch()
        .case(
            condition::equals("yes").data(place::output("answer")),
            media,
        )
        .default(view::alert(view::text("…")).theme(Theme::Warning));
    let page = Page::new(
        layout::columns()
            .ratio([2, 1])
            .item(view::image(reference("vars.manual")).max_width(300))
            .item(
                view::list()
                    .item(choice)
                    .item(cases)
                    .direction(Direction::Horizontal),
            ),
    )
    .var("manual", "https://example.org/manual.png")
    .plugin(plugin::toloka().layout(Layout::Pager).task_width(400))
    .plugin(
        plugin::hotkeys()
            .key(Key::Y, action::set(place::output("answer"), "yes"))
            .key(Key::Up, action::notify().content("Up").theme(Theme::Info)),
    )
    .plugin(plugin::trigger(action::toggle(place::internal("done"))).fire_immediately(true));

    let written = json!({
        "view": { "type": "layout.columns", "ratio": [2, 1], "items": [
            { "type": "view.image", "url": { "$ref": "vars.manual" }, "maxWidth": 300 },
            { "type": "view.list", "direction": "horizontal", "items": [
                {
                    "type": "field.radio-group",
                    "data": { "type": "data.output", "path": "answer" },
                    "options": [
                        { "value": "yes", "label": "Yes" },
                        { "value": 3, "label": "Three" },
                    ],
                    "disabled": {
                        "type": "condition.not",
                        "condition": {
                            "type": "condition.empty",
                            "data": { "type": "data.internal", "path": "done" },
                        },
                    },
                    "validation": {
                        "type": "condition.all",
                        "conditions": [{ "type": "condition.required", "hint": "Choose." }],
                    },
                },
                {
                    "type": "helper.switch",
                    "cases": [{
                        "condition": {
                            "type": "condition.equals",
                            "to": "yes",
                            "data": { "type": "data.output", "path": "answer" },
                        },
                        "result": {
                            "type": "field.media-file",
                            "data": { "type": "data.output", "path": "photo" },
                            "accept": { "photo": true, "gallery": false },
                        },
                    }],
                    "default": {
                        "type": "view.alert",
                        "content": { "type": "view.text", "content": "…" },
                        "theme": "warning",
                    },
                },
            ] },
        ] },
        "vars": { "manual": "https://example.org/manual.png" },
        "plugins": [
            { "type": "plugin.toloka", "layout": { "kind": "pager", "taskWidth": 400 } },
            {
                "type": "plugin.hotkeys",
                "y": {
                    "type": "action.set",
                    "data": { "type": "data.output", "path": "answer" },
                    "payload": "yes",
                },
                "up": {
                    "type": "action.notify",
                    "payload": { "content": "Up", "theme": "info" },
                },
            },
            {
                "type": "plugin.trigger",
                "action": {
                    "type": "action.toggle",
                    "data": { "type": "data.internal", "path": "done" },
                },
                "fireImmediately": true,
            },
        ],
    });
    assert_eq!(page.config(), written);
    let lock = page.view_spec().lock.unwrap();
    for component in ["core", "layout.columns", "condition.not", "helper.switch"] {
        assert_eq!(lock[component], "1.0.0");
    }
    assert!(!lock.keys().any(|component| component.contains("data.")));
}
