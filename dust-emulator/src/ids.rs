//! Ids that have to be unique, but not secret.

use std::hash::{BuildHasher, RandomState};

/// A UUID of random bits, version 4.
pub(crate) fn uuid() -> String {
    let (high, low) = (random(), random());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// The secret of a token, in the form of the server's.
pub(crate) fn secret() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut secret = String::from("dust_tok_");
    let mut bits = 0;
    for at in 0..43 {
        if at % 10 == 0 {
            bits = random();
        }
        secret.push(ALPHABET[(bits % 64) as usize].into());
        bits >>= 6;
    }
    secret
}

/// A random number for names: the standard library seeds each hasher differently.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_has_its_form_and_is_unique() {
        let (one, two) = (uuid(), uuid());
        assert_ne!(one, two);
        let groups: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
        assert_eq!(secret().len(), "dust_tok_".len() + 43);
        assert_ne!(secret(), secret());
    }
}
