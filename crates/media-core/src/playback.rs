//! What is played to a leg instead of its bridge.

use std::sync::Arc;

/// One step of a tone: up to two frequencies (none: silence).
#[derive(Clone, PartialEq, Debug)]
pub struct ToneStep {
    pub frequencies: Vec<f64>,
    pub ms: u32,
    pub level_dbm0: f64,
}

/// A source of audio that ends, or loops.
#[derive(Clone, Debug)]
pub struct Playback {
    _samples: Arc<[i16]>,
}

impl Playback {
    #[must_use]
    pub fn pcm(samples: Arc<[i16]>, _rate: u32, _looped: bool) -> Self {
        Self { _samples: samples }
    }

    #[must_use]
    pub fn tone(_steps: Vec<ToneStep>, _looped: bool) -> Self {
        Self {
            _samples: Arc::new([]),
        }
    }
}
