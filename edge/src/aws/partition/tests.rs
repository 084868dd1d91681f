use super::*;

#[test]
fn every_partition_has_its_own_names() {
    // AWS's own words: botocore/data/partitions.json and the endpoint rule sets of kinesis and sts.
    let table = [
        ("eu-west-1", false, false, "kinesis.eu-west-1.amazonaws.com"),
        (
            "us-east-1",
            true,
            false,
            "kinesis-fips.us-east-1.amazonaws.com",
        ),
        ("us-east-1", false, true, "kinesis.us-east-1.api.aws"),
        ("us-east-1", true, true, "kinesis-fips.us-east-1.api.aws"),
        (
            "us-gov-west-1",
            false,
            false,
            "kinesis.us-gov-west-1.amazonaws.com",
        ),
        (
            "us-gov-west-1",
            true,
            false,
            "kinesis.us-gov-west-1.amazonaws.com",
        ),
        (
            "us-gov-west-1",
            true,
            true,
            "kinesis-fips.us-gov-west-1.api.aws",
        ),
        (
            "cn-north-1",
            false,
            false,
            "kinesis.cn-north-1.amazonaws.com.cn",
        ),
        (
            "cn-north-1",
            false,
            true,
            "kinesis.cn-north-1.api.amazonwebservices.com.cn",
        ),
        (
            "eusc-de-east-1",
            false,
            false,
            "kinesis.eusc-de-east-1.amazonaws.eu",
        ),
        (
            "eusc-de-east-1",
            false,
            true,
            "kinesis.eusc-de-east-1.api.amazonwebservices.eu",
        ),
        (
            "us-iso-east-1",
            false,
            false,
            "kinesis.us-iso-east-1.c2s.ic.gov",
        ),
        (
            "us-isob-east-1",
            true,
            false,
            "kinesis-fips.us-isob-east-1.sc2s.sgov.gov",
        ),
        (
            "us-isof-south-1",
            false,
            false,
            "kinesis.us-isof-south-1.csp.hci.ic.gov",
        ),
        (
            "eu-isoe-west-1",
            false,
            false,
            "kinesis.eu-isoe-west-1.cloud.adc-e.uk",
        ),
        ("xx-new-1", false, false, "kinesis.xx-new-1.amazonaws.com"),
    ];
    for (region, fips, dual_stack, host) in table {
        let url = url("kinesis", region, Variant { fips, dual_stack });
        assert_eq!(url, format!("https://{host}"));
    }
}
