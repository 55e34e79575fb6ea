//! Which uploads become work: by their key, then by their bytes. Nothing here trusts a name, a
//! size or a media type that somebody else states.

use imagesize::ImageType;

use crate::campaign::{self, Campaign, ImageLimits};
use crate::ids::CampaignName;
use crate::state::Kind;

/// What an upload's key says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file that defines the campaign.
    Definition,
    /// Work: an image.
    Image,
    /// Work: a file of rows.
    Rows,
    /// A control image.
    Control {
        /// Golden, exam or training.
        kind: Kind,
        /// The folder's label.
        label: String,
    },
    /// A file of control rows.
    ControlRows {
        /// Golden, exam or training.
        kind: Kind,
        /// The folder's label; none if each row names its own.
        label: Option<String>,
    },
    /// A folder marker or a hidden file: nobody means it as work.
    Ignored,
}

/// Where `key` stands in the bucket.
///
/// # Errors
/// What is wrong with the key and where uploads go, for a person.
pub fn place(key: &str) -> Result<(CampaignName, Place), String> {
    let (campaign, path) = key.split_once('/').ok_or_else(|| {
        "it is in no campaign's folder: upload it to <campaign>/images/".to_owned()
    })?;
    let campaign: CampaignName = campaign.parse().map_err(|error| format!("{error}"))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('.') {
        return Ok((campaign, Place::Ignored));
    }
    if campaign::FILES.contains(&path) {
        return Ok((campaign, Place::Definition));
    }
    let place = match path.split_once('/') {
        Some(("images", _)) => Place::Image,
        Some(("rows", _)) if is_rows(name) => Place::Rows,
        Some(("rows", _)) => return Err("rows/ takes .csv and .jsonl files".to_owned()),
        Some(("golden", rest)) => control(Kind::Golden, rest, name)?,
        Some(("exam", rest)) => control(Kind::Exam, rest, name)?,
        Some(("training", rest)) => control(Kind::Training, rest, name)?,
        _ => {
            return Err(
                "it is in no folder that means something: uploads go to images/, rows/, \
                        golden/<LABEL>/, exam/<LABEL>/ or training/<LABEL>/"
                    .to_owned(),
            );
        }
    };
    Ok((campaign, place))
}

fn is_rows(name: &str) -> bool {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("csv" | "jsonl"))
}

fn control(kind: Kind, rest: &str, name: &str) -> Result<Place, String> {
    let label = rest.split_once('/').map(|(label, _)| label.to_owned());
    match (is_rows(name), label) {
        (true, label) => Ok(Place::ControlRows { kind, label }),
        (false, Some(label)) => Ok(Place::Control { kind, label }),
        (false, None) => {
            let folder = kind.as_str();
            Err(format!(
                "its label is missing: upload it to {folder}/<LABEL>/"
            ))
        }
    }
}

/// Checks that `label` is one of the campaign's.
///
/// # Errors
/// Names the nearest label.
pub fn check_label(campaign: &Campaign, label: &str) -> Result<(), String> {
    if campaign.labels.iter().any(|known| known == label) {
        return Ok(());
    }
    let near = campaign::nearest(label, &campaign.labels);
    Err(format!("{label:?} is not a label of this campaign{near}"))
}

/// What an image's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Media type, e.g. `image/png`.
    pub media_type: &'static str,
    /// Whether the key's extension names another format.
    pub misnamed: bool,
}

/// Whether bytes of a format are there to the end; `None` if they end before that can be told.
type Whole = fn(&[u8]) -> Option<bool>;

/// Checks an object's size before its bytes are read.
///
/// # Errors
/// Why it cannot be an image, for a person.
pub fn check_size(size: u64, limits: &ImageLimits) -> Result<(), String> {
    let most = limits.max_megabytes.saturating_mul(1_000_000);
    if size == 0 {
        return Err("it is empty (0 bytes)".to_owned());
    }
    if size > most {
        let megabytes = size.div_ceil(1_000_000);
        return Err(format!(
            "it has {megabytes} MB; at most {} MB are taken ([images] max_megabytes)",
            limits.max_megabytes
        ));
    }
    Ok(())
}

/// Checks the bytes of a whole object: known format, sane dimensions, not cut off. Pixels are
/// never decoded here.
///
/// # Errors
/// Why it cannot be an image, for a person.
pub fn check_image(key: &str, bytes: &[u8], limits: &ImageLimits) -> Result<ImageFacts, String> {
    check_size(bytes.len() as u64, limits)?;
    let kind = imagesize::image_type(bytes).map_err(|_| "it is not an image".to_owned())?;
    let (media_type, extensions, whole): (_, &[&str], Whole) = match kind {
        ImageType::Jpeg => ("image/jpeg", &["jpg", "jpeg", "jpe", "jfif"], whole_jpeg),
        ImageType::Png => ("image/png", &["png"], whole_png),
        ImageType::Gif => ("image/gif", &["gif"], whole_gif),
        ImageType::Webp => ("image/webp", &["webp"], whole_webp),
        other => {
            return Err(format!(
                "it is a {other:?} file; browsers of workers show JPEG, PNG, GIF and WebP"
            ));
        }
    };
    let size = imagesize::blob_size(bytes)
        .map_err(|_| format!("its header is damaged: no {media_type} dimensions in it"))?;
    check_dimensions(size.width as u64, size.height as u64, limits)?;
    if whole(bytes) != Some(true) {
        return Err(format!(
            "it is cut off: the end of the {media_type} data is missing"
        ));
    }
    let extension = key
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_ascii_lowercase());
    let misnamed = !extension.is_some_and(|extension| extensions.contains(&extension.as_str()));
    Ok(ImageFacts {
        media_type,
        misnamed,
    })
}

fn check_dimensions(width: u64, height: u64, limits: &ImageLimits) -> Result<(), String> {
    let pixels = width.saturating_mul(height);
    if width == 0 || height == 0 {
        Err("it has no pixels".to_owned())
    } else if width.max(height) > limits.max_side
        || pixels > limits.max_megapixels.saturating_mul(1_000_000)
    {
        Err(format!(
            "it has {width} x {height} pixels; at most {} a side and {} million in all are taken",
            limits.max_side, limits.max_megapixels
        ))
    } else {
        Ok(())
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(pair)))
}

/// Walks the segments of a JPEG to its end-of-image marker (ITU-T T.81, annex B).
fn whole_jpeg(bytes: &[u8]) -> Option<bool> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return Some(false);
        }
        let marker = *bytes.get(at + 1)?;
        at += 2;
        match marker {
            0xd9 => return Some(true),
            0xff => at -= 1,
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                at = at.checked_add(be16(bytes, at)?)?;
                if marker == 0xda {
                    at = after_scan(bytes, at)?;
                }
            }
        }
    }
}

/// The place of the first marker after entropy-coded data: `ff` followed by neither a stuffed
/// zero nor a restart.
fn after_scan(bytes: &[u8], from: usize) -> Option<usize> {
    let data = bytes.get(from..)?;
    let marker = data.windows(2).position(
        |pair| matches!(pair, [0xff, next] if *next != 0 && !(0xd0..=0xd7).contains(next)),
    )?;
    Some(from + marker)
}

/// Walks the chunks of a PNG to `IEND`.
fn whole_png(bytes: &[u8]) -> Option<bool> {
    let mut at: usize = 8;
    loop {
        let header: [u8; 8] = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        let [a, b, c, d, kind @ ..] = header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        at = at.checked_add(12)?.checked_add(length)?;
        if at > bytes.len() {
            return Some(false);
        }
        if &kind == b"IEND" {
            return Some(true);
        }
    }
}

/// A GIF ends with a trailer byte; some writers pad behind it with zeros.
fn whole_gif(bytes: &[u8]) -> Option<bool> {
    Some(bytes.iter().rev().find(|byte| **byte != 0) == Some(&0x3b))
}

/// A WebP's RIFF header states the length of the rest.
fn whole_webp(bytes: &[u8]) -> Option<bool> {
    let length: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    Some(length.checked_add(8)? <= bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> ImageLimits {
        ImageLimits::default()
    }

    /// A PNG of the stated dimensions whose pixel data is nonsense: only its frame is whole.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], data: &[u8]| {
            bytes.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(kind);
            bytes.extend(data);
            bytes.extend([0; 4]);
        };
        let mut header = Vec::new();
        header.extend(width.to_be_bytes());
        header.extend(height.to_be_bytes());
        header.extend([8, 2, 0, 0, 0]);
        chunk(b"IHDR", &header);
        chunk(b"IDAT", &[1, 2, 3]);
        chunk(b"IEND", &[]);
        bytes
    }

    fn jpeg() -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8];
        bytes.extend([0xff, 0xc0, 0, 11, 8, 0, 4, 0, 6, 1, 1, 0x11, 0]);
        bytes.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes.extend([0x12, 0xff, 0x00, 0xff, 0xd0, 0x34, 0xff, 0xd9]);
        bytes
    }

    #[test]
    fn keys_say_what_an_upload_is() {
        let is = |key: &str| place(key).map(|(_, place)| place);
        assert_eq!(is("cells/campaign.toml"), Ok(Place::Definition));
        assert_eq!(is("cells/images/a/b c+%ü\n.jpg"), Ok(Place::Image));
        assert_eq!(is("cells/rows/x.CSV"), Ok(Place::Rows));
        let golden = Place::Control {
            kind: Kind::Golden,
            label: "CAT".to_owned(),
        };
        assert_eq!(is("cells/golden/CAT/x/1.jpg"), Ok(golden));
        let rows = Place::ControlRows {
            kind: Kind::Training,
            label: None,
        };
        assert_eq!(is("cells/training/known.csv"), Ok(rows));
        assert_eq!(is("cells/images/.DS_Store"), Ok(Place::Ignored));
        assert_eq!(is("cells/images/"), Ok(Place::Ignored));
        for bad in [
            "x.jpg",
            "Cells/images/x.jpg",
            "cells/x.jpg",
            "cells/golden/x.jpg",
            "cells/rows/x.txt",
        ] {
            assert!(is(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_images_are_taken_by_their_bytes_not_their_name() {
        let facts = check_image("x.jpg", &jpeg(), &limits()).unwrap();
        assert_eq!(
            facts,
            ImageFacts {
                media_type: "image/jpeg",
                misnamed: false
            }
        );
        let facts = check_image("x.jpg", &png(3, 2), &limits()).unwrap();
        assert_eq!(
            facts,
            ImageFacts {
                media_type: "image/png",
                misnamed: true
            }
        );
    }

    #[test]
    fn cut_off_files_are_refused_wherever_they_are_cut() {
        for whole in [jpeg(), png(3, 2)] {
            for end in 1..whole.len() {
                assert!(check_image("x", &whole[..end], &limits()).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_reason() {
        let why = |bytes: &[u8]| check_image("x.jpg", bytes, &limits()).unwrap_err();
        assert_eq!(why(b""), "it is empty (0 bytes)");
        assert_eq!(
            why(b"hello, I am text and long enough"),
            "it is not an image"
        );
        assert!(why(b"<svg xmlns='http://www.w3.org/2000/svg'/>").contains("image"));
        assert!(why(&png(30_000, 30_000)).contains("30000 x 30000"));
        assert!(why(&png(0, 5)).contains("no pixels"));
        assert!(
            check_size(60_000_000, &limits())
                .unwrap_err()
                .contains("60 MB")
        );
    }
}
