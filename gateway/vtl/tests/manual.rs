//! The manual's template becomes the manual's script.

use moongate_vtl::{Content, parse, translate};

const MANUAL: &str = include_str!("../README.md");

fn block(language: &str) -> &'static str {
    let start = MANUAL.find(&format!("```{language}\n")).expect("such a block") + language.len() + 4;
    let end = MANUAL[start..].find("```").expect("the block's end");
    &MANUAL[start..start + end]
}

#[test]
fn the_manual_s_template_becomes_its_script() {
    let template = parse(block("vtl")).expect("a template");
    let translation = translate(&template).expect("translates");
    assert_eq!(translation.content, Content::Lua(block("lua").to_owned()));
}
