//! A series as a picture: how many times the first point's each figure is.

use std::path::Path;

use plotters::prelude::{
    ChartBuilder, Circle, Color as _, IntoDrawingArea as _, IntoLogRange as _, LineSeries,
    Palette as _, Palette99, PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};

use super::series::Series;

/// In pixels.
const SIZE: (u32, u32) = (820, 480);
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(170, 170, 170);

/// Draws it. Both axes are logarithmic: what grows in proportion is as steep as the
/// grey line, and what does not grow is level.
///
/// # Errors
/// Where the file cannot be written.
pub fn draw(series: &Series, path: &Path) -> anyhow::Result<()> {
    let curves: Vec<_> = (0..series.columns.len()).map(|column| series.curve(column)).collect();
    let first = series.points.first().map_or(1.0, |_| curves[0][0].0);
    let last = curves[0].last().map_or(1.0, |point| point.0);
    let times = |curve: &[(f64, f64)]| -> Vec<(f64, f64)> {
        curve.iter().map(|(x, y)| (*x, y / curve[0].1)).collect()
    };
    let all: Vec<f64> = curves.iter().flat_map(|curve| times(curve)).map(|(_, y)| y).collect();
    let low = all.iter().copied().fold(1.0, f64::min) / 1.3;
    let high = all.iter().copied().fold(last / first, f64::max) * 1.3;

    let area = SVGBackend::new(path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .margin_right(30)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d((first..last).log_scale(), (low..high).log_scale())?;
    chart
        .configure_mesh()
        .x_desc(series.of)
        .y_desc("times what it is at first")
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .light_line_style(WHITE)
        .draw()?;
    chart
        .draw_series(LineSeries::new([(first, 1.0), (last, last / first)], GREY))?
        .label("in proportion")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], GREY));
    for (i, curve) in curves.iter().enumerate() {
        let style = Palette99::pick(i).stroke_width(2);
        let legend = style;
        chart
            .draw_series(LineSeries::new(times(curve), style))?
            .label(series.columns[i].says)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], legend));
        chart.draw_series(times(curve).into_iter().map(|at| Circle::new(at, 3, style.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font((FONT, 13))
        .draw()?;
    area.present()?;
    Ok(())
}
