//! Asking a node whether it serves.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::limits::{ANSWER_BYTES_MAX, ASK_TIMEOUT};

/// What `/readyz` says at `http` (`host:port`): nothing when it serves, otherwise why not.
///
/// # Errors
/// Why it does not serve, for people.
pub(super) async fn ask(http: &str) -> Result<(), String> {
    match tokio::time::timeout(ASK_TIMEOUT, get(http)).await {
        Ok(Ok((200, _))) => Ok(()),
        Ok(Ok((_, body))) => Err(detail(&body).unwrap_or(body)),
        Ok(Err(error)) => Err(format!("no answer: {error}")),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// What a problem says for people.
fn detail(body: &str) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_str(body).ok()?;
    let text = problem.get("detail").or_else(|| problem.get("title"))?;
    text.as_str().map(str::to_owned)
}

async fn get(http: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(http).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not HTTP");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::detail;

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let body = r#"{"type":"urn:trine:problem:not_ready","title":"not ready","status":503,"detail":"it joins"}"#;
        assert_eq!(detail(body).as_deref(), Some("it joins"));
        assert_eq!(detail(r#"{"title":"not ready"}"#).as_deref(), Some("not ready"));
        assert_eq!(detail("not JSON"), None);
    }
}
