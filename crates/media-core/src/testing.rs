//! Measuring tones, for the tests of this crate and of those above.

/// Level of a full-scale sine (G.711 table 1, A-law).
#[expect(
    clippy::approx_constant,
    reason = "decibels that happen to look like π"
)]
pub const FULL_SCALE_DBM0: f64 = 3.14;

/// Level of the whole signal in dBm0 (full-scale sine = +3.14).
#[must_use]
pub fn level_dbm0(samples: &[i16]) -> f64 {
    let power =
        samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len().max(1) as f64;
    10.0 * (power.max(1e-9) / (32_768f64.powi(2) / 2.0)).log10() + FULL_SCALE_DBM0
}

/// Level of one frequency in dBm0 (Goertzel over all samples with a Hann window).
#[must_use]
pub fn goertzel_dbm0(samples: &[i16], rate: u32, frequency: f64) -> f64 {
    let n = samples.len() as f64;
    let step = core::f64::consts::TAU * frequency / f64::from(rate);
    let (mut re, mut im, mut gain) = (0.0, 0.0, 0.0);
    for (index, &sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (core::f64::consts::TAU * (index as f64 + 0.5) / n).cos();
        gain += window;
        let value = f64::from(sample) * window;
        re += value * (step * index as f64).cos();
        im += value * (step * index as f64).sin();
    }
    let amplitude = 2.0 * (re * re + im * im).sqrt() / gain.max(1.0);
    20.0 * (amplitude.max(1e-6) / 32_768.0).log10() + FULL_SCALE_DBM0
}

/// A sine of `frequency` at `level_dbm0`.
#[must_use]
pub fn sine(rate: u32, frequency: f64, level_dbm0: f64, samples: usize) -> Vec<i16> {
    let peak = 32_768.0 * 10f64.powf((level_dbm0 - FULL_SCALE_DBM0) / 20.0);
    (0..samples)
        .map(|n| {
            let phase = (frequency * n as f64 / f64::from(rate)).fract() * core::f64::consts::TAU;
            (peak * phase.sin()).round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}
