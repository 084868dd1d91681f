//! The parts that AWS is made of, and the names its servers have in each: AWS's own endpoint rules, which are the same for Kinesis and STS.

/// A partition: what its regions begin with, and what its servers' names end with, over IPv4 alone and over IPv6 too.
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

/// Those apart from the rest; the last is that of every other region, known or to come.
const PARTITIONS: [Partition; 7] = [
    partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    partition("", "amazonaws.com", "api.aws"),
];

/// The servers of this partition are validated as they are, and need no name of their own for it over IPv4.
const GOV: &str = "us-gov-";

/// Which of a service's servers in a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Those whose cryptography is validated by FIPS 140.
    pub fips: bool,
    /// Those that are reached over IPv6 too.
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
