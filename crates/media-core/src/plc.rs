//! Packet loss concealment for waveform codecs: the last pitch period repeats and fades (after ITU-T G.711 appendix I).

/// All lengths are in samples at 8 kHz.
const HISTORY: usize = 400;
const MIN_LAG: usize = 40;
const MAX_LAG: usize = 160;
/// Samples over which two lags are compared.
const COMPARE: usize = 160;
/// Full level for so long, then down to nothing over the rest.
const HOLD: usize = 80;
const FADE_END: usize = 480;
/// Cross-fade where real audio comes back.
const OVERLAP: usize = 40;

/// Remembers enough of what was heard to go on with it.
#[derive(Clone, Debug)]
pub struct Concealer {
    history: Vec<i16>,
    period: Vec<i16>,
    /// Samples concealed since the last real one.
    concealed: usize,
}

impl Default for Concealer {
    fn default() -> Self {
        Self {
            history: vec![0; HISTORY],
            period: Vec::with_capacity(MAX_LAG),
            concealed: 0,
        }
    }
}

impl Concealer {
    /// Take note of real audio; its start is blended with what was made up before it.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if self.concealed > 0 {
            let overlap = OVERLAP.min(samples.len());
            for (index, sample) in samples[..overlap].iter_mut().enumerate() {
                let made_up = i32::from(self.next_concealed());
                let weight = index as i32;
                let mixed = (i32::from(*sample) * weight + made_up * (overlap as i32 - weight))
                    / overlap as i32;
                *sample = mixed as i16;
            }
            self.concealed = 0;
        }
        self.remember(samples);
    }

    /// Make up `count` samples and append them to `out`.
    pub fn conceal(&mut self, count: usize, out: &mut Vec<i16>) {
        if self.concealed == 0 {
            self.learn_period();
        }
        for _ in 0..count {
            let sample = self.next_concealed();
            out.push(sample);
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let tail = &samples[samples.len().saturating_sub(HISTORY)..];
        self.history.drain(..tail.len());
        self.history.extend_from_slice(tail);
    }

    fn next_concealed(&mut self) -> i16 {
        let position = self.concealed;
        self.concealed += 1;
        if self.period.is_empty() || position >= FADE_END {
            return 0;
        }
        let sample = i32::from(self.period[position % self.period.len()]);
        let gain = if position < HOLD {
            256
        } else {
            (256 * (FADE_END - position) / (FADE_END - HOLD)) as i32
        };
        (sample * gain / 256) as i16
    }

    /// The lag at which the recent past resembles itself most is the pitch period (or a multiple of it).
    fn learn_period(&mut self) {
        let end = self.history.len();
        let recent = &self.history[end - COMPARE..];
        let mut best = (f32::MIN, MAX_LAG);
        for lag in MIN_LAG..=MAX_LAG {
            let earlier = &self.history[end - COMPARE - lag..end - lag];
            let (mut product, mut energy) = (0.0f32, 1.0f32);
            for (a, b) in recent.iter().zip(earlier) {
                product += f32::from(*a) * f32::from(*b);
                energy += f32::from(*b) * f32::from(*b);
            }
            let score = product / energy.sqrt();
            if score > best.0 {
                best = (score, lag);
            }
        }
        let lag = best.1;
        self.period.clear();
        self.period.extend_from_slice(&self.history[end - lag..]);
        // Blend the end of the period into what preceded its start, so that the repetition has no click.
        let blend = (lag / 4).min(OVERLAP);
        for index in 0..blend {
            let at = lag - blend + index;
            let before = i32::from(self.history[end - lag - blend + index]);
            let weight = index as i32 + 1;
            let mixed = (i32::from(self.period[at]) * (blend as i32 + 1 - weight)
                + before * weight)
                / (blend as i32 + 1);
            self.period[at] = mixed as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{goertzel_dbm0, level_dbm0, sine};

    #[test]
    fn a_tone_goes_on_through_a_gap() {
        let tone = sine(8_000, 400.0, -10.0, 1_600);
        let mut concealer = Concealer::default();
        concealer.heard(&mut tone[..800].to_vec());
        let mut gap = Vec::new();
        concealer.conceal(160, &mut gap);
        assert!((goertzel_dbm0(&gap, 8_000, 400.0) - -11.0).abs() < 1.5);
        let mut after = tone[960..1_120].to_vec();
        concealer.heard(&mut after);
        assert_eq!(after[OVERLAP..], tone[960 + OVERLAP..1_120]);
    }

    #[test]
    fn long_gaps_fade_to_silence() {
        let mut concealer = Concealer::default();
        concealer.heard(&mut sine(8_000, 200.0, -10.0, 800));
        let mut gap = Vec::new();
        concealer.conceal(800, &mut gap);
        assert!(level_dbm0(&gap[..80]) > -12.0);
        assert!(gap[FADE_END..].iter().all(|&s| s == 0));
        assert_eq!(gap.len(), 800);
    }

    #[test]
    fn nothing_heard_conceals_as_silence() {
        let mut gap = Vec::new();
        Concealer::default().conceal(160, &mut gap);
        assert_eq!(gap, [0; 160]);
    }
}
