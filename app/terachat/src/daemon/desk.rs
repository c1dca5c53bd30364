use super::outbox::Outbox;
use super::service::Event;
use crate::board::{self, BoardCall};
use crate::failure::{Failure, Result};
use crate::home::Profile;
use std::sync::Arc;
use std::time::{Duration, Instant};
use terachat_client::api::{Answer, Notice, Request};
use terachat_host::clock;
use terachat_net::PeerKey;
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockReadGuard, RwLock, broadcast, mpsc, oneshot};
use tokio::task::JoinHandle;

/// Jobs that may wait. Few, so that a command waits behind few frames; peers feel it as back-pressure. Frames among them are
/// taken in together, which is what makes a burst cheap.
const JOBS_MAX: usize = 64;
/// Bytes of frames after which no more are taken in together, so that a command does not wait long.
const FRAMES_LEN_MAX: usize = 1 << 20;

/// Between two looks at whether an audit is due, while nobody asks for anything.
const IDLE: Duration = Duration::from_secs(10);

/// One thing for the client to do.
enum Job {
    Execute { request: Request, reply: oneshot::Sender<Result<Answer>> },
    Board { call: BoardCall, reply: oneshot::Sender<Result<Answer>> },
    Connected(PeerKey),
    Disconnected(PeerKey),
    Frame { peer: PeerKey, bytes: Vec<u8> },
    Stop,
}

/// The way to the one thread that owns the client.
#[derive(Clone)]
pub(super) struct Desk {
    jobs: mpsc::Sender<Job>,
    /// Read by everybody who owes somebody an answer: until nobody does, the process does not end.
    replies: Arc<RwLock<()>>,
}

impl Desk {
    /// Starts the thread. The handle ends when the profile is closed, or gives why it had to end.
    pub(super) fn start(
        profile: Profile,
        outbox: Arc<Outbox>,
        events: broadcast::Sender<Event>,
    ) -> (Self, JoinHandle<Result<()>>) {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        let work = Work { profile, outbox, events };
        let desk = Self { jobs, replies: Arc::default() };
        (desk, tokio::task::spawn_blocking(move || work.run(inbox)))
    }

    /// Keeps the process from ending, whatever becomes of the thread, until an answer was handed on. Taken before asking.
    #[cfg_attr(not(unix), allow(dead_code, reason = "nobody asks there"))]
    pub(super) async fn replying(&self) -> OwnedRwLockReadGuard<()> {
        self.replies.clone().read_owned().await
    }

    /// Waits until all answers were handed on.
    pub(super) async fn replied(&self) {
        drop(self.replies.write().await);
    }

    /// Has a request executed.
    ///
    /// # Errors
    /// [`Failure::Told`] by the client, or because the process is ending.
    pub(super) async fn execute(&self, request: Request) -> Result<Answer> {
        self.answered(|reply| Job::Execute { request, reply }).await
    }

    /// Has a part of an exchange by a board carried out. It holds up everything else for as long as the folder takes.
    ///
    /// # Errors
    /// As [`Desk::execute`].
    pub(super) async fn board(&self, call: BoardCall) -> Result<Answer> {
        self.answered(|reply| Job::Board { call, reply }).await
    }

    async fn answered(&self, job: impl FnOnce(oneshot::Sender<Result<Answer>>) -> Job) -> Result<Answer> {
        let ending = || Failure::new("the running terachat is about to end", "run the command again");
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }

    pub(super) async fn connected(&self, peer: PeerKey) {
        self.give(Job::Connected(peer)).await;
    }

    pub(super) async fn disconnected(&self, peer: PeerKey) {
        self.give(Job::Disconnected(peer)).await;
    }

    pub(super) async fn frame(&self, peer: PeerKey, bytes: Vec<u8>) {
        self.give(Job::Frame { peer, bytes }).await;
    }

    /// Ends the thread after the jobs given so far; it closes the profile then.
    pub(super) async fn stop(&self) {
        self.give(Job::Stop).await;
    }

    async fn give(&self, job: Job) {
        // Nobody takes jobs when the thread has ended, in order or by a panic; the service learns which by its handle.
        let _ = self.jobs.send(job).await;
    }
}

/// What became of waiting for a job.
enum Waited {
    Job(Job),
    /// Nobody asked for anything.
    Idle,
    End,
}

/// Waits for the next job, a while, or not at all if there is other work.
fn wait(runtime: &Handle, inbox: &mut mpsc::Receiver<Job>, busy: bool) -> Waited {
    if busy {
        return match inbox.try_recv() {
            Ok(job) => Waited::Job(job),
            Err(mpsc::error::TryRecvError::Empty) => Waited::Idle,
            Err(mpsc::error::TryRecvError::Disconnected) => Waited::End,
        };
    }
    match runtime.block_on(async { tokio::time::timeout(IDLE, inbox.recv()).await }) {
        Ok(Some(job)) => Waited::Job(job),
        Ok(None) => Waited::End,
        Err(_) => Waited::Idle,
    }
}

struct Work {
    profile: Profile,
    outbox: Arc<Outbox>,
    events: broadcast::Sender<Event>,
}

impl Work {
    fn run(mut self, mut inbox: mpsc::Receiver<Job>) -> Result<()> {
        let mut next = None;
        let runtime = Handle::current();
        let (mut busy, mut watched) = (false, Instant::now());
        loop {
            // Where somebody always asks for something, it gets a slice between two jobs now and then.
            if next.is_none() && watched.elapsed() >= IDLE {
                busy = self.watch()?;
                watched = Instant::now();
            }
            let job = match next.take() {
                Some(job) => job,
                None => match wait(&runtime, &mut inbox, busy) {
                    Waited::Job(job) => job,
                    Waited::Idle => {
                        busy = self.watch()?;
                        watched = Instant::now();
                        continue;
                    }
                    Waited::End => break,
                },
            };
            match job {
                Job::Stop => break,
                Job::Execute { request, reply } => {
                    let mut asked = vec![(request, reply)];
                    // Under load requests wait for each other's sync; those that wait now share one.
                    while let Ok(job) = inbox.try_recv() {
                        match job {
                            Job::Execute { request, reply } => asked.push((request, reply)),
                            other => {
                                next = Some(other);
                                break;
                            }
                        }
                    }
                    self.execute(asked)?;
                }
                Job::Board { call, reply } => {
                    let answer = board::carry_out(&mut self.profile.client, &call);
                    self.drain();
                    // Whoever asked may have gone; the answer is then of no use.
                    let _ = reply.send(answer);
                }
                Job::Connected(peer) => self.profile.client.connected(peer.0),
                Job::Disconnected(peer) => self.profile.client.disconnected(peer.0),
                Job::Frame { peer, bytes } => {
                    let mut len = bytes.len();
                    let mut frames = vec![(peer.0, bytes)];
                    // What came while the last was judged is judged together.
                    while len < FRAMES_LEN_MAX
                        && let Ok(job) = inbox.try_recv()
                    {
                        match job {
                            Job::Frame { peer, bytes } => {
                                len += bytes.len();
                                frames.push((peer.0, bytes));
                            }
                            other => {
                                next = Some(other);
                                break;
                            }
                        }
                    }
                    self.receive(frames);
                }
            }
            self.drain();
            self.require_sound()?;
        }
        // Jobs that still wait are answered by their senders' end, before the closing that may take a while.
        drop(inbox);
        self.profile.close();
        Ok(())
    }

    /// One slice of the audit in the background; gives whether more is to be done at once.
    fn watch(&mut self) -> Result<bool> {
        let outcome = self.profile.client.watch(clock::now_ms());
        self.drain();
        self.require_sound()?;
        // A disk that cannot be read now may be read the next time; whoever asks for something is told.
        Ok(outcome.unwrap_or_else(|error| {
            tracing::warn!(%error, "the audit in the background was interrupted");
            false
        }))
    }

    /// Ends where an audit raised the alarm: nothing can be written any more, and only opening anew after a repair helps.
    fn require_sound(&self) -> Result<()> {
        let Some(why) = self.profile.client.halted() else { return Ok(()) };
        tracing::error!(alarm = why, "an audit found that the state does not follow from its events");
        let what = format_args!("ALARM: writing has stopped: {why}");
        let next = "run `terachat store check`, then restore the folder from a backup or from another device";
        Err(Failure::new(what, next))
    }

    /// Answers in order. An error is one of the disk under several requests at once: none of them holds, and the
    /// profile has to be opened anew.
    fn execute(&mut self, mut asked: Vec<(Request, oneshot::Sender<Result<Answer>>)>) -> Result<()> {
        let client = &mut self.profile.client;
        if asked.len() == 1
            && let Some((request, reply)) = asked.pop()
        {
            let answer = client.execute(request, clock::now_ms()).map_err(Failure::from_text);
            self.drain();
            // Whoever asked may have gone; the answer is then of no use.
            let _ = reply.send(answer);
            return Ok(());
        }
        let (requests, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let answers = client.execute_all(requests, clock::now_ms()).map_err(Failure::from_text)?;
        self.drain();
        for (answer, reply) in answers.into_iter().zip(replies) {
            let _ = reply.send(answer.map_err(Failure::from_text));
        }
        Ok(())
    }

    fn receive(&mut self, frames: Vec<([u8; 32], Vec<u8>)>) {
        for (peer, error) in self.profile.client.receive_all(frames, clock::now_ms()) {
            let peer = PeerKey(peer);
            tracing::warn!(%peer, %error, "disconnecting a peer for what it sent");
            self.outbox.close(peer);
            self.outbox.disconnect(peer);
            let what = format!("disconnected {peer} for what it sent: {error}");
            self.tell(Event::Notice(Box::new(Notice::Alarm { what })));
        }
    }

    /// Hands on what the last job gave rise to.
    fn drain(&mut self) {
        while let Some((peer, frame)) = self.profile.client.poll_frame() {
            self.outbox.put(PeerKey(peer), frame);
        }
        while let Some(notice) = self.profile.client.poll_notice() {
            self.tell(Event::Notice(Box::new(notice)));
        }
    }

    fn tell(&self, event: Event) {
        // Nobody may be following just now.
        let _ = self.events.send(event);
    }
}
