//! Speech quality from loss and delay: the E-model (ITU-T G.107) for narrowband, defaults elsewhere.
//!
//! `R = 93.2 − Id − Ie,eff`, `Ie,eff = Ie + (95 − Ie)·Ppl/(Ppl/BurstR + Bpl)`.

/// Equipment impairment and robustness of a codec (ITU-T G.113 appendix I).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Impairment {
    pub ie: f64,
    pub bpl: f64,
}

/// G.711 whose losses are concealed.
pub const G711_WITH_PLC: Impairment = Impairment { ie: 0.0, bpl: 25.1 };
/// G.711 whose losses are heard as gaps.
pub const G711_WITHOUT_PLC: Impairment = Impairment { ie: 0.0, bpl: 4.3 };
pub const G729A: Impairment = Impairment {
    ie: 11.0,
    bpl: 19.0,
};

/// Delay impairment for a one-way delay in milliseconds (G.107 §7.4, Ta only).
#[must_use]
pub fn delay_impairment(one_way_ms: f64) -> f64 {
    if one_way_ms <= 100.0 {
        return 0.0;
    }
    let x = (one_way_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0)
        + 2.0)
}

/// The transmission rating. `loss_percent` counts what the jitter buffer discarded; `burst_ratio` is 1 for random loss.
#[must_use]
pub fn r_factor(codec: Impairment, loss_percent: f64, burst_ratio: f64, one_way_ms: f64) -> f64 {
    let loss = loss_percent.clamp(0.0, 100.0);
    let effective = codec.ie + (95.0 - codec.ie) * loss / (loss / burst_ratio.max(1.0) + codec.bpl);
    93.2 - delay_impairment(one_way_ms) - effective
}

/// Mean opinion score of a rating (G.107 annex B).
#[must_use]
pub fn mos(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64, digits: usize) -> String {
        format!("{value:.digits$}")
    }

    #[test]
    fn the_reference_table_to_the_digit() {
        let losses = [0.0, 1.0, 2.0, 5.0, 10.0];
        let table: [(Impairment, [(&str, &str); 5]); 3] = [
            (
                G711_WITH_PLC,
                [
                    ("93.2", "4.41"),
                    ("89.6", "4.33"),
                    ("86.2", "4.23"),
                    ("77.4", "3.92"),
                    ("66.1", "3.41"),
                ],
            ),
            (
                G711_WITHOUT_PLC,
                [
                    ("93.2", "4.41"),
                    ("75.3", "3.83"),
                    ("63.0", "3.26"),
                    ("42.1", "2.17"),
                    ("26.8", "1.48"),
                ],
            ),
            (
                G729A,
                [
                    ("82.2", "4.10"),
                    ("78.0", "3.95"),
                    ("74.2", "3.79"),
                    ("64.7", "3.34"),
                    ("53.2", "2.75"),
                ],
            ),
        ];
        for (codec, row) in table {
            for (loss, (r_text, mos_text)) in losses.iter().zip(row) {
                let r = r_factor(codec, *loss, 1.0, 0.0);
                assert_eq!(shown(r, 1), r_text, "{codec:?} at {loss} %");
                assert_eq!(shown(mos(r), 2), mos_text, "{codec:?} at {loss} %");
            }
        }
    }

    #[test]
    fn delay_costs_as_in_the_reference() {
        assert_eq!(delay_impairment(100.0), 0.0);
        for (ms, id) in [
            (150.0, "0.16"),
            (200.0, "3.04"),
            (300.0, "14.76"),
            (400.0, "24.07"),
        ] {
            assert_eq!(shown(delay_impairment(ms), 2), id);
        }
    }

    #[test]
    fn mos_is_bounded() {
        assert_eq!(mos(-5.0), 1.0);
        assert_eq!(mos(120.0), 4.5);
    }
}
