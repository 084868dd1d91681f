use super::*;

fn proxy(name: &'static str, value: &'static str) -> anyhow::Result<Option<Proxy>> {
    from_env(&|asked| (asked == name).then(|| value.to_owned()))
}

#[test]
fn a_proxy_is_read_or_refused_by_the_name_of_its_variable() {
    for (value, means) in [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("https://proxy.example", "proxy.example:443"),
        (
            " http://me:hunter2@proxy.example:3128/ ",
            "proxy.example:3128",
        ),
        ("proxy.example:8080", "proxy.example:8080"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("http://[::1]", "[::1]:80"),
    ] {
        let proxy = proxy("ALL_PROXY", value).unwrap().unwrap();
        assert_eq!(name(&proxy), means);
    }
    for value in ["", "  "] {
        assert!(proxy("https_proxy", value).unwrap().is_none());
    }
    for value in [
        "socks5://me:hunter2@proxy.example:1080",
        "socks4://proxy.example",
        "ftp://me:hunter2@proxy.example",
        "http://",
        "http://me:hunter2@",
        "http://:3128",
        "http://me:hunter2@proxy.example:http",
        "http://proxy.example:99999",
        "http://proxy.example:0",
        "a proxy with hunter2",
    ] {
        let error = proxy("https_proxy", value).unwrap_err().to_string();
        assert!(error.starts_with("https_proxy "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn no_proxy_names_hosts_as_curl_reads_it() {
    let table = [
        ("corp.example", "https://corp.example", true),
        ("corp.example", "https://Kinesis.Corp.Example", true),
        ("corp.example", "https://mycorp.example", false),
        ("corp.example", "https://corp.example.org", false),
        (".corp.example", "https://corp.example", true),
        ("*.corp.example", "https://kinesis.corp.example", true),
        ("corp.example.", "https://corp.example", true),
        ("localhost, .corp.example", "https://a.corp.example", true),
        ("localhost .corp.example", "https://a.corp.example", true),
        ("foo, localhost", "http://localhost:4566", true),
        ("foo,\tbar\n", "wss://bar", true),
        ("*", "https://anything.example", true),
        (" * ", "https://anything.example", true),
        ("host.example:8443", "https://host.example:8443", true),
        ("host.example:8443", "https://host.example", false),
        ("host.example:443", "wss://host.example", true),
        ("host.example:80", "http://host.example", true),
        ("127.0.0.1", "http://127.0.0.1:4566", true),
        ("0.0.1", "http://127.0.0.1:4566", false),
        ("10.0.0.0/8", "https://10.1.2.3", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("0.0.0.0/0", "https://11.1.2.3", true),
        ("10.0.0.0/many", "https://10.0.0.0", false),
        ("::1", "http://[::1]:4566", true),
        ("[::1]", "http://[::1]:4566", true),
        ("[::1]:4566", "http://[::1]:4566", true),
        ("[::1]:4567", "http://[::1]:4566", false),
        ("fd00::/8", "https://[fd12::1]", true),
        (", ,", "https://host.example", false),
        (".", "https://host.example", false),
    ];
    for (list, url, listed) in table {
        assert_eq!(
            is_listed(list, &url.parse().unwrap()),
            listed,
            "{list} {url}"
        );
    }
}
