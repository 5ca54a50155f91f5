//! One call: its session, its deadline, and when it may be sent again.
//!
//! A request is sent again when the node said that nothing was done, when it never left, or when doing it twice does
//! no harm. That is so for reads, and for appends, because they carry an idempotency key; but a region's ledger knows
//! only its own keys, so an append whose fate is unknown is repeated in the same region only.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use trine_crdt::RegionId;
use trine_protocol::reply::Answer;
use trine_protocol::request::{Append, Options};
use trine_protocol::{Request, RequestError};

use super::Client;
use crate::CallOptions;
use crate::connection::{Connection, Failure};
use crate::error::ClientError;
use crate::limits::{LAST_TRY, LAST_TRY_SHARE, RETRY_PAUSE_FIRST, RETRY_PAUSE_MAX, WAY_LEAST, WAY_SHARE};

/// What to do after a failed attempt.
enum After {
    Stop,
    /// Nothing was done: anywhere, after a pause.
    Again(Duration),
    /// It may have been done.
    Repeat,
}

impl Client {
    pub(super) async fn call(&self, call: &CallOptions, mut request: Request) -> Result<Answer, ClientError> {
        let settings = &self.inner.settings;
        let deadline = call.deadline.unwrap_or(settings.deadline);
        let ends = Instant::now() + deadline;
        let session = call.session.as_ref().unwrap_or(&settings.session);
        let mut retries = call.retries.unwrap_or(settings.retries);
        let writes = request.writes();
        let bound = match timeout_at(ends, self.bound_to(call, &request)).await {
            Ok(bound) => bound?,
            Err(_) => return Err(ClientError::TooShort { deadline }),
        };
        // What is never sent again needs no name; the ledger would remember it for nothing.
        let harmless = retries > 0 && make_harmless(&mut request);
        let mut pause = RETRY_PAUSE_FIRST;
        // The region where an attempt's fate is unknown.
        let mut fate: Option<RegionId> = None;
        // Why the attempts so far came to nothing, in the words of the last one.
        let mut last: Option<ClientError> = None;
        loop {
            let options = Options {
                consistency: call.consistency.unwrap_or(settings.consistency),
                durability: call.durability.unwrap_or(settings.durability),
                session: session.token(),
                ..Options::default()
            };
            let mut sent = false;
            let attempt = self.attempt((options, ends), &request, (fate.as_ref(), bound.as_ref()), &mut sent);
            let (error, region, after) = match timeout_at(ends, attempt).await {
                // Of a write that is under way nobody knows what becomes; of anything else the last refusal says why.
                Err(_) if writes && (sent || fate.is_some()) => return Err(ClientError::TimedOut { deadline, writes }),
                Err(_) => {
                    let none = if sent {
                        ClientError::TimedOut { deadline, writes }
                    } else {
                        ClientError::TooShort { deadline }
                    };
                    return Err(last.unwrap_or(none));
                }
                Ok(Ok(answer)) => {
                    session.see(&answer.session);
                    return Ok(answer);
                }
                Ok(Err((error, region, after))) => (error.of(writes), region, after),
            };
            let wait = match after {
                After::Again(least) => least.max(pause),
                After::Repeat if harmless => {
                    if writes {
                        fate = region;
                    }
                    pause
                }
                After::Stop | After::Repeat => return Err(error),
            };
            // Another try that the deadline cut short would leave its fate unknown, and the reason untold.
            let wait_for_another = wait.max(LAST_TRY.min(deadline / LAST_TRY_SHARE));
            if retries == 0 || Instant::now() + wait_for_another >= ends {
                // With an earlier attempt's fate unknown, nobody may conclude that nothing was done.
                return Err(if fate.is_some() && error.retryable() { ClientError::Lost } else { error });
            }
            last = Some(error);
            retries -= 1;
            sleep(wait).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    async fn attempt(
        &self,
        (options, ends): (Options, Instant),
        request: &Request,
        (fate, bound): (Option<&RegionId>, Option<&RegionId>),
        sent: &mut bool,
    ) -> Result<Answer, (ClientError, Option<RegionId>, After)> {
        let pool = &self.inner.pool;
        let network = self.network().await.map_err(|error| (error, None, After::Stop))?;
        let connection = match pool.connection(network, fate.or(bound)).await {
            Ok(connection) => connection,
            // With a fate unknown, "unreachable" would claim that nothing was done.
            Err(_) if fate.is_some() => return Err((ClientError::Lost, fate.cloned(), After::Repeat)),
            Err(error @ ClientError::Refused(_)) => return Err((error, None, After::Stop)),
            Err(error) => return Err((self.kept_in(bound, error), None, After::Again(Duration::ZERO))),
        };
        let connection = if matches!(request, Request::Append(_)) { self.leader(connection) } else { connection };
        *sent = true;
        let options = Options { timeout: Some(time_for_node(ends, connection.round_trip)), ..options };
        let region = Some(connection.endpoint.region.clone());
        match connection.call(options, request.clone()).await {
            Ok(answer) => Ok(answer),
            Err(Failure::NotSent) => {
                pool.leave(&connection);
                let what = "the connection broke".to_owned();
                Err((ClientError::Unreachable { what }, region, After::Again(Duration::ZERO)))
            }
            Err(Failure::Lost) => {
                pool.leave(&connection);
                Err((ClientError::Lost, region, After::Repeat))
            }
            Err(Failure::Answered(error)) => {
                let after = match &error {
                    RequestError::Overloaded { retry_after } => After::Again(*retry_after),
                    RequestError::Unavailable { .. } | RequestError::DiskFull => {
                        pool.leave(&connection);
                        After::Again(Duration::ZERO)
                    }
                    RequestError::Unknown => After::Repeat,
                    _ => After::Stop,
                };
                Err((error.into(), region, after))
            }
        }
    }
}

impl Client {
    /// That no node of the only region that was to be asked can be reached.
    fn kept_in(&self, bound: Option<&RegionId>, error: ClientError) -> ClientError {
        match (bound, error) {
            (Some(region), ClientError::Unreachable { what }) => {
                ClientError::RegionUnreachable { region: region.clone(), what }
            }
            (_, error) => error,
        }
    }

    /// The leader of the region of a node in use, or that node as long as it is not known. Asks, now and then, who it is.
    fn leader(&self, current: Arc<Connection>) -> Arc<Connection> {
        let pool = &self.inner.pool;
        if pool.leader.due() && pool.has_neighbours(&current) {
            let (inner, current) = (Arc::clone(&self.inner), Arc::clone(&current));
            tokio::spawn(async move {
                if let Some(network) = inner.network.get() {
                    inner.pool.leader.find(network, current).await;
                }
            });
        }
        pool.leader.of(&current).unwrap_or(current)
    }
}

/// How long a node may take, which is less than the call may: what it says at its deadline is on its way by the call's.
fn time_for_node(ends: Instant, round_trip: Duration) -> Duration {
    let left = ends.saturating_duration_since(Instant::now());
    left - (WAY_LEAST + 2 * round_trip).min(left / WAY_SHARE)
}

/// Gives an append an idempotency key unless it has one; says whether the request may be done twice.
fn make_harmless(request: &mut Request) -> bool {
    match request {
        Request::Append(Append { idempotency_key, .. }) => {
            if idempotency_key.is_none() {
                let mut bytes = [0; 16];
                if getrandom::fill(&mut bytes).is_err() {
                    return false;
                }
                *idempotency_key = Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            true
        }
        request => !request.writes(),
    }
}
