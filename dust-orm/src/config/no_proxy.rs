//! The servers that `NO_PROXY` exempts from a proxy.

use std::net::IpAddr;

use url::{Host, Url};

/// Tests if a list of `NO_PROXY` names a server. Commas and white space separate its entries:
///
/// | entry | servers |
/// |---|---|
/// | `*` | all |
/// | `dust.example`, `.dust.example`, `*.dust.example` | this host and those below it, in any case of letters |
/// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | this address |
/// | `192.0.2.0/24`, `2001:db8::/32` | the addresses of this network |
/// | a host or an address in one of these forms, with `:8443` | the same, at this port only |
pub(super) fn is_exempt(server: &Url, list: &str) -> bool {
    let (Some(host), port) = (server.host(), server.port_or_known_default()) else { return false };
    let mut entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.any(|entry| {
        let (name, of_port) = split_port(entry);
        of_port.is_none_or(|of_port| Some(of_port) == port) && is_host(&host, name)
    })
}

/// Splits `dust.example:8443` and `[2001:db8::1]:8443`. The colons of an address without brackets are its own.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if name.ends_with(']') || !name.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn is_host(host: &Host<&str>, name: &str) -> bool {
    if name == "*" {
        return true;
    }
    let bare = name.trim_matches(['[', ']']);
    match host {
        Host::Ipv4(address) => is_address(IpAddr::V4(*address), bare),
        Host::Ipv6(address) => is_address(address.to_canonical(), bare),
        Host::Domain(domain) => {
            let name = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
            // As in the URL of the server: in lower case, and in ASCII.
            let Ok(Host::Domain(name)) = Host::parse(name) else { return false };
            let above = domain.trim_end_matches('.').strip_suffix(name.as_str());
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        }
    }
}

/// Tests if an address is the one that an entry names, or is in its network.
fn is_address(address: IpAddr, entry: &str) -> bool {
    let Some((network, bits)) = entry.split_once('/') else {
        return entry.parse::<IpAddr>().is_ok_and(|entry| entry.to_canonical() == address);
    };
    let (Ok(network), Ok(bits)) = (network.trim_end_matches(']').parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= u32::BITS => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= u128::BITS => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= bits
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exempt(server: &str, list: &str) -> bool {
        is_exempt(&Url::parse(server).unwrap(), list)
    }

    #[test]
    fn entry_of_each_form_exempts_its_servers() {
        for (server, list) in [
            ("https://dust.example", "*"),
            ("https://10.1.2.3", "*"),
            ("https://[2001:db8::1]", "other, *"),
            ("https://dust.example", "other,dust.example"),
            ("https://dust.example", "other dust.example\tthird"),
            ("https://dust.example", "DUST.Example"),
            ("https://Dust.EXAMPLE.", "dust.example"),
            ("https://dust.example", "dust.example."),
            ("https://dust.example", ".dust.example"),
            ("https://a.dust.example", ".dust.example"),
            ("https://a.b.dust.example", "*.dust.example"),
            ("wss://a.dust.example:4", "dust.example"),
            ("https://dust.example:8443", "dust.example:8443"),
            ("wss://a.dust.example", ".dust.example:443"),
            ("https://dust", "dust"),
            ("https://b\u{fc}cher.example", "b\u{fc}cher.example"),
            ("https://10.1.2.3", "10.1.2.3"),
            ("https://10.1.2.3:81", "10.1.2.3:81"),
            ("https://10.1.2.3", "10.0.0.0/8"),
            ("https://10.1.2.3", "10.1.2.3/32"),
            ("https://10.1.2.3", "0.0.0.0/0"),
            ("https://[::ffff:10.1.2.3]", "10.0.0.0/8"),
            ("https://[2001:db8::1]", "2001:db8::1"),
            ("https://[2001:db8::1]", "[2001:DB8:0::1]"),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
            ("https://[2001:db8::1]", "2001:db8::/32"),
            ("https://[2001:db8::1]", "[2001:db8::]/32"),
            ("https://[2001:db8::1]", "::/0"),
        ] {
            assert!(exempt(server, list), "{server} {list}");
        }
    }

    #[test]
    fn entry_exempts_no_other_servers() {
        for (server, list) in [
            ("https://dust.example", ""),
            ("https://dust.example", " , ,"),
            ("https://notdust.example", "dust.example"),
            ("https://dust.example.com", "dust.example"),
            ("https://example", "dust.example"),
            ("https://dust.example", "."),
            ("https://dust.example:8443", "dust.example:443"),
            ("https://dust.example", "dust.example:http"),
            ("https://dust.example", "10.0.0.0/8"),
            ("https://10.1.2.3", "10.1.2.30"),
            ("https://10.1.2.3", "10.1.2.3:81"),
            ("https://10.1.2.3", "11.0.0.0/8"),
            ("https://10.1.2.3", "10.0.0.0/33"),
            ("https://10.1.2.3", "10.0.0.0/x"),
            ("https://10.1.2.3", "::/0"),
            ("https://10.1.2.3", ".3"),
            ("https://[2001:db8::1]", "2001:db8::2"),
            ("https://[2001:db8::1]", "[2001:db8::1]:81"),
            ("https://[2001:db8::1]", "2001:db9::/32"),
            ("https://[2001:db8::1]", "0.0.0.0/0"),
        ] {
            assert!(!exempt(server, list), "{server} {list}");
        }
    }
}
