//! A picture (SVG): latency over time, and latency by percentile.

use std::path::Path;

use anyhow::Context as _;
use hdrhistogram::Histogram;
use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, IntoLogRange as _, LineSeries,
        PathElement, RED, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
    },
};

use super::series::Series;

/// Of the picture, in pixels.
const SIZE: (u32, u32) = (1_000, 900);
const BLUE: RGBColor = RGBColor(31, 119, 180);
const FONT: &str = "sans-serif";
/// Points of the percentile curve each time the distance to 100% halves.
const POINTS_PER_HALVING: u32 = 8;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws it.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(
    path: &Path,
    title: &str,
    series: &Series,
    took: &Histogram<u64>,
) -> anyhow::Result<()> {
    let draw = || {
        let area = SVGBackend::new(path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (above, below) = area.split_vertically(SIZE.1 / 2);
        over_time(&above, title, series)?;
        by_percentile(&below, took)?;
        area.present()?;
        anyhow::Ok(())
    };
    draw().with_context(|| format!("cannot draw {}", path.display()))
}

fn over_time(area: &Area<'_>, title: &str, series: &Series) -> anyhow::Result<()> {
    let points = series.points();
    let end = points.last().map_or(1.0, |point| point.seconds + series.step().as_secs_f64());
    let times = points.iter().flat_map(|point| [point.p50_us, point.p99_us]);
    let (low, high) = bounds(times);
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_right(40)
        .caption(format!("{title}: latency, each {} ms", series.step().as_millis()), (FONT, 22))
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..end, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("seconds from the start")
        .y_desc("milliseconds")
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 14))
        .y_label_formatter(&|ms| ms.to_string())
        .light_line_style(WHITE)
        .draw()?;
    let p50: Vec<_> = points.iter().map(|point| (point.seconds, ms(point.p50_us))).collect();
    let p99: Vec<_> = points.iter().map(|point| (point.seconds, ms(point.p99_us))).collect();
    for (name, color, line) in [("p50", BLUE, p50), ("p99", RED, p99)] {
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 16))
        .draw()?;
    Ok(())
}

fn by_percentile(area: &Area<'_>, took: &Histogram<u64>) -> anyhow::Result<()> {
    // 90%, 99%, 99.9% and so on stand at equal distances: -log10(1 - part).
    let curve: Vec<(f64, f64)> = took
        .iter_quantiles(POINTS_PER_HALVING)
        .filter(|value| value.quantile() < 1.0)
        .map(|value| (-(1.0 - value.quantile()).log10(), ms(value.value_iterated_to())))
        .collect();
    let end = curve.last().map_or(1.0, |(x, _)| x.ceil().max(1.0));
    let (low, high) = bounds([took.min(), took.max()].into_iter());
    let mut chart = ChartBuilder::on(area)
        .margin(16)
        .margin_right(40)
        .caption("latency by percentile", (FONT, 22))
        .x_label_area_size(44)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..end, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("percent of the calls took at most")
        .y_desc("milliseconds")
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 14))
        .x_label_formatter(&|x| label_percent(*x))
        .y_label_formatter(&|ms| ms.to_string())
        .light_line_style(WHITE)
        .draw()?;
    chart.draw_series(LineSeries::new(curve, BLUE.stroke_width(2)))?;
    Ok(())
}

/// The range of an axis, in milliseconds: some room about all times.
fn bounds(times: impl Iterator<Item = u64>) -> (f64, f64) {
    let (low, high) = times.fold((u64::MAX, 1), |(low, high), us| (low.min(us), high.max(us)));
    (ms(low.clamp(1, high)) / 1.5, ms(high) * 1.5)
}

#[expect(clippy::cast_precision_loss, reason = "drawn in pixels")]
fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

/// Whole steps alone: 0%, 90%, 99% and so on.
fn label_percent(x: f64) -> String {
    if x.fract() > 0.01 {
        return String::new();
    }
    let percent = format!("{:.4}", 100.0 * (1.0 - 10_f64.powf(-x)));
    format!("{}%", percent.trim_end_matches('0').trim_end_matches('.'))
}
