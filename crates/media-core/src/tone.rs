//! Sine tones with a cadence, at a level in dBm0.

use crate::playback::ToneStep;

/// Peak of a sine at 0 dBm0 in 16-bit samples: full scale is +3.14 dBm0 (A-law; G.711 table 1). The µ-law value, 3.17,
/// differs by 0.03 dB, which nobody hears, and tones are made before the codec is known.
const PEAK_0_DBM0: f64 = 32_768.0 * 0.696_627; // 10^(-3.14/20)

/// Makes the samples of one step after another.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    steps: Vec<ToneStep>,
    looped: bool,
    rate: u32,
    step: usize,
    /// Samples already made of the step.
    position: u64,
    /// Phase of each frequency in turns, carried on within a step.
    phases: [f64; 2],
}

impl ToneGenerator {
    #[must_use]
    pub fn new(steps: Vec<ToneStep>, looped: bool, rate: u32) -> Self {
        Self {
            steps,
            looped,
            rate,
            step: 0,
            position: 0,
            phases: [0.0; 2],
        }
    }

    /// Fill `out`; how many samples there were before the end.
    pub fn read(&mut self, out: &mut [i16]) -> usize {
        let mut done = 0;
        // A cadence of zero length would loop for ever.
        if self.steps.iter().all(|step| step.ms == 0) {
            return 0;
        }
        while done < out.len() {
            if self.step == self.steps.len() {
                if !self.looped {
                    break;
                }
                self.step = 0;
            }
            let step = &self.steps[self.step];
            let length = u64::from(step.ms) * u64::from(self.rate) / 1_000;
            let left = length.saturating_sub(self.position) as usize;
            let count = left.min(out.len() - done);
            let amplitude = PEAK_0_DBM0 * 10f64.powf(step.level_dbm0 / 20.0);
            let tones = step.frequencies.len().min(2);
            // The level is that of the whole signal; each of two tones carries half of the power.
            let each = if tones == 2 {
                amplitude / 2f64.sqrt()
            } else {
                amplitude
            };
            for sample in &mut out[done..done + count] {
                let mut value = 0.0;
                for (phase, frequency) in self.phases.iter_mut().zip(&step.frequencies) {
                    value += each * (*phase * core::f64::consts::TAU).sin();
                    *phase = (*phase + frequency / f64::from(self.rate)).fract();
                }
                *sample = value.round().clamp(-32_768.0, 32_767.0) as i16;
            }
            done += count;
            self.position += count as u64;
            if self.position >= length {
                self.step += 1;
                self.position = 0;
                self.phases = [0.0; 2];
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{goertzel_dbm0, level_dbm0};

    fn step(frequencies: &[f64], ms: u32, level: f64) -> ToneStep {
        ToneStep {
            frequencies: frequencies.to_vec(),
            ms,
            level_dbm0: level,
        }
    }

    #[test]
    fn level_and_frequency_are_exact() {
        for level in [0.0, -13.0, -30.0] {
            let mut tone = ToneGenerator::new(vec![step(&[1_004.0], 1_000, level)], false, 8_000);
            let mut out = vec![0; 8_000];
            assert_eq!(tone.read(&mut out), 8_000);
            assert!((goertzel_dbm0(&out, 8_000, 1_004.0) - level).abs() < 0.1);
            assert!(goertzel_dbm0(&out, 8_000, 1_500.0) < level - 40.0);
        }
    }

    #[test]
    fn two_tones_share_the_level() {
        let mut tone = ToneGenerator::new(vec![step(&[440.0, 480.0], 1_000, -19.0)], false, 16_000);
        let mut out = vec![0; 16_000];
        tone.read(&mut out);
        assert!((level_dbm0(&out) - -19.0).abs() < 0.1);
        for frequency in [440.0, 480.0] {
            assert!((goertzel_dbm0(&out, 16_000, frequency) - -22.0).abs() < 0.1);
        }
    }

    #[test]
    fn cadence_ends_or_repeats() {
        let steps = vec![step(&[400.0], 10, -10.0), step(&[], 10, 0.0)];
        let mut once = ToneGenerator::new(steps.clone(), false, 8_000);
        let mut out = [1; 400];
        assert_eq!(once.read(&mut out), 160);
        assert!(out[80..160].iter().all(|&s| s == 0));
        let mut looped = ToneGenerator::new(steps, true, 8_000);
        assert_eq!(looped.read(&mut out), 400);
        assert_eq!(out[..80], out[160..240]);
        let mut nothing = ToneGenerator::new(vec![step(&[1.0], 0, 0.0)], true, 8_000);
        assert_eq!(nothing.read(&mut out), 0);
    }

    #[test]
    fn overload_is_clipped_not_wrapped() {
        let mut loud = ToneGenerator::new(vec![step(&[1_000.0], 100, 20.0)], false, 8_000);
        let mut out = [0; 800];
        loud.read(&mut out);
        assert_eq!(out.iter().max(), Some(&i16::MAX));
        assert!(level_dbm0(&out) > 3.0);
    }
}
