//! A ticket's id as a picture that a scanner reads.

use std::io::Cursor;

use image::{ImageFormat, Luma};
use qrcode::QrCode;

/// Pixels of one module's side.
const MODULE_PIXELS: u32 = 6;

/// A QR code as PNG; `None` where the text is too long for one, which no id is.
pub fn png(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::new(text).ok()?;
    let picture = code.render::<Luma<u8>>().module_dimensions(MODULE_PIXELS, MODULE_PIXELS).build();
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).ok()?;
    Some(png.into_inner())
}
