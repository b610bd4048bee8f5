//! A proxy before the S3 server that lies, waits and forgets as told, and knows which step of
//! the protocol each request is.
//!
//! It sees every write of a job, so faults hit exact points without any hook inside the
//! program: "after the acks" is a manifest's PUT that has arrived and is not applied, "after the
//! PUT" is one that is applied and not answered, "inside collection" is a delete.

mod step;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::process;

pub use step::Step;

/// Largest body that passes; parts of uploads are far smaller.
const MAX_BODY: usize = 256 << 20;

/// A request, as a policy sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts up.
    pub number: u64,
    /// What it means.
    pub step: Step,
    /// `/bucket/key`, without a query.
    pub path: String,
}

/// When, relative to the store applying a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Before it is applied. A held request is applied once its sender goes on.
    Before,
    /// After it was applied, before the answer is sent.
    After,
}

/// What happens to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Nothing out of the ordinary.
    None,
    /// 503, not applied.
    Refuse,
    /// Applied and answered, after a while.
    Delay(Duration),
    /// Applied and answered after [`Proxy::release`].
    Hold,
    /// Applied; the connection breaks instead of an answer.
    LoseAnswer,
    /// The connection breaks at once; applied after a while.
    ApplyLater(Duration),
    /// The sender is killed.
    Kill(Moment),
    /// The sender is stopped until [`Proxy::release`].
    Stop(Moment),
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(match self {
            Self::None => "none",
            Self::Refuse => "refused",
            Self::Delay(_) => "answered late",
            Self::Hold => "held",
            Self::LoseAnswer => "answer lost",
            Self::ApplyLater(_) => "applied later",
            Self::Kill(Moment::Before) => "killed before",
            Self::Kill(Moment::After) => "killed after",
            Self::Stop(Moment::Before) => "stopped before",
            Self::Stop(Moment::After) => "stopped after",
        })
    }
}

/// Decides what happens to each request.
pub type Policy = Box<dyn FnMut(&Call) -> Fault + Send>;

/// A fault that was done, for a histogram.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// What.
    pub fault: Fault,
    /// To what.
    pub step: Step,
    /// To whom, where a process was signalled.
    pub process: Option<u32>,
}

struct Shared {
    /// Where the proxy listens.
    port: u16,
    upstream: u16,
    policy: Mutex<Policy>,
    calls: Mutex<Calls>,
    /// Processes among which the sender of a request is looked for, with all below them.
    roots: Mutex<Vec<u32>>,
    /// Counts releases; who is held waits for the next.
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Calls {
    count: u64,
    in_flight: Vec<(u64, u16, Step)>,
    done: Vec<Done>,
}

/// The running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy before the server on loopback port `upstream`, without faults.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(upstream: u16) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            port: listener.local_addr()?.port(),
            upstream,
            policy: Mutex::new(Box::new(|_| Fault::None)),
            calls: Mutex::new(Calls::default()),
            roots: Mutex::new(Vec::new()),
            released: watch::channel(0).0,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("the proxy's runtime")?;
        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, serving) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Ok(Self { shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Its port on loopback.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// Replaces what decides about faults.
    pub fn set_policy(&self, policy: impl FnMut(&Call) -> Fault + Send + 'static) {
        *lock(&self.shared.policy) = Box::new(policy);
    }

    /// Names the processes whose trees send the requests.
    pub fn watch(&self, roots: Vec<u32>) {
        *lock(&self.shared.roots) = roots;
    }

    /// Lets everything go on that was stopped.
    pub fn release(&self) {
        for done in &lock(&self.shared.calls).done {
            if let (Fault::Stop(_), Some(id)) = (done.fault, done.process) {
                // It may have been killed meanwhile.
                let _ = process::signal(id, Signal::CONT);
            }
        }
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// The faults done so far.
    #[must_use]
    pub fn done(&self) -> Vec<Done> {
        lock(&self.shared.calls).done.clone()
    }

    /// Requests seen so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        lock(&self.shared.calls).count
    }

    /// The step a process is in: its oldest unanswered request, writes first.
    #[must_use]
    pub fn step_of(&self, id: u32) -> Option<Step> {
        let open = lock(&self.shared.calls).in_flight.clone();
        let mine: Vec<_> = open
            .into_iter()
            .filter(|(_, from, _)| {
                process::owner_of_connection(*from, self.port(), &[id]).is_some()
            })
            .map(|(_, _, step)| step)
            .collect();
        mine.iter().find(|step| step.writes()).or(mine.first()).copied()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.release();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| handle(shared.clone(), from, request));
            // A broken connection is one of the faults, and the client's business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Returned to break the connection.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

type Answer = Result<Response<Full<Bytes>>, Broken>;

async fn handle(shared: Arc<Shared>, from: SocketAddr, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Err(Broken);
    };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let step = Step::of(&head.method, &target);
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    let number = {
        let mut calls = lock(&shared.calls);
        calls.count += 1;
        let number = calls.count;
        calls.in_flight.push((number, from.port(), step));
        number
    };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let fault = (lock(&shared.policy))(&Call { number, step, path });
    let answer = act(&shared, from.port(), step, fault, request).await;
    lock(&shared.calls).in_flight.retain(|(open, ..)| *open != number);
    answer
}

async fn act(
    shared: &Arc<Shared>,
    client: u16,
    step: Step,
    fault: Fault,
    request: Request<Full<Bytes>>,
) -> Answer {
    let note = |process| {
        lock(&shared.calls).done.push(Done { fault, step, process });
    };
    let upstream = shared.upstream;
    match fault {
        Fault::None => forward(upstream, request).await,
        Fault::Refuse => {
            note(None);
            let mut answer = Response::new(Full::new(Bytes::from_static(
                b"<Error><Code>SlowDown</Code><Message>on purpose</Message></Error>",
            )));
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            Ok(answer)
        }
        Fault::Delay(wait) => {
            // Waiting for input is the pace of a test, not a fault.
            if step != Step::SourceRead {
                note(None);
            }
            tokio::time::sleep(wait).await;
            forward(upstream, request).await
        }
        Fault::Hold => {
            let mut released = shared.released.subscribe();
            // Fails only when the proxy ends.
            let _ = released.changed().await;
            forward(upstream, request).await
        }
        Fault::LoseAnswer => {
            note(None);
            let _ = forward(upstream, request).await;
            Err(Broken)
        }
        Fault::ApplyLater(wait) => {
            note(None);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let _ = forward(upstream, request).await;
            });
            Err(Broken)
        }
        Fault::Kill(moment) => {
            let early = match moment {
                Moment::Before => None,
                Moment::After => Some(forward(upstream, request).await),
            };
            note(signal_sender(shared, client, Signal::KILL));
            early.unwrap_or(Err(Broken))
        }
        Fault::Stop(moment) => {
            let early = match moment {
                Moment::Before => Err(request),
                Moment::After => Ok(forward(upstream, request).await),
            };
            let mut released = shared.released.subscribe();
            note(signal_sender(shared, client, Signal::STOP));
            // Fails only when the proxy ends.
            let _ = released.changed().await;
            match early {
                Ok(answer) => answer,
                Err(request) => forward(upstream, request).await,
            }
        }
    }
}

fn signal_sender(shared: &Shared, client: u16, signal: Signal) -> Option<u32> {
    let roots = lock(&shared.roots).clone();
    let all: Vec<u32> = roots
        .iter()
        .flat_map(|root| process::descendants(*root).into_iter().chain([*root]))
        .collect();
    let sender = process::owner_of_connection(client, shared.port, &all)?;
    process::signal(sender, signal).ok().map(|()| sender)
}

/// Sends the request on unchanged: its signature covers its headers, `Host` among them.
async fn forward(upstream: u16, request: Request<Full<Bytes>>) -> Answer {
    match try_forward(upstream, request).await {
        Ok(answer) => Ok(answer),
        Err(_) => Err(Broken),
    }
}

async fn try_forward(
    upstream: u16,
    request: Request<Full<Bytes>>,
) -> Result<Response<Full<Bytes>>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let (mut head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_BODY)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("the answer's body: {error}"))?;
    head.headers.remove(CONNECTION);
    head.headers.remove(TRANSFER_ENCODING);
    driving.abort();
    Ok(Response::from_parts(head, Full::new(body.to_bytes())))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A server that counts requests and answers each with its number.
    fn counting_server() -> (u16, Arc<AtomicU64>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let seen = Arc::new(AtomicU64::new(0));
        let counter = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer);
                counter.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        (port, seen)
    }

    fn put(port: u16) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the proxy listens");
        let request = "PUT /b/state/default/j/chain/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let (upstream, seen) = counting_server();
        let proxy = Proxy::start(upstream).expect("it starts");
        let applied = || seen.load(Ordering::SeqCst);
        assert!(put(proxy.port()).starts_with("HTTP/1.1 200"));
        assert_eq!(applied(), 1);

        proxy.set_policy(|_| Fault::Refuse);
        assert!(put(proxy.port()).starts_with("HTTP/1.1 503"));
        assert_eq!(applied(), 1, "a refused request is not applied");

        proxy.set_policy(|_| Fault::LoseAnswer);
        assert_eq!(put(proxy.port()), "", "no answer");
        assert_eq!(applied(), 2, "yet applied");

        proxy.set_policy(|_| Fault::ApplyLater(Duration::from_millis(300)));
        assert_eq!(put(proxy.port()), "", "no answer");
        assert_eq!(applied(), 2, "not applied yet");
        process::wait_for("the late apply", Duration::from_secs(5), || Ok(applied() == 3))
            .expect("it comes");

        let done: Vec<_> =
            proxy.done().iter().map(|done| format!("{} {}", done.step, done.fault)).collect();
        assert_eq!(
            done,
            [
                "manifest create refused",
                "manifest create answer lost",
                "manifest create applied later"
            ]
        );
    }

    #[test]
    fn a_sender_is_killed_at_the_step_that_was_named() {
        let (upstream, seen) = counting_server();
        let proxy = Proxy::start(upstream).expect("it starts");
        proxy.set_policy(|call| match call.step {
            Step::ChainCreate => Fault::Kill(Moment::After),
            _ => Fault::None,
        });
        let script = format!(
            "read; exec 3<>/dev/tcp/127.0.0.1/{}; printf 'PUT /b/state/x/chain/1 HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n\\r\\n' >&3; sleep 60 <&3; true",
            proxy.port()
        );
        let mut command = std::process::Command::new("bash");
        command.args(["-c", &script]).stdin(std::process::Stdio::piped());
        let mut sender = process::Process::start("sender", &mut command).expect("bash starts");
        proxy.watch(vec![sender.id()]);
        let mut go = sender.take_stdin().expect("a pipe");
        go.write_all(b"\n").expect("it waits for this line");
        process::wait_for("the kill", Duration::from_secs(5), || {
            Ok(proxy.done().iter().any(|done| done.process.is_some()))
        })
        .expect("the sender is found and killed");
        assert_eq!(seen.load(Ordering::SeqCst), 1, "applied before the kill");
        sender.kill_group();
    }
}
