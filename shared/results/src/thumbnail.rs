//! Small pictures for the report, out of uploads that nobody vouches for.

use std::io::Cursor;
use std::panic::catch_unwind;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb, RgbImage};

/// Pixels on the longer side of a thumbnail.
const SIDE: u32 = 160;
/// Pixels on a side beyond which an upload is not decoded.
const MAX_SIDE: u32 = 16_384;
/// Memory that decoding may take: about 40 megapixels.
const MAX_ALLOC: u64 = 128 * 1024 * 1024;
const QUALITY: u8 = 78;

/// A JPEG of at most 160 × 160 pixels, upright, on white; none if the bytes cannot be decoded
/// within 16 384 pixels a side and 128 MiB of memory.
#[must_use]
pub fn thumbnail(bytes: &[u8]) -> Option<Vec<u8>> {
    // A decoder that panics on a crafted file must not keep a round from its labels.
    let mut small = catch_unwind(|| decode(bytes)).ok()??;
    // Else it would be made larger.
    if small.width().max(small.height()) > SIDE {
        small = small.thumbnail(SIDE, SIDE);
    }
    let small = on_white(&small);
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    small.write_with_encoder(encoder).ok()?;
    Some(jpeg)
}

fn decode(bytes: &[u8]) -> Option<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().ok()?;
    limits.reserve(decoder.total_bytes()).ok()?;
    decoder.set_limits(limits).ok()?;
    let orientation = decoder.orientation().ok()?;
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

fn on_white(picture: &DynamicImage) -> RgbImage {
    let source = picture.to_rgba8();
    RgbImage::from_fn(source.width(), source.height(), |x, y| {
        let [red, green, blue, alpha] = source.get_pixel(x, y).0;
        let blend = |channel: u8| {
            let (channel, alpha) = (u16::from(channel), u16::from(alpha));
            // At most 255, so it fits.
            u8::try_from((channel * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([blend(red), blend(green), blend(blue)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgba, RgbaImage};

    fn png(width: u32, height: u32) -> Vec<u8> {
        let clear = RgbaImage::from_pixel(width, height, Rgba([255, 0, 0, 0]));
        let mut bytes = Cursor::new(Vec::new());
        clear.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_small_picture_stays_as_small_as_it_is() {
        let small = image::load_from_memory(&thumbnail(&png(3, 2)).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (3, 2));
    }

    #[test]
    fn a_picture_becomes_small_and_keeps_its_shape() {
        let small = image::load_from_memory(&thumbnail(&png(800, 400)).unwrap()).unwrap();
        assert_eq!((small.width(), small.height()), (160, 80));
    }

    #[test]
    fn what_is_transparent_becomes_white() {
        let small = image::load_from_memory(&thumbnail(&png(8, 8)).unwrap()).unwrap();
        assert_eq!(small.to_rgb8().get_pixel(3, 3).0, [255, 255, 255]);
    }

    #[test]
    fn bytes_that_are_no_picture_become_none() {
        assert_eq!(thumbnail(b"<svg onload=alert(1)>"), None);
        assert_eq!(thumbnail(&png(8, 8)[..40]), None);
    }

    #[test]
    fn a_bomb_is_not_decoded() {
        // 16 385 white pixels in a line: small as a file, wider than allowed.
        assert_eq!(thumbnail(&png(16_385, 1)), None);
        // The header claims 16 000 × 16 000 pixels: refused before any memory is taken.
        let mut bomb = png(8, 8);
        bomb[16..24].copy_from_slice(&[0, 0, 0x3e, 0x80, 0, 0, 0x3e, 0x80]);
        let crc = crc32(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(thumbnail(&bomb), None);
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (0u32.wrapping_sub(crc & 1)))
            })
        })
    }
}
