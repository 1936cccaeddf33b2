//! The text format of Prometheus, version 0.0.4.

use super::{Report, denials, nameless, names};
use keyward::reason::Reason;
use std::io::{self, Write};

/// The value of a label: a backslash, a quotation mark and a line feed are written with a backslash.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes what is said of a metric once.
fn head(output: &mut impl Write, name: &str, kind: &str, help: &str) -> io::Result<()> {
    writeln!(output, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

impl Report {
    pub(super) fn write_prometheus(&self, output: &mut impl Write) -> io::Result<()> {
        let name = "keyward_requests_total";
        head(output, name, "counter", "Requests that were decided, by realm and reason.")?;
        for realm in &self.counts.realms {
            // A series that is there from the start can be compared with itself later.
            for reason in Reason::ALL {
                let (count, reason) = (realm.of(reason), reason.name());
                writeln!(output, "{name}{{realm=\"{}\",reason=\"{reason}\"}} {count}", label(&realm.realm))?;
            }
        }
        let ids: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                let (realm, id) = names(key);
                let id = if id.is_empty() { nameless(key) } else { id.to_owned() };
                format!("realm=\"{}\",key_id=\"{}\"", label(realm), label(&id))
            })
            .collect();
        let name = "keyward_key_requests_total";
        head(output, name, "counter", "Requests with a key, allowed or denied.")?;
        for (key, id) in self.keys.iter().zip(&ids) {
            writeln!(output, "{name}{{{id}}} {}", key.requests())?;
        }
        let name = "keyward_key_denials_total";
        head(output, name, "counter", "Requests with a key that were denied, by reason.")?;
        for (key, id) in self.keys.iter().zip(&ids) {
            for (reason, count) in denials(key) {
                writeln!(output, "{name}{{{id},reason=\"{reason}\"}} {count}")?;
            }
        }
        let name = "keyward_key_last_use_timestamp_seconds";
        head(output, name, "gauge", "When a key was last used, in Unix seconds.")?;
        for (key, id) in self.keys.iter().zip(&ids) {
            writeln!(output, "{name}{{{id}}} {}", key.last_use)?;
        }
        let name = "keyward_served_generation";
        head(
            output,
            name,
            "gauge",
            "The generation of a realm that was served last; no older one is served.",
        )?;
        for (realm, mark) in &self.served {
            writeln!(output, "{name}{{realm=\"{}\"}} {}", label(realm), mark.generation)?;
        }
        let name = "keyward_served_moves_back_total";
        head(output, name, "counter", "Times that an engine was told to go back to an older generation.")?;
        for (realm, mark) in &self.served {
            writeln!(output, "{name}{{realm=\"{}\"}} {}", label(realm), mark.moves_back)?;
        }
        let numbers = [
            (
                "keyward_state_created_timestamp_seconds",
                "gauge",
                "When the state file was made.",
                self.created,
            ),
            ("keyward_state_slots", "gauge", "Keys that the state file has room for.", self.slots as u64),
            ("keyward_state_keys", "gauge", "Keys in the state file.", self.known as u64),
            (
                "keyward_state_displaced_total",
                "counter",
                "Keys whose usage was given up for want of room.",
                self.displaced,
            ),
            (
                "keyward_state_displaced_limits_total",
                "counter",
                "Keys whose rate limit was given up for want of room before it expired.",
                self.displaced_limits,
            ),
        ];
        for (name, kind, help, value) in numbers {
            head(output, name, kind, help)?;
            writeln!(output, "{name} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\"b\\c\nd{e}=é"), "a\\\"b\\\\c\\nd{e}=é");
    }
}
