//! What is played to a leg instead of its bridge.

use std::sync::Arc;

use crate::resample::Resampler;
use crate::tone::ToneGenerator;

/// One step of a tone: up to two frequencies (none: silence).
#[derive(Clone, PartialEq, Debug)]
pub struct ToneStep {
    pub frequencies: Vec<f64>,
    pub ms: u32,
    pub level_dbm0: f64,
}

#[derive(Clone, Debug)]
enum Source {
    Pcm {
        samples: Arc<[i16]>,
        rate: u32,
        position: usize,
    },
    Tone(Vec<ToneStep>),
}

/// Made for the rate that was asked for last.
#[derive(Clone, Debug)]
enum Player {
    Pcm {
        resampler: Resampler,
        ready: Vec<i16>,
    },
    Tone(ToneGenerator),
}

/// A source of audio that ends, or loops.
#[derive(Clone, Debug)]
pub struct Playback {
    source: Source,
    looped: bool,
    player: Option<(u32, Player)>,
}

impl Playback {
    #[must_use]
    pub fn pcm(samples: Arc<[i16]>, rate: u32, looped: bool) -> Self {
        Self {
            source: Source::Pcm {
                samples,
                rate: rate.max(1),
                position: 0,
            },
            looped,
            player: None,
        }
    }

    #[must_use]
    pub fn tone(steps: Vec<ToneStep>, looped: bool) -> Self {
        Self {
            source: Source::Tone(steps),
            looped,
            player: None,
        }
    }

    /// The lowest of the usual rates that loses nothing.
    #[must_use]
    pub fn natural_rate(&self) -> u32 {
        match &self.source {
            Source::Pcm { rate, .. } => [8_000, 16_000, 24_000]
                .into_iter()
                .find(|usual| rate <= usual)
                .unwrap_or(48_000),
            Source::Tone(_) => 16_000,
        }
    }

    /// Fill `out` at `rate`; fewer samples than asked for mean the end.
    pub fn read(&mut self, rate: u32, out: &mut [i16]) -> usize {
        if self
            .player
            .as_ref()
            .is_none_or(|(made_for, _)| *made_for != rate)
        {
            let player = match &self.source {
                Source::Pcm { rate: from, .. } => Player::Pcm {
                    resampler: Resampler::new(*from, rate),
                    ready: Vec::new(),
                },
                Source::Tone(steps) => {
                    Player::Tone(ToneGenerator::new(steps.clone(), self.looped, rate))
                }
            };
            self.player = Some((rate, player));
        }
        match (&mut self.source, &mut self.player) {
            (
                Source::Pcm {
                    samples,
                    rate: from,
                    position,
                },
                Some((_, Player::Pcm { resampler, ready })),
            ) => {
                // Ten milliseconds of the file at a time.
                let block = (*from as usize / 100).max(1);
                while ready.len() < out.len() {
                    if *position >= samples.len() {
                        if !self.looped || samples.is_empty() {
                            break;
                        }
                        *position = 0;
                    }
                    let end = (*position + block).min(samples.len());
                    resampler.process(&samples[*position..end], ready);
                    *position = end;
                }
                let count = ready.len().min(out.len());
                out[..count].copy_from_slice(&ready[..count]);
                ready.drain(..count);
                count
            }
            (_, Some((_, Player::Tone(tone)))) => tone.read(out),
            (_, _) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{goertzel_dbm0, sine};

    #[test]
    fn a_file_is_played_once_at_any_rate() {
        let samples: Arc<[i16]> = sine(44_100, 500.0, -10.0, 44_100).into();
        let mut playback = Playback::pcm(samples, 44_100, false);
        assert_eq!(playback.natural_rate(), 48_000);
        let mut out = vec![0; 16_000];
        let count = playback.read(8_000, &mut out);
        assert!((7_999..=8_001).contains(&count), "{count}");
        assert!((goertzel_dbm0(&out[400..count], 8_000, 500.0) - -10.0).abs() < 0.2);
        assert_eq!(playback.read(8_000, &mut out), 0);
    }

    #[test]
    fn loops_go_on() {
        let mut playback = Playback::pcm([1i16, 2, 3].as_slice().into(), 8_000, true);
        let mut out = [0; 7];
        assert_eq!(playback.read(8_000, &mut out), 7);
        assert_eq!(out, [1, 2, 3, 1, 2, 3, 1]);
        let mut empty = Playback::pcm(Arc::new([]), 8_000, true);
        assert_eq!(empty.read(8_000, &mut out), 0);
    }
}
