//! The test service with handlers that each test writes itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bowline::{Request, Response, Sender, Status, Streaming};

use crate::test::Note;
use crate::test::test_server::{Test, TestServer};

/// What a handler gives.
pub type Outcome<T> = Result<T, Status>;

type Running<T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;
type Unary = dyn Fn(Request<Note>) -> Running<Response<Note>> + Send + Sync;
type Download = dyn Fn(Request<Note>, Sender<Note>) -> Running<()> + Send + Sync;
type Upload = dyn Fn(Request<Streaming<Note>>) -> Running<Response<Note>> + Send + Sync;
type Chat = dyn Fn(Request<Streaming<Note>>, Sender<Note>) -> Running<()> + Send + Sync;

/// Handlers of the test service. Those that no test has replaced echo:
/// - `Unary` and `Chat` send back what they are sent;
/// - `Download` sends as many copies of the request as its number says, numbered from 0;
/// - `Upload` answers with the number of notes, their texts in a row and their payloads' length.
pub struct Script {
    unary: Box<Unary>,
    download: Box<Download>,
    upload: Box<Upload>,
    chat: Box<Chat>,
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl Script {
    /// Handlers that echo.
    #[must_use]
    pub fn new() -> Self {
        Self {
            unary: Box::new(|request| Box::pin(echo(request))),
            download: Box::new(|request, replies| Box::pin(copies(request, replies))),
            upload: Box::new(|request| Box::pin(sum(request))),
            chat: Box::new(|request, replies| Box::pin(echo_all(request, replies))),
        }
    }

    /// Answers `Unary`.
    #[must_use]
    pub fn unary<F>(mut self, handler: impl Fn(Request<Note>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome<Response<Note>>> + Send + 'static,
    {
        self.unary = Box::new(move |request| Box::pin(handler(request)));
        self
    }

    /// Answers `Download`.
    #[must_use]
    pub fn download<F>(
        mut self,
        handler: impl Fn(Request<Note>, Sender<Note>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        self.download = Box::new(move |request, replies| Box::pin(handler(request, replies)));
        self
    }

    /// Answers `Upload`.
    #[must_use]
    pub fn upload<F>(
        mut self,
        handler: impl Fn(Request<Streaming<Note>>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<Response<Note>>> + Send + 'static,
    {
        self.upload = Box::new(move |request| Box::pin(handler(request)));
        self
    }

    /// Answers `Chat`.
    #[must_use]
    pub fn chat<F>(
        mut self,
        handler: impl Fn(Request<Streaming<Note>>, Sender<Note>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + Send + 'static,
    {
        self.chat = Box::new(move |request, replies| Box::pin(handler(request, replies)));
        self
    }

    /// The service, for a server or a channel.
    #[must_use]
    pub fn into_service(self) -> TestServer<Self> {
        TestServer::from_arc(Arc::new(self))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Test for Script {
    async fn unary(&self, request: Request<Note>) -> Outcome<Response<Note>> {
        (self.unary)(request).await
    }

    async fn download(&self, request: Request<Note>, replies: Sender<Note>) -> Outcome<()> {
        (self.download)(request, replies).await
    }

    async fn upload(&self, request: Request<Streaming<Note>>) -> Outcome<Response<Note>> {
        (self.upload)(request).await
    }

    async fn chat(&self, request: Request<Streaming<Note>>, replies: Sender<Note>) -> Outcome<()> {
        (self.chat)(request, replies).await
    }
}

/// Sends back the request.
///
/// # Errors
/// None.
pub async fn echo(request: Request<Note>) -> Outcome<Response<Note>> {
    Ok(Response::new(request.into_inner()))
}

async fn copies(request: Request<Note>, mut replies: Sender<Note>) -> Outcome<()> {
    let note = request.into_inner();
    for number in 0..note.number {
        replies.send(Note { number, ..note.clone() }).await?;
    }
    Ok(())
}

async fn sum(request: Request<Streaming<Note>>) -> Outcome<Response<Note>> {
    let mut notes = request.into_inner();
    let (mut number, mut text, mut length) = (0, String::new(), 0_u64);
    while let Some(note) = notes.message().await? {
        number += 1;
        text += &note.text;
        length += note.payload.len() as u64;
    }
    Ok(Response::new(Note { number, text, payload: length.to_le_bytes().to_vec() }))
}

async fn echo_all(request: Request<Streaming<Note>>, mut replies: Sender<Note>) -> Outcome<()> {
    let mut notes = request.into_inner();
    while let Some(note) = notes.message().await? {
        replies.send(note).await?;
    }
    Ok(())
}

/// A note with this number.
#[must_use]
pub fn numbered(number: u64) -> Note {
    Note { number, ..Note::default() }
}

/// A note with this text.
#[must_use]
pub fn said(text: &str) -> Note {
    Note { text: text.to_owned(), ..Note::default() }
}

/// A note whose encoding has exactly this length, beyond 300 bytes.
#[must_use]
pub fn sized(length: usize) -> Note {
    use bowline::codegen::prost::Message;

    let mut note = Note { payload: vec![0x5a; length], ..Note::default() };
    while note.encoded_len() > length {
        note.payload.pop();
    }
    assert_eq!(note.encoded_len(), length, "the length of its length grows at this very length");
    note
}

/// Receives notes until there are no more.
///
/// # Errors
/// How the call ended, if not well.
pub async fn collect(notes: &mut Streaming<Note>) -> Outcome<Vec<Note>> {
    let mut all = Vec::new();
    while let Some(note) = notes.message().await? {
        all.push(note);
    }
    Ok(all)
}
