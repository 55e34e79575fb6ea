//! The pages that the template builder makes are those of the published examples.

use quorate_toloka::{
    template::{Choice, Classification, Subject},
    types::{Project, ViewSpec},
};
use serde_json::Value;

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
