//! The proxy that the environment names.
//!
//! The first of HTTPS_PROXY, ALL_PROXY and HTTP_PROXY (or the same in lower case) that is set counts. NO_PROXY lists hosts to reach directly, in
//! curl's syntax. ureq would ignore a proxy that it cannot use and connect directly, so such a proxy is refused at the start.

use std::net::IpAddr;

use anyhow::{anyhow, bail};
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

const PROXY: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
];

const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy that `env` names.
///
/// # Errors
///
/// The value is not a proxy's address, or the kind of proxy is not supported. The text names the variable and not its value, which may contain a
/// password.
pub fn from_env(env: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Proxy>> {
    match first(env, &PROXY) {
        None => Ok(None),
        Some((name, value)) => parse(name, value.trim()).map(Some),
    }
}

/// The proxy to use for `uri`, by the program's own environment.
pub fn between(uri: &Uri) -> Option<Proxy> {
    let env = |name: &str| std::env::var(name).ok();
    // An unusable proxy was refused at the start.
    let proxy = from_env(&env).ok().flatten()?;
    let direct = first(&env, &NO_PROXY).is_some_and(|(_, list)| is_listed(&list, uri));
    (!direct).then_some(proxy)
}

/// Host and port of a proxy, without its password.
pub fn name(proxy: &Proxy) -> String {
    format!("{}:{}", proxy.host(), proxy.port())
}

fn first(
    env: &dyn Fn(&str) -> Option<String>,
    names: &[&'static str],
) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| {
        let value = env(name).filter(|value| !value.trim().is_empty())?;
        Some((*name, value))
    })
}

fn parse(name: &str, value: &str) -> anyhow::Result<Proxy> {
    let usage = "write it as http://HOST:PORT or https://HOST:PORT, or unset it";
    let proxy =
        Proxy::new(value).map_err(|_| anyhow!("{name} is no address of a proxy: {usage}"))?;
    if !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) {
        bail!(
            "{name} names a {} proxy, and only HTTP proxies can be used: {usage}",
            proxy.protocol()
        );
    }
    let authority = proxy.uri().authority().map_or("", |all| all.as_str());
    let address = authority.rsplit('@').next().unwrap_or_default();
    let port = address
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'));
    let has_port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if proxy.host().is_empty() || !has_port {
        bail!("{name} is no address of a proxy: {usage}");
    }
    Ok(proxy)
}

/// Whether the NO_PROXY `list` contains the host of `uri`: by its name or a parent domain, by its address or network, and by its port if one is
/// given.
fn is_listed(list: &str, uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let plain = matches!(uri.scheme_str(), Some("http" | "ws"));
    let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
    list.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|entry| !entry.is_empty())
        .any(|entry| names(entry, &host, port))
}

fn names(entry: &str, host: &str, port: u16) -> bool {
    let (entry, only) = match entry.rsplit_once(':') {
        // An IPv6 address without brackets has no port.
        Some((name, only)) if !name.contains(':') || name.ends_with(']') => {
            (name, only.parse::<u16>().ok())
        }
        _ => (entry, None),
    };
    if only.is_some_and(|only| only != port) {
        return false;
    }
    if entry == "*" {
        return true;
    }
    let entry = entry.trim_matches(['[', ']']);
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_around(entry, address);
    }
    let entry = entry.trim_start_matches('*').trim_matches('.');
    let entry = entry.to_ascii_lowercase();
    let above = host.strip_suffix(&entry);
    !entry.is_empty() && above.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether `entry` is `address`, or a network (10.0.0.0/8) that contains it.
fn is_around(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        None => (entry, Some(u32::MAX)),
        Some((network, bits)) => (network, bits.parse().ok()),
    };
    let Some((network, bits)) = network.parse().ok().zip(bits) else {
        return false;
    };
    let same = |one: u128, other: u128, size: u32| {
        (one ^ other)
            .checked_shr(size - bits.min(size))
            .unwrap_or_default()
            == 0
    };
    match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            same(one.to_bits().into(), other.to_bits().into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => same(one.to_bits(), other.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
