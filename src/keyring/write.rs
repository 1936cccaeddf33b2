//! Keyrings as text: new ones, and those for servers.

use super::Keyring;
use crate::realm::document::{Document, Table};
use crate::realm::{ConfigError, Fault};
use crate::signature::{KeyError, SigningKey};
use std::fmt::Write as _;
use std::io;
use zeroize::Zeroizing;

const NEW_KEYRING: &str = r#"# The keyring of keyward. It holds every secret that is needed to verify keys, and to publish them. Whoever has
# this file and a snapshot can test guesses of keys, and publish; whoever lost it has to issue every key anew. So
# keep it at mode 600, out of version control, and backed up where secrets are.
#
# Where another machine verifies than the one that publishes, give that one `keyward keyring server` of this file.

# Digests in a snapshot depend on a pepper. The last one listed is used for new digests, and all are tried.
# To change it, add a second [[pepper]] below with another id, hand the file to the servers, build a new
# snapshot from the keys, and remove the first when no snapshot in use names it any more.
[[pepper]]
id = 1
key = "KEY"

SIGNING
# Realms that take tokens need the keys that tokens are signed with: one of these for each.
# [[token_key]]
# realm = "name of the realm"
# kid = "k1"                       # what the token's header calls the key
# alg = "ES256"                    # HS256/384/512, RS256/384/512, PS256/384/512, ES256/384, EdDSA
# public_key = """PEM"""           # private_key = """PEM""" only where tokens are issued
# secret = "base64"                # of HS* keys, in place of the two
"#;

const SIGNING_KEY: &str = "# Snapshots are signed with every private key of a [[signing_key]]. Whoever verifies takes only what one of the
# public keys has signed. To change it, add a second one (`keyward keyring signing-key`), publish, hand its public
# key to the servers, and then remove the first.
";

/// Room for a keyring of every usual size, so that its text is written into memory that is wiped as a whole.
const ROOM: usize = 1 << 16;

impl Keyring {
    /// The text of a new keyring, with one pepper and one signing key from the system's random source.
    pub fn generate() -> io::Result<Zeroizing<String>> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *key).map_err(|error| io::Error::other(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(ROOM));
        let mut rest = NEW_KEYRING;
        if let Some((before, after)) = rest.split_once("KEY\"") {
            text.push_str(before);
            push_hex(&mut text, &*key);
            text.push('"');
            rest = after;
        }
        if let Some((before, after)) = rest.split_once("SIGNING\n") {
            text.push_str(before);
            text.push_str(SIGNING_KEY);
            text.push_str(&Self::generate_signing_key()?);
            text.push('\n');
            rest = after;
        }
        text.push_str(rest);
        Ok(text)
    }

    /// The text of a new signing key, to be added to a keyring.
    pub fn generate_signing_key() -> io::Result<Zeroizing<String>> {
        let failed = |error: KeyError| io::Error::other(error.to_string());
        let key = SigningKey::generate().map_err(failed)?;
        let mut text = Zeroizing::new(String::with_capacity(ROOM));
        text.push_str("[[signing_key]]\n");
        let fingerprint = key.public().fingerprint().to_string();
        text.push_str("# ");
        text.push_str(&fingerprint);
        text.push('\n');
        push_text(&mut text, "public_key", &key.public_to_pem().map_err(failed)?);
        push_text(&mut text, "private_key", &key.to_pem().map_err(failed)?);
        Ok(text)
    }

    /// The text of a new sealing key, to be added to a keyring.
    pub fn generate_sealing_key(id: u32) -> io::Result<Zeroizing<String>> {
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *key).map_err(|error| io::Error::other(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(256));
        text.push_str("[[sealing_key]]\nid = ");
        let _ = write!(text, "{id}");
        text.push_str("\nkey = \"");
        push_hex(&mut text, &*key);
        text.push_str("\"\n");
        Ok(text)
    }

    /// The text of the keyring for a server that publishes nothing: `text` without the private signing keys, the sealing
    /// keys, and its comments, which might hold what is not to get there. `file` is what errors call it.
    pub fn for_servers(text: &str, file: &str) -> Result<Zeroizing<String>, ConfigError> {
        // What can be read as a keyring has nothing in it that is not written below.
        let keyring = Self::read(text, file)?;
        let mut document = Document::parse(text, file)?;
        let written = keyring.write_for_servers(&document).map_err(|fault| document.error(fault));
        document.wipe();
        written
    }

    fn write_for_servers(&self, document: &Document<'_>) -> Result<Zeroizing<String>, Fault> {
        // Never longer than what it is made of: texts of one line may become escaped, six bytes for one.
        let mut text =
            Zeroizing::new(String::with_capacity(ROOM.max(document.text().len().saturating_mul(6))));
        text.push_str("# A keyring of keyward for servers: made by `keyward keyring server`.\n");
        let root = document.root();
        for pepper in &self.peppers {
            text.push_str("\n[[pepper]]\nid = ");
            let _ = write!(text, "{}", pepper.id());
            text.push_str("\nkey = \"");
            push_hex(&mut text, pepper.key());
            text.push_str("\"\n");
        }
        for (table, key) in root.list_of_tables("signing_key")?.iter().zip(&self.public_keys) {
            let _ = write!(text, "\n[[signing_key]]\n# {}\n", key.fingerprint());
            let own = self.signing_keys.iter().find(|signing| signing.public() == *key);
            match (table.text("public_key")?, own.and_then(|own| own.public_to_pem().ok())) {
                (Some(public), _) => push_text(&mut text, "public_key", public),
                (None, Some(public)) => push_text(&mut text, "public_key", &public),
                (None, None) => return Err(table.fault("public_key", "cannot be computed")),
            }
        }
        for table in root.list_of_tables("token_key")? {
            text.push_str("\n[[token_key]]\n");
            push_texts(&mut text, &table)?;
        }
        Ok(text)
    }
}

/// The entries of a table, all of which are texts.
fn push_texts(text: &mut Zeroizing<String>, table: &Table<'_, '_>) -> Result<(), Fault> {
    for name in super::TOKEN_KEY_NAMES {
        if let Some(value) = table.text(name)? {
            push_text(text, name, value);
        }
    }
    Ok(())
}

fn push_hex(text: &mut Zeroizing<String>, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
}

/// An entry with a text as its value (TOML 1.0, "String"): of several lines as such, so that PEM stays legible.
fn push_text(text: &mut Zeroizing<String>, name: &str, value: &str) {
    let lines = value.contains('\n');
    let quotes = if lines { "\"\"\"" } else { "\"" };
    text.push_str(name);
    text.push_str(" = ");
    text.push_str(quotes);
    if lines {
        // A line break right after the quotes is not of the text.
        text.push('\n');
    }
    for character in value.chars() {
        match character {
            '\n' if lines => text.push('\n'),
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            control if control.is_ascii_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push_str(quotes);
    text.push('\n');
}
