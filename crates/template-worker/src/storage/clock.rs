//! What time it is, for whatever is stored with a time.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;

/// The longest that is slept at a time: a machine whose clock is set, or that was asleep, notices so late.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The time of day. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// Whatever somebody says that it is.
    Said(watch::Receiver<OffsetDateTime>),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> OffsetDateTime {
        match self {
            Self::System => OffsetDateTime::now_utc(),
            Self::Said(said) => *said.borrow(),
        }
    }

    /// Returns when it is `at`, and perhaps earlier; never for `None`.
    pub async fn sleep_until(&self, at: Option<OffsetDateTime>) {
        let Some(at) = at else { return std::future::pending().await };
        match self {
            Self::System => {
                let left = Duration::try_from(at - self.now()).unwrap_or_default();
                tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
            }
            Self::Said(said) => {
                // Where nobody says any more what time it is, it stays as it is.
                if said.clone().wait_for(|now| *now >= at).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
