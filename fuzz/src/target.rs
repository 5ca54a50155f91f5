//! What a target is, and what it says.

/// What became of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was decoded, and what must hold of it did.
    Accepted,
    /// It was refused, as bytes from outside may be.
    Refused,
}

impl Verdict {
    /// Accepted when there is something.
    #[must_use]
    pub fn of<T>(decoded: Option<T>) -> Self {
        if decoded.is_some() { Self::Accepted } else { Self::Refused }
    }
}

/// One decoder, or a family of them, ready to be fed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Decodes, and checks what must hold. Panics when it does not.
    pub run: fn(&[u8]) -> Verdict,
    /// What its corpus must have: what the product's encoders write, and what was thought of to do harm.
    pub samples: fn() -> Vec<Sample>,
    /// The most memory that an input may hold at a time.
    pub memory: Memory,
}

/// A bound on memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Whatever comes.
    pub fixed: usize,
    /// For each byte of the input.
    pub per_byte: usize,
}

impl Memory {
    /// What bytes of a format of our own may take: values, and sets and maps of them.
    pub const OURS: Self = Self { fixed: 256 * 1024, per_byte: 256 };
    /// What a `serde` format may take: it believes lengths up to a mebibyte for each list that it is in.
    pub const SERDE: Self = Self { fixed: 8 * 1024 * 1024, per_byte: 256 };

    /// What an input of `bytes` may hold.
    #[must_use]
    pub fn bound(self, bytes: usize) -> usize {
        self.fixed + self.per_byte * bytes
    }
}

/// An input that a corpus must have.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The file's name.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Sample {
    /// One that must be accepted.
    #[must_use]
    pub fn valid(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { name: format!("valid-{name}"), bytes: bytes.as_ref().to_vec() }
    }

    /// One that must be refused.
    #[must_use]
    pub fn hostile(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self { name: format!("hostile-{name}"), bytes: bytes.as_ref().to_vec() }
    }

    /// The ways in which any whole value can be broken: cut short, and followed by something.
    #[must_use]
    pub fn broken(name: &str, whole: &[u8]) -> Vec<Self> {
        let cut = |at: usize| Self::hostile(&format!("{name}-cut-{at}"), &whole[..at]);
        let mut broken = vec![cut(0), cut(whole.len() / 2), cut(whole.len() - 1)];
        broken.push(Self::hostile(&format!("{name}-followed"), [whole, &[0]].concat()));
        broken.dedup_by(|a, b| a.bytes == b.bytes);
        broken
    }

    /// The same input behind a byte that says which of a family of decoders it is for.
    #[must_use]
    pub fn behind(mut self, selector: u8) -> Self {
        self.bytes.insert(0, selector);
        self
    }

    /// The same inputs, named as such of one kind, behind the byte that says so.
    pub fn family(selector: u8, kind: &str, samples: Vec<Self>) -> impl Iterator<Item = Self> {
        samples.into_iter().map(move |sample| {
            let name = sample.name.replacen('-', &format!("-{kind}-"), 1);
            Self { name, ..sample }.behind(selector)
        })
    }
}
