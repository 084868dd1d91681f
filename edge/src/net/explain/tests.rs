use super::*;

#[test]
fn what_fails_before_the_server_is_reached_is_the_proxys() {
    use ureq::Error::{ConnectProxyFailed, HostNotFound, Io, Timeout};
    let refused = || Io(io::ErrorKind::ConnectionRefused.into());
    let table = [
        (
            refused(),
            "h refuses the connection",
            "the proxy p:1 refuses",
        ),
        (HostNotFound, "the name h cannot", "of the proxy p:1 cannot"),
        (
            Io(io::Error::other("failed to lookup address information")),
            "the name h cannot",
            "of the proxy p:1 cannot",
        ),
        (
            Timeout(ureq::Timeout::Connect),
            "h does not answer",
            "the proxy p:1 does not answer",
        ),
        (
            ConnectProxyFailed("403".into()),
            "h does not connect",
            "the proxy p:1 does not connect to h (403)",
        ),
        (
            Io(io::ErrorKind::ConnectionReset.into()),
            "the connection to h failed",
            "to h by the proxy p:1 failed",
        ),
        // The tunnel stands: the server is the one that is silent.
        (
            Timeout(ureq::Timeout::PerRead),
            "h went silent",
            "h went silent",
        ),
        (
            Timeout(ureq::Timeout::RecvResponse),
            "h received the call",
            "h received the call",
        ),
    ];
    for (error, direct, by_proxy) in table {
        let said = explain_by_way(&error, "h", None);
        assert!(said.starts_with(direct), "{said}");
        let said = explain_by_way(&error, "h", Some("p:1".into()));
        assert!(said.contains(by_proxy), "{said}");
    }
}
