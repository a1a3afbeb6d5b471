//! Prices: a currency and a whole number of its millionths.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::MAX_PRICE_UNITS;

/// Millionths of a currency's unit.
pub type Micros = i64;

const MICROS_PER_UNIT: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

/// An ISO 4217 currency code: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err("must be an ISO 4217 code of three capital letters"),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

/// An amount of money, at least zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    pub currency: Currency,
    pub micros: Micros,
}

impl Money {
    /// From whole units and nanos of a unit, as the contract has them.
    ///
    /// # Errors
    /// Text for the caller where the amount is negative, over
    /// [`MAX_PRICE_UNITS`], or finer than a millionth.
    pub fn new(currency: Currency, units: i64, nanos: i32) -> Result<Self, String> {
        if !(0..=MAX_PRICE_UNITS).contains(&units) || !(0..1_000_000_000).contains(&nanos) {
            return Err(format!("must be 0 to {MAX_PRICE_UNITS} units"));
        }
        if nanos % NANOS_PER_MICRO != 0 {
            return Err("nanos must be a multiple of 1000".into());
        }
        Ok(Self { currency, micros: units * MICROS_PER_UNIT + i64::from(nanos / NANOS_PER_MICRO) })
    }

    /// Whole units, and the nanos of a unit beside them.
    pub fn units_and_nanos(self) -> (i64, i32) {
        let rest = i32::try_from(self.micros % MICROS_PER_UNIT).expect("below a million");
        (self.micros / MICROS_PER_UNIT, rest * NANOS_PER_MICRO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_survive_the_way_in_and_out() {
        let vnd: Currency = "VND".parse().unwrap();
        for (units, nanos) in [(0, 0), (12, 500_000_000), (MAX_PRICE_UNITS, 999_999_000)] {
            assert_eq!(Money::new(vnd, units, nanos).unwrap().units_and_nanos(), (units, nanos));
        }
    }

    #[test]
    fn amounts_out_of_range_are_refused() {
        let eur: Currency = "EUR".parse().unwrap();
        for (units, nanos) in [(-1, 0), (1, -1), (1, 1), (MAX_PRICE_UNITS + 1, 0), (0, i32::MAX)] {
            assert!(Money::new(eur, units, nanos).is_err(), "{units} {nanos}");
        }
        assert!("eur".parse::<Currency>().is_err());
        assert!("EURO".parse::<Currency>().is_err());
    }
}
