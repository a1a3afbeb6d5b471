//! Languages that letters are written in, and how each writes amounts and times.
//!
//! Amounts follow the Unicode CLDR's number patterns: groups and decimals by each
//! language's own signs. Currencies go by their ISO 4217 codes, for a sign such as `$`
//! is many currencies'.

use std::iter;

use iso_currency::Currency;
use time::{OffsetDateTime, Weekday};

use crate::domain::Money;

/// A language that there are words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Vietnamese,
    Korean,
}

impl Language {
    pub const ALL: [Self; 3] = [Self::English, Self::Vietnamese, Self::Korean];

    /// Of a BCP 47 tag such as `vi-VN`; English for what there are no words for.
    pub fn of(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let named = |language: &Self| language.tag().eq_ignore_ascii_case(primary);
        Self::ALL.into_iter().find(named).unwrap_or(Self::English)
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Vietnamese => "vi",
            Self::Korean => "ko",
        }
    }

    /// An amount, such as `EUR 1,234.50`.
    pub fn amount(self, money: Money) -> String {
        let (group, decimal) = match self {
            Self::English | Self::Korean => (',', '.'),
            Self::Vietnamese => ('.', ','),
        };
        let (units, nanos) = money.units_and_nanos();
        let mut amount = grouped(units, group);
        let decimals = decimals(money, nanos);
        if !decimals.is_empty() {
            amount.push(decimal);
            amount.push_str(&decimals);
        }
        match self {
            Self::English | Self::Korean => format!("{} {amount}", money.currency),
            Self::Vietnamese => format!("{amount} {}", money.currency),
        }
    }

    /// A time, in its own offset.
    pub fn time(self, time: OffsetDateTime) -> String {
        let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
        let clock = format!("{:02}:{:02}", time.hour(), time.minute());
        let zone = zone(time);
        match self {
            Self::English => {
                let (weekday, month) = (time.weekday(), time.month());
                format!("{weekday}, {day} {month} {year}, {clock} ({zone})")
            }
            Self::Vietnamese => {
                let weekday = vietnamese(time.weekday());
                format!("{clock} ({zone}), {weekday}, {day:02}/{month:02}/{year}")
            }
            Self::Korean => {
                let weekday = korean(time.weekday());
                format!("{year}년 {month}월 {day}일 ({weekday}) {clock} ({zone})")
            }
        }
    }
}

/// As many decimals as the currency has; more where the amount does.
fn decimals(money: Money, nanos: i32) -> String {
    let digits = format!("{nanos:09}");
    let own = Currency::from_code(&money.currency.to_string());
    let own = usize::from(own.and_then(Currency::exponent).unwrap_or(2));
    let needed = digits.trim_end_matches('0').len();
    digits[..needed.max(own).min(digits.len())].to_owned()
}

/// Digits in groups of three.
fn grouped(units: i64, sign: char) -> String {
    let digits = units.to_string();
    let with_signs = digits.chars().enumerate().flat_map(|(i, digit)| {
        let begins_group = i > 0 && (digits.len() - i).is_multiple_of(3);
        begins_group.then_some(sign).into_iter().chain(iter::once(digit))
    });
    with_signs.collect()
}

/// Such as `UTC+7` or `UTC+5:30`.
fn zone(time: OffsetDateTime) -> String {
    let (hours, minutes, _) = time.offset().as_hms();
    let sign = if hours < 0 || minutes < 0 { '-' } else { '+' };
    match (hours.unsigned_abs(), minutes.unsigned_abs()) {
        (0, 0) => "UTC".to_owned(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

fn vietnamese(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "Thứ Hai",
        Weekday::Tuesday => "Thứ Ba",
        Weekday::Wednesday => "Thứ Tư",
        Weekday::Thursday => "Thứ Năm",
        Weekday::Friday => "Thứ Sáu",
        Weekday::Saturday => "Thứ Bảy",
        Weekday::Sunday => "Chủ Nhật",
    }
}

fn korean(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "월",
        Weekday::Tuesday => "화",
        Weekday::Wednesday => "수",
        Weekday::Thursday => "목",
        Weekday::Friday => "금",
        Weekday::Saturday => "토",
        Weekday::Sunday => "일",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::{Date, Month, Time, UtcOffset};

    use super::*;

    #[rstest]
    #[case("en", Language::English)]
    #[case("vi-VN", Language::Vietnamese)]
    #[case("KO_kr", Language::Korean)]
    #[case("fr", Language::English)]
    #[case("", Language::English)]
    fn a_tag_is_a_language(#[case] tag: &str, #[case] language: Language) {
        assert_eq!(Language::of(tag), language);
    }

    #[rstest]
    #[case("EUR", 30_000_000, "EUR 30.00", "30,00 EUR")]
    #[case("VND", 1_500_000_000_000, "VND 1,500,000", "1.500.000 VND")]
    #[case("KRW", 999_000_000, "KRW 999", "999 KRW")]
    #[case("KWD", 1_250_000, "KWD 1.250", "1,250 KWD")]
    #[case("EUR", 1_234_567_125_000, "EUR 1,234,567.125", "1.234.567,125 EUR")]
    #[case("VND", 500_000, "VND 0.5", "0,5 VND")]
    #[case("XXQ", 0, "XXQ 0.00", "0,00 XXQ")]
    fn amounts(#[case] code: &str, #[case] micros: i64, #[case] en: &str, #[case] vi: &str) {
        let money = Money { currency: code.parse().unwrap(), micros };
        assert_eq!(Language::English.amount(money), en);
        assert_eq!(Language::Vietnamese.amount(money), vi);
        assert_eq!(Language::Korean.amount(money), en);
    }

    #[test]
    fn times() {
        let date = Date::from_calendar_date(2027, Month::January, 15).unwrap();
        let utc = OffsetDateTime::new_utc(date, Time::from_hms(13, 5, 0).unwrap());
        let hanoi = utc.to_offset(UtcOffset::from_hms(7, 0, 0).unwrap());
        assert_eq!(Language::English.time(utc), "Friday, 15 January 2027, 13:05 (UTC)");
        assert_eq!(Language::Vietnamese.time(hanoi), "20:05 (UTC+7), Thứ Sáu, 15/01/2027");
        assert_eq!(Language::Korean.time(hanoi), "2027년 1월 15일 (금) 20:05 (UTC+7)");
    }
}
