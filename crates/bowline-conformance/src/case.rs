//! Cases as the files in `cases/` hold them.

use serde::{Deserialize, Serialize};

use crate::notation::{Names, NotationError};
use crate::script::Step;

/// Which features of the protocol a peer must have to be asked: see "Levels" in docs/protocol.md.
pub const LEVEL_MAX: u8 = 3;

/// A side of a connection, as the peer under test plays it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The accepting side.
    Server,
    /// The connecting side.
    Client,
}

/// The sides that a case is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// Servers alone.
    #[default]
    Server,
    /// Clients alone.
    Client,
    /// Each, with the same script.
    Both,
}

impl Sides {
    /// Whether this is one of them.
    #[must_use]
    pub const fn contains(self, side: Side) -> bool {
        match self {
            Self::Server => matches!(side, Side::Server),
            Self::Client => matches!(side, Side::Client),
            Self::Both => true,
        }
    }
}

/// One case: what the kit does to a peer, and what the peer must do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Case {
    /// The requirement, a slash, and what is tried.
    pub id: String,
    /// 0 unary, 1 streams, flow control and cancel, 2 deadlines and drain, 3 descriptors.
    pub level: u8,
    /// Why it matters, in a sentence.
    pub why: String,
    /// Which sides the peer under test plays.
    #[serde(default)]
    pub side: Sides,
    /// The requirement is a SHOULD: a peer that does not keep it passes, not strictly.
    #[serde(default)]
    pub should: bool,
    /// The script begins before the handshake.
    #[serde(default)]
    pub raw: bool,
    /// The peer must have been started with its timeouts at 200 ms.
    #[serde(default)]
    pub timeouts: bool,
    /// What the kit's HELLO says, as in `> HELLO`.
    #[serde(default)]
    pub hello: String,
    /// What happens: see the notation in docs/peers.md.
    pub script: String,
}

impl Case {
    /// The requirement that it is about.
    #[must_use]
    pub fn requirement(&self) -> &str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The lines of the script.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.script
            .lines()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    fn check(&self) -> Result<(), NotationError> {
        for line in self.lines() {
            // Which calls a client opens is known when it does.
            let names = Names { calls: vec![1; 99], ..Names::default() };
            Step::parse(line, &names)?;
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// A file of cases that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// It is not TOML, or not of the right form.
    #[error("{file} does not hold cases: {error}")]
    Form {
        /// The file.
        file: String,
        /// What is wrong.
        error: Box<toml::de::Error>,
    },
    /// A script does not parse.
    #[error("{file}: case {id}: {error}")]
    Script {
        /// The file.
        file: String,
        /// The case.
        id: String,
        /// What is wrong.
        error: NotationError,
    },
}

/// Reads the cases of one file.
///
/// # Errors
/// The file has another form, or a script has a line that means nothing.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, CaseError> {
    let File { case: cases } = toml::from_str(text)
        .map_err(|error| CaseError::Form { file: file.into(), error: Box::new(error) })?;
    for case in &cases {
        case.check().map_err(|error| {
            let (file, id) = (file.into(), case.id.clone());
            CaseError::Script { file, id, error }
        })?;
    }
    Ok(cases)
}

/// All cases that come with the kit.
///
/// # Panics
/// Never in a release: the tests read all of them.
#[must_use]
pub fn all() -> Vec<Case> {
    macro_rules! files {
        ($($name:literal),* $(,)?) => {
            [$(($name, include_str!(concat!("../cases/", $name, ".toml")))),*]
        };
    }
    let files = files![
        "preface",
        "hello",
        "frames",
        "decode",
        "calls",
        "messages",
        "credit",
        "methods",
        "metadata",
        "cancel",
        "deadlines",
        "output",
        "ping",
        "goaway",
        "hostile",
        "client",
    ];
    files
        .into_iter()
        .flat_map(|(file, text)| {
            parse(file, text).unwrap_or_else(|error| panic!("a case of the kit's own: {error}"))
        })
        .collect()
}
