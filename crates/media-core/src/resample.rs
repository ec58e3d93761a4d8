//! Sample rate conversion: a polyphase FIR (Kaiser-windowed sinc), linear phase.

/// Taps on the lower rate's grid: the transition band is about a tenth of the lower rate wide.
const TAPS: usize = 48;
/// Kaiser β for about 75 dB of stop-band attenuation.
const BETA: f64 = 7.5;
/// Pass-band edge as a part of the lower rate's Nyquist frequency; −6 dB there.
const CUTOFF: f64 = 0.91;

/// Converts a stream from one rate to another, keeping state between calls.
#[derive(Clone, Debug)]
pub struct Resampler {
    up: usize,
    down: usize,
    /// Taps per phase.
    taps: usize,
    /// `up` phases of `taps` coefficients, in the order of the history.
    coefficients: Vec<f32>,
    /// The last `taps - 1` input samples, then the new ones.
    history: Vec<f32>,
    /// Phase of the next output sample, in units of 1/up input samples, counted from the first new input.
    phase: usize,
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}

/// Modified Bessel function of the first kind, order 0.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

impl Resampler {
    /// Both rates at least 1 Hz.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Self {
        let (from, to) = (from.max(1), to.max(1));
        let common = gcd(from, to);
        let up = (to / common) as usize;
        let down = (from / common) as usize;
        let lower = f64::from(from.min(to));
        // More taps per phase when going down: the filter's length is counted on the lower rate.
        let taps = ((TAPS as f64 * f64::from(from) / lower).ceil() as usize).next_multiple_of(8);
        let mut coefficients = vec![0.0; up * taps];
        if up != down {
            // Frequencies relative to the input rate.
            let cutoff = 0.5 * CUTOFF * lower / f64::from(from);
            let centre = taps as f64 / 2.0;
            for phase in 0..up {
                let fraction = phase as f64 / up as f64;
                let row = &mut coefficients[phase * taps..(phase + 1) * taps];
                let mut sum = 0.0;
                for (index, slot) in row.iter_mut().enumerate() {
                    let distance = index as f64 + 1.0 - centre - fraction;
                    let angle = core::f64::consts::TAU * cutoff * distance;
                    let sinc = if angle.abs() < 1e-9 {
                        1.0
                    } else {
                        angle.sin() / angle
                    };
                    let ratio = distance / centre;
                    let window =
                        bessel_i0(BETA * (1.0 - (ratio * ratio).min(1.0)).sqrt()) / bessel_i0(BETA);
                    *slot = (sinc * window) as f32;
                    sum += sinc * window;
                }
                // Unity gain at 0 Hz in every phase, so that no phase tone appears.
                for slot in row {
                    *slot /= sum as f32;
                }
            }
        }
        Self {
            up,
            down,
            taps,
            coefficients,
            history: vec![0.0; taps - 1],
            phase: 0,
        }
    }

    /// Nothing is to be done.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.up == self.down
    }

    /// Convert `input` and append to `out`.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        if self.is_identity() {
            out.extend_from_slice(input);
            return;
        }
        self.history.extend(input.iter().map(|&s| f32::from(s)));
        let end = input.len() * self.up;
        while self.phase < end {
            let start = self.phase / self.up;
            let phase = self.phase % self.up;
            let row = &self.coefficients[phase * self.taps..(phase + 1) * self.taps];
            let window = &self.history[start..start + self.taps];
            // Eight sums side by side, so that the compiler can use vector registers.
            let mut sums = [0.0f32; 8];
            for (taps, samples) in row.chunks_exact(8).zip(window.chunks_exact(8)) {
                for lane in 0..8 {
                    sums[lane] += taps[lane] * samples[lane];
                }
            }
            let value: f32 = sums.iter().sum();
            out.push(value.round().clamp(-32_768.0, 32_767.0) as i16);
            self.phase += self.down;
        }
        self.phase -= end;
        let keep = self.history.len() - (self.taps - 1);
        self.history.drain(..keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{goertzel_dbm0, level_dbm0, sine};
    use proptest::prelude::*;

    fn convert(from: u32, to: u32, input: &[i16]) -> Vec<i16> {
        let mut out = Vec::new();
        let mut resampler = Resampler::new(from, to);
        for block in input.chunks(from as usize / 50) {
            resampler.process(block, &mut out);
        }
        out
    }

    #[test]
    fn pass_band_is_flat() {
        for (from, to) in [
            (8_000, 48_000),
            (48_000, 8_000),
            (8_000, 16_000),
            (16_000, 48_000),
            (44_100, 8_000),
        ] {
            for frequency in [200.0, 1_000.0, 2_000.0, 3_000.0, 3_300.0] {
                let out = convert(from, to, &sine(from, frequency, -10.0, from as usize));
                assert_eq!(out.len(), to as usize, "{from} to {to}");
                let settled = &out[to as usize / 10..];
                let level = goertzel_dbm0(settled, to, frequency);
                assert!(
                    (level - -10.0).abs() < 0.2,
                    "{from} to {to} at {frequency}: {level}"
                );
            }
        }
    }

    #[test]
    fn stop_band_does_not_fold_back() {
        // 4.6 kHz and above must not appear below 4 kHz.
        for frequency in [4_600.0, 5_000.0, 7_000.0, 11_000.0, 20_000.0] {
            let out = convert(48_000, 8_000, &sine(48_000, frequency, 0.0, 48_000));
            let level = level_dbm0(&out[800..]);
            assert!(level < -55.0, "{frequency}: {level}");
        }
        // And going up, the image of 1 kHz at 7 kHz stays away.
        let out = convert(8_000, 48_000, &sine(8_000, 1_000.0, 0.0, 8_000));
        assert!(goertzel_dbm0(&out[4_800..], 48_000, 7_000.0) < -65.0);
    }

    #[test]
    fn phase_is_linear() {
        let mut impulse = vec![0; 800];
        impulse[200] = 20_000;
        let out = convert(8_000, 48_000, &impulse);
        let peak = out
            .iter()
            .enumerate()
            .max_by_key(|(_, s)| s.unsigned_abs())
            .unwrap()
            .0;
        for distance in 1..100 {
            assert!((out[peak - distance] - out[peak + distance]).abs() <= 1);
        }
    }

    proptest! {
        #[test]
        fn blocks_do_not_matter(cuts in proptest::collection::vec(1usize..200, 1..20)) {
            let total: usize = cuts.iter().sum();
            let input = sine(16_000, 700.0, -10.0, total);
            let mut whole = Vec::new();
            Resampler::new(16_000, 24_000).process(&input, &mut whole);
            let mut parts = Vec::new();
            let mut resampler = Resampler::new(16_000, 24_000);
            let mut at = 0;
            for cut in cuts {
                resampler.process(&input[at..at + cut], &mut parts);
                at += cut;
            }
            prop_assert_eq!(whole, parts);
        }
    }
}
