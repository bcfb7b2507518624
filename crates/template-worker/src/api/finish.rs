//! Work that must not stop halfway because the client hung up.

use tracing::Instrument as _;

use super::error::ApiError;

/// Runs `work` to its end, also where the client hangs up: what was stored would otherwise not be told to those who
/// have to know.
pub(super) async fn to_the_end<T, F>(work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    tokio::spawn(work.in_current_span()).await.unwrap_or_else(|panic| Err(ApiError::internal(panic)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;
    use crate::api::problem::Problem;

    #[tokio::test]
    async fn work_goes_on_when_nobody_waits_for_it() {
        let (done, is_done) = oneshot::channel();
        let work = to_the_end(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            done.send(()).map_err(|()| ApiError::overloaded())
        });
        let hung_up = tokio::time::timeout(Duration::from_millis(1), work).await;
        assert!(hung_up.is_err());
        assert_eq!(is_done.await, Ok(()));
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_our_own() {
        let result = to_the_end::<(), _>(async { panic!("at the worst moment") }).await;
        assert_eq!(result.unwrap_err().problem(), Problem::Internal);
    }
}
