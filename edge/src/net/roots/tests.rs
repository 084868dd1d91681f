use super::*;

#[test]
fn a_bundle_is_good_if_one_certificate_in_it_can_be_read() {
    let unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(Roots::from_pem(unreadable.as_bytes()).is_err());
    let good = testkit::tls::Authority::new().pem();
    let both = format!("{unreadable}{}", good);
    let roots = Roots::from_pem(both.as_bytes()).unwrap();
    assert_eq!(format!("{roots:?}"), "1 own roots");
}
