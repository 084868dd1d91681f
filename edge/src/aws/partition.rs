//! AWS's partitions and the host names in each. The rules are AWS's endpoint rules, which are the same for Kinesis and STS.

/// A partition: the prefix of its regions, and the suffix of its host names for IPv4 and for dual stack.
struct Partition {
    region_start: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
}

const fn partition(
    region_start: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition {
        region_start,
        suffix,
        dual_stack_suffix,
    }
}

/// The partitions. The last one is for every other region, known or future.
const PARTITIONS: [Partition; 7] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("", "amazonaws.com", "api.aws"),
];

/// Partition whose IPv4 endpoints are FIPS endpoints already, and have no separate name for it.
const GOV: &str = "us-gov-";

/// The variant of a service's endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// FIPS 140 endpoints.
    pub fips: bool,
    /// Dual-stack endpoints: IPv4 and IPv6.
    pub dual_stack: bool,
}

/// The address of `service`, such as `kinesis`, in `region`.
pub fn url(service: &str, region: &str, variant: Variant) -> String {
    let found = PARTITIONS
        .iter()
        .find(|partition| region.starts_with(partition.region_start));
    let partition = found.unwrap_or(&PARTITIONS[PARTITIONS.len() - 1]);
    let suffix = match variant.dual_stack {
        true => partition.dual_stack_suffix,
        false => partition.suffix,
    };
    let named_so = region.starts_with(GOV) && !variant.dual_stack;
    let fips = match variant.fips && !named_so {
        true => "-fips",
        false => "",
    };
    format!("https://{service}{fips}.{region}.{suffix}")
}

#[cfg(test)]
mod tests;
