//! How often a guild may call: a bucket for each guild and rate, which fills with time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::HostError;
use super::calls::Bucket;
use crate::ids::GuildId;

/// Checks between two looks for guilds whose buckets are full again, which need not be remembered.
const BETWEEN_SWEEPS: u32 = 4_096;

#[derive(Debug, Default)]
struct Rate {
    limiter: Option<Arc<DefaultKeyedRateLimiter<GuildId>>>,
    checks: u32,
}

/// The buckets of all guilds.
#[derive(Debug, Default)]
pub(super) struct RateLimits {
    rates: Mutex<HashMap<Bucket, Rate>>,
    clock: DefaultClock,
}

impl RateLimits {
    /// Takes `weight` of each of `buckets` for `guild`; all of a bucket that never holds as many.
    ///
    /// # Errors
    /// [`HostError::RateLimited`] for the first that has less. What was taken of those before it stays taken.
    pub(super) fn take(&self, guild: GuildId, buckets: &[Bucket], weight: u32) -> Result<(), HostError> {
        for bucket in buckets {
            let count = NonZeroU32::new(weight.min(bucket.burst)).unwrap_or(NonZeroU32::MIN);
            let wait = match self.limiter(bucket).check_key_n(&guild, count) {
                Ok(Ok(())) => continue,
                Ok(Err(empty)) => empty.wait_time_from(self.clock.now()),
                Err(_) => every(bucket).saturating_mul(bucket.burst),
            };
            return Err(HostError::RateLimited {
                bucket: bucket.name,
                wait,
                burst: bucket.burst,
                every: every(bucket),
            });
        }
        Ok(())
    }

    fn limiter(&self, bucket: &Bucket) -> Arc<DefaultKeyedRateLimiter<GuildId>> {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = rates.entry(*bucket).or_default();
        rate.checks = rate.checks.wrapping_add(1);
        let limiter = rate.limiter.get_or_insert_with(|| Arc::new(RateLimiter::keyed(quota(bucket))));
        if rate.checks.is_multiple_of(BETWEEN_SWEEPS) {
            limiter.retain_recent();
        }
        Arc::clone(limiter)
    }
}

fn every(bucket: &Bucket) -> Duration {
    Duration::from_millis(u64::from(bucket.every_ms.max(1)))
}

fn quota(bucket: &Bucket) -> Quota {
    let burst = NonZeroU32::new(bucket.burst).unwrap_or(NonZeroU32::MIN);
    let one = Quota::with_period(every(bucket)).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    one.allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guild_has_its_burst_and_then_hears_when_and_costs_no_other_guild() {
        const RARE: Bucket = Bucket { name: "rare", burst: 3, every_ms: 3_600_000 };
        let (rates, guild) = (RateLimits::default(), |id| GuildId::new(id).unwrap());
        for _ in 0..3 {
            rates.take(guild(1), &[RARE], 1).unwrap();
        }
        let refused = rates.take(guild(1), &[RARE], 1).unwrap_err();
        let HostError::RateLimited { bucket: "rare", wait, burst: 3, .. } = refused else {
            panic!("it was refused for another reason: {refused}");
        };
        assert!(wait > Duration::from_secs(3_500), "{wait:?}");
        rates.take(guild(2), &[RARE], 1).unwrap();
    }

    #[test]
    fn what_counts_as_several_takes_as_many_and_never_more_than_there_can_be() {
        const RARE: Bucket = Bucket { name: "rare", burst: 5, every_ms: 3_600_000 };
        let (rates, guild) = (RateLimits::default(), |id| GuildId::new(id).unwrap());
        rates.take(guild(1), &[RARE], 3).unwrap();
        let refused = rates.take(guild(1), &[RARE], 3).unwrap_err();
        let HostError::RateLimited { wait, .. } = refused else {
            panic!("it was refused for another reason: {refused}");
        };
        assert!(wait > Duration::from_secs(3_500) && wait <= Duration::from_secs(3_600), "{wait:?}");
        rates.take(guild(1), &[RARE], 2).unwrap();
        assert!(rates.take(guild(1), &[RARE], 1).is_err());
        rates.take(guild(2), &[RARE], u32::MAX).unwrap();
        assert!(rates.take(guild(2), &[RARE], 1).is_err());
    }
}
