//! The plugins that ship with Moongate, embedded.

use crate::plugin::{Plugin, Texts};

/// The texts of one folder beside this crate's sources.
macro_rules! embedded {
    ($name:literal) => {
        Bundled {
            name: $name,
            texts: Texts {
                description: include_str!(concat!("../", $name, "/plugin.toml")),
                schema: include_str!(concat!("../", $name, "/schema.json")),
                handler: include_str!(concat!("../", $name, "/handler.lua")),
                readme: include_str!(concat!("../", $name, "/README.md")),
            },
        }
    };
}

/// Every bundled plugin, in the order of the names. A new one is its folder and a line here.
const BUNDLED: &[Bundled] = &[
    embedded!("ab-router"),
    embedded!("bot-detection"),
    embedded!("correlation-id"),
    embedded!("geo-country"),
    embedded!("graphql-depth-limit"),
    embedded!("hmac-auth"),
    embedded!("idempotency-key"),
    embedded!("ip-restriction"),
    embedded!("json-threat-protection"),
    embedded!("jwt-claims-to-headers"),
    embedded!("oauth2-introspection"),
    embedded!("request-transformer"),
    embedded!("response-data-mask"),
    embedded!("response-transformer"),
    embedded!("xml-to-json"),
];

struct Bundled {
    name: &'static str,
    texts: Texts<'static>,
}

/// The names of the plugins that ship with Moongate, sorted.
pub fn bundled_names() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|bundled| bundled.name)
}

/// The bundled plugin of that name.
pub(crate) fn find(name: &str) -> Option<Plugin> {
    let bundled = BUNDLED.iter().find(|bundled| bundled.name == name)?;
    Some(Plugin::parse(bundled.name, &bundled.texts).expect("a test reads every bundled plugin"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn every_folder_with_a_plugin_is_bundled_and_every_bundled_plugin_can_be_used() {
        let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the crate's folder is readable");
        let folders = entries.map(|entry| entry.expect("the crate's folder is readable").path());
        let mut names: Vec<String> = folders
            .filter(|folder| folder.join("plugin.toml").is_file())
            .filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()))
            .collect();
        names.sort();
        assert_eq!(bundled_names().collect::<Vec<_>>(), names, "bundled, and on disk");
        for name in bundled_names() {
            let plugin = Plugin::bundled(name).expect("it is in the list");
            assert_eq!(plugin.name, name);
            assert!(
                plugin.readme.starts_with(&format!("# {name}\n")),
                "{name}: the README opens with the plugin's name"
            );
            let specs = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("spec"));
            assert!(specs.expect("there is a folder of specs").count() > 0, "{name} has no specs");
        }
    }

    #[test]
    fn the_settings_a_bundled_plugin_takes_by_itself_fit_its_schema() {
        for plugin in bundled_names().filter_map(Plugin::bundled) {
            let settings = plugin.with_defaults(&json!({}));
            let missing = |problem: &crate::Problem| problem.message.ends_with("is needed");
            let problems: Vec<_> =
                plugin.check_config(&settings).into_iter().filter(|problem| !missing(problem)).collect();
            assert_eq!(problems, [], "{}", plugin.name);
        }
    }

    #[test]
    fn no_other_name_is_bundled() {
        for name in ["", "correlation-i", "Correlation-Id", "../correlation-id", "src"] {
            assert_eq!(Plugin::bundled(name), None, "{name}");
        }
    }
}
