//! The token that viewers show, and other secrets from the kernel.
//!
//! Invariant: secrets are compared in a time that does not depend on where they differ.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use subtle::ConstantTimeEq;

/// The shortest token that is taken from a file, in bytes.
const LEAST: usize = 16;
/// The longest.
const MOST: usize = 256;

/// A secret. It is never printed by accident.
pub(crate) struct Secret(String);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// 256 random bits in hexadecimal digits.
    ///
    /// # Errors
    /// The kernel gives none.
    pub(crate) fn random() -> Result<Self, String> {
        let mut bytes = [0_u8; 32];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The only line of a file.
    ///
    /// # Errors
    /// One line that says what to do.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MOST as u64 + 2).read_to_string(&mut text))
            .map_err(|error| format!("cannot read the token in {}: {error}", path.display()))?;
        let token = text.trim();
        let fine = (LEAST..=MOST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !fine {
            return Err(format!(
                "the token in {} must be {LEAST} to {MOST} ASCII characters in one line, without blanks; fix: \
                 openssl rand -hex 32 > {0}",
                path.display()
            ));
        }
        Ok(Self(token.to_owned()))
    }

    /// Whether `other` is the same.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }

    /// The secret itself, for where it has to be told.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_secrets_differ() {
        let (one, two) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert!(!one.is(two.expose()) && one.is(one.expose()));
        assert_eq!(format!("{one:?}"), "Secret");
    }

    #[test]
    fn tokens_in_files_have_a_least_length() {
        let path = std::env::temp_dir().join(format!("viewer-token-{}", std::process::id()));
        for (text, fine) in [
            ("0123456789abcdef\n", true),
            ("0123456789abcde\n", false),
            ("0123456789 abcdef\n", false),
            ("", false),
            (&"x".repeat(257), false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(Secret::read(&path).is_ok(), fine, "{text:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Secret::read(&path).unwrap_err().contains("cannot read"));
    }
}
