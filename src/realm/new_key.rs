//! New keys: docs/DECISIONS.md section 4. Each has at least 128 bits from the system's random source.

use super::key_format::{Alphabet, Fit, FormatError, KeyFormat};
use super::rules::MAX_KEY;
use super::{CredentialKind, Realm};
use thiserror::Error;
use zeroize::Zeroizing;

/// The bits that a new secret has, where its format has room for them.
const BITS: f64 = 256.0;
/// The fewest that it may have.
const LEAST_BITS: f64 = 128.0;
/// The length of a secret without a format: 258 bits.
const PLAIN_LENGTH: usize = 43;
/// How often a secret is drawn anew that makes a key read as one of another environment.
const DRAWS: usize = 64;

const BASE64URL: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

/// Why there is no new key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NewKeyError {
    /// The realm has no such credential, or one that keys are not made for.
    #[error("{credential:?} is no credential of kind key or basic of realm {realm:?}")]
    NoKeys {
        /// The realm.
        realm: String,
        /// What was asked for.
        credential: String,
    },
    /// The realm has no such environment.
    #[error("realm {realm:?} has no environment {environment:?}; it has {}", known.join(", "))]
    UnknownEnvironment {
        /// The realm.
        realm: String,
        /// What was asked for.
        environment: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The format names an environment, and none was given.
    #[error("keys of credential {credential:?} name their environment; say which")]
    NoEnvironment {
        /// The credential.
        credential: String,
    },
    /// Too few symbols for a key that nobody can guess.
    #[error(
        "the secrets of credential {credential:?} have at most {symbols} symbols, which is {bits} bits; a new key has \
         at least 128: raise its `secret_length`"
    )]
    Guessable {
        /// The credential.
        credential: String,
        /// The longest secret that fits.
        symbols: usize,
        /// How many bits it has.
        bits: u32,
    },
    /// Whatever the secret is, the key reads as one of another environment.
    #[error(
        "a key of this environment is always taken for one of another: credential {credential:?} needs a format that tells them apart"
    )]
    Ambiguous {
        /// The credential.
        credential: String,
    },
    /// The format was not checked.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The system gives no random numbers.
    #[error("the system's random source: {0}")]
    Random(String),
}

impl Realm {
    /// A key for one of the realm's credentials that nobody has seen; of a pair, its secret.
    pub fn new_key(
        &self,
        credential: &str,
        environment: Option<&str>,
    ) -> Result<Zeroizing<String>, NewKeyError> {
        let rules = match self.credential(credential).map(|credential| &credential.kind) {
            Some(CredentialKind::Key(rules) | CredentialKind::Basic(rules)) => rules,
            _ => {
                let (realm, credential) = (self.name.clone(), credential.to_owned());
                return Err(NewKeyError::NoKeys { realm, credential });
            }
        };
        if let Some(name) = environment
            && !self.environments.iter().any(|known| known == name)
        {
            let (realm, known) = (self.name.clone(), self.environments.clone());
            return Err(NewKeyError::UnknownEnvironment { realm, environment: name.to_owned(), known });
        }
        let credential = || credential.to_owned();
        let Some(format) = &rules.format else {
            return random(BASE64URL, PLAIN_LENGTH);
        };
        if format.names_environment() && environment.is_none() {
            return Err(NewKeyError::NoEnvironment { credential: credential() });
        }
        let wanted = environment.and_then(|name| self.environments.iter().position(|known| known == name));
        let wanted = if format.names_environment() { wanted.map(Fit::Environment) } else { Some(Fit::Plain) };
        let matcher = format.matcher(&self.environments)?;
        let symbols = symbols(format.alphabet);
        let length = length(format, symbols.len(), environment.unwrap_or_default().len());
        let bits = |length: usize| length as f64 * (symbols.len() as f64).log2();
        if bits(length) < LEAST_BITS {
            let bits = bits(length) as u32;
            return Err(NewKeyError::Guessable { credential: credential(), symbols: length, bits });
        }
        for _ in 0..DRAWS {
            let secret = random(symbols, length)?;
            let key = format.compose(environment, &secret).map(Zeroizing::new);
            if let Some(key) = key
                && Some(matcher.fit(key.as_bytes())) == wanted
            {
                return Ok(key);
            }
        }
        Err(NewKeyError::Ambiguous { credential: credential() })
    }
}

/// Of an alphabet, what every source can carry.
fn symbols(alphabet: Alphabet) -> &'static [u8] {
    let all = BASE64URL.as_slice();
    match alphabet {
        Alphabet::Hex => b"0123456789abcdef",
        Alphabet::Base64url => all,
        Alphabet::Base62 | Alphabet::Visible => all.strip_suffix(b"-_").unwrap_or(all),
    }
}

/// Enough for [`BITS`], or as much as fits.
fn length(format: &KeyFormat, symbols: usize, environment: usize) -> usize {
    let wanted = (BITS / (symbols as f64).log2()).ceil() as usize;
    let (least, most) = (format.min_length as usize, format.max_length as usize);
    // The template's placeholders are longer than what is left of them without the secret, all but the environment's.
    let room = MAX_KEY.saturating_sub(format.template.len() + environment);
    wanted.clamp(least, most.max(least)).min(room.max(least))
}

/// So many symbols, each as likely as any other.
fn random(symbols: &[u8], length: usize) -> Result<Zeroizing<String>, NewKeyError> {
    // Bytes beyond the last multiple are drawn anew, so that none is likelier.
    let fair = 256 / symbols.len() * symbols.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0; 64]);
    while text.len() < length {
        getrandom::fill(&mut *bytes).map_err(|error| NewKeyError::Random(error.to_string()))?;
        let drawn = bytes.iter().map(|byte| usize::from(*byte)).filter(|number| *number < fair);
        let drawn = drawn.filter_map(|number| symbols.get(number % symbols.len()));
        let room = length - text.len();
        text.extend(drawn.take(room).map(|symbol| char::from(*symbol)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::Configuration;
    use std::collections::HashSet;

    fn realm(credential: &str) -> Realm {
        let text = format!(
            "[realm.shop]\nenvironments = [\"live\", \"test\", \"live_x\"]\n[realm.shop.credential.key]\nkind = \"key\"\n\
             source = \"bearer\"\n{credential}\n"
        );
        Configuration::read(&text, "f").unwrap().realms.remove(0)
    }

    #[test]
    fn keys_follow_their_format_and_differ() {
        for (rules, length) in [
            (
                "format = \"bk_{environment}_{secret}\"\nsecret_alphabet = \"hex\"\nsecret_length = [16, 64]",
                8 + 64,
            ),
            ("format = \"{secret}.{environment}.{checksum}\"", 43 + 6 + 6),
            ("format = \"k{secret}\"\nsecret_alphabet = \"base64url\"\nsecret_length = 22", 23),
            ("format = \"k-{secret}\"\nsecret_alphabet = \"visible\"\nsecret_length = [100, 200]", 102),
        ] {
            let realm = realm(rules);
            let keys: HashSet<String> =
                (0..50).map(|_| realm.new_key("key", Some("live")).unwrap().to_string()).collect();
            assert_eq!(keys.len(), 50);
            let CredentialKind::Key(rules) = &realm.credentials[0].kind else { panic!("it is a key") };
            let format = rules.format.as_ref().unwrap();
            let matcher = format.matcher(&realm.environments).unwrap();
            let wanted = if format.names_environment() { Fit::Environment(0) } else { Fit::Plain };
            for key in keys {
                assert_eq!((key.len(), matcher.fit(key.as_bytes())), (length, wanted), "{}", format.template);
            }
        }
    }

    #[test]
    fn without_a_format_there_are_43_base64url_characters() {
        let key = realm("").new_key("key", None).unwrap();
        assert!(key.len() == 43 && key.bytes().all(|byte| BASE64URL.contains(&byte)));
    }

    #[test]
    fn no_symbol_is_likelier() {
        let text = random(symbols(Alphabet::Base62), 62 * 1000).unwrap();
        for symbol in symbols(Alphabet::Base62) {
            let count = text.bytes().filter(|byte| byte == symbol).count();
            // Six standard deviations of 1000.
            assert!((810..1190).contains(&count), "{symbol}: {count}");
        }
    }

    #[test]
    fn what_could_be_guessed_or_mistaken_is_refused() {
        let short = realm("format = \"k_{secret}\"\nsecret_alphabet = \"hex\"\nsecret_length = [16, 31]");
        let error = short.new_key("key", None).unwrap_err().to_string();
        assert!(error.contains("31 symbols, which is 124 bits"), "{error}");
        let named = realm("format = \"k_{environment}_{secret}\"");
        assert!(matches!(named.new_key("key", None), Err(NewKeyError::NoEnvironment { .. })));
        assert!(matches!(named.new_key("kex", Some("live")), Err(NewKeyError::NoKeys { .. })));
        let error = named.new_key("key", Some("nowhere")).unwrap_err().to_string();
        assert!(error.contains("no environment \"nowhere\"; it has live, test, live_x"), "{error}");
        // Every key of "live" is also one of "live_x" where what follows is the same.
        let unclear = realm(
            "format = \"{environment}{secret}\"\nsecret_alphabet = \"base64url\"\nsecret_length = [1, 256]",
        );
        let key = unclear.new_key("key", Some("live")).unwrap();
        assert!(!key.starts_with("live_x"));
    }
}
