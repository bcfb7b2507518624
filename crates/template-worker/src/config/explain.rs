//! Shows the effective configuration as a TOML file that says of every key what it means and where its value came from.
//!
//! Owns the form of that text; what it says comes from `sections` and `load`.

use std::fmt::{self, Write};

use super::{Config, Loaded};

impl Loaded {
    /// The effective configuration as TOML. Reading it back gives the same configuration.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` fails only where a `Display` does; what is written so far is still worth showing.
        if self.write(&mut text).is_err() {
            text.push_str("\n# the rest cannot be shown\n");
        }
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let values = toml::Table::try_from(&self.config).map_err(|_| fmt::Error)?;
        for section in &Config::SECTIONS {
            if !out.is_empty() {
                writeln!(out)?;
            }
            writeln!(out, "# {}\n[{}]", section.about, section.name)?;
            for setting in section.settings {
                writeln!(out)?;
                for line in setting.meaning {
                    writeln!(out, "# {}", line.trim())?;
                }
                if let Some((least, largest)) = setting.within {
                    writeln!(out, "# From {least} to {largest}.")?;
                }
                let origin = self.origin(&format!("{}.{}", section.name, setting.key));
                // A path may hold anything, also the end of a line.
                writeln!(out, "# Set by: {}", origin.to_string().replace(char::is_control, "?"))?;
                let value =
                    values.get(section.name).and_then(|keys| keys.get(setting.key)).ok_or(fmt::Error)?;
                writeln!(out, "{} = {value}", setting.key)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Environment, Sources};
    use super::*;

    fn loaded() -> Loaded {
        let environment: Environment = [("TEMPLATE_WORKER_VM__QUEUE", "7")].into_iter().collect();
        let flags = vec![("storage.data".to_owned(), "a \"quoted\" folder".to_owned())];
        Config::load(Sources { file: None, environment, flags }).unwrap()
    }

    #[test]
    fn the_explained_configuration_reads_back_as_the_same() {
        let loaded = loaded();
        let read: Config = toml::from_str(&loaded.explain()).unwrap();
        assert_eq!(read, loaded.config);
    }

    #[test]
    fn every_key_says_what_it_means_and_where_its_value_came_from() {
        let text = loaded().explain();
        assert!(
            text.contains("# Set by: environment variable TEMPLATE_WORKER_VM__QUEUE\nqueue = 7\n"),
            "{text}"
        );
        assert!(text.contains("# Set by: command line\ndata = "), "{text}");
        let values = toml::Table::try_from(Config::default()).unwrap();
        let keys: usize = values.values().map(|section| section.as_table().unwrap().len()).sum();
        assert_eq!(text.matches("# Set by: ").count(), keys, "a key is missing in:\n{text}");
    }
}
