//! Evidence before it is sealed: packed, since most of a signature base is the same in every message.
//!
//! ```text
//! form u8 · bytes of the rest u32 · LZ4 block of: base length u32 · signature length u32 · base · signature · body
//! form u8 · base length u32 · signature length u32 · base · signature · body
//! ```
//!
//! Numbers are little-endian. Form 0 is not packed and has no body, 1 has one; 2 and 3 are the same, packed. Packing is LZ4 (block
//! format) with the lines that hubs write as a dictionary: deflate with the same one gives a tenth fewer bytes and is
//! slower, on the path of every message. What does not become smaller is not packed.
//!
//! The length of what was sealed tells how much of a message repeats the dictionary or itself. It is known to who can read the
//! hub's disk, and stands in nothing that is published.

use bytes::Bytes;
use schemas::encoding::base64;
use schemas::evidence::SignedMessage;
use schemas::limits::EVIDENCE_MAX_BYTES;
use zeroize::Zeroizing;

use super::Kept;

/// What was packed with it opens with it only, so it never changes: a new one is a new form.
const LINES: &[u8] = include_bytes!("lines-1.txt");

const BODY: u8 = 1;
const PACKED: u8 = 2;

/// The evidence of a message with this body, to be sealed.
pub(super) fn pack(kept: &Kept<'_>, body: Option<&Bytes>) -> Zeroizing<Vec<u8>> {
    let (base, body) = (kept.base.as_bytes(), (body.is_some(), body.map_or(&b""[..], |body| body)));
    let (has_body, body) = body;
    let length = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut plain =
        Zeroizing::new(Vec::with_capacity(9 + base.len() + kept.signature.len() + body.len()));
    plain.push(u8::from(has_body));
    for part in [&length(base), &length(kept.signature), base, kept.signature, body] {
        plain.extend_from_slice(part);
    }
    let rest = plain.get(1..).unwrap_or_default();
    let block = Zeroizing::new(lz4_flex::block::compress_with_dict(rest, LINES));
    if block.len() + 4 >= rest.len() {
        return plain;
    }
    let mut packed = Zeroizing::new(Vec::with_capacity(5 + block.len()));
    packed.push(u8::from(has_body) | PACKED);
    packed.extend_from_slice(&length(rest));
    packed.extend_from_slice(&block);
    packed
}

/// Reads evidence back; `None` when it is not what [`pack`] gave.
pub(super) fn unpack(sealed: &[u8]) -> Option<SignedMessage> {
    let (form, rest) = sealed.split_first()?;
    let unpacked;
    let rest = match form & !BODY {
        0 => rest,
        PACKED => {
            let (bytes, block) = rest.split_first_chunk()?;
            let bytes = usize::try_from(u32::from_le_bytes(*bytes)).ok()?;
            // Nothing larger was kept, and nothing larger is made room for.
            let fits = bytes <= EVIDENCE_MAX_BYTES;
            let plain = lz4_flex::block::decompress_with_dict(block, fits.then_some(bytes)?, LINES);
            unpacked = Zeroizing::new(plain.ok()?);
            unpacked.as_slice()
        }
        _ => return None,
    };
    let (base_bytes, rest) = rest.split_first_chunk()?;
    let (signature_bytes, rest) = rest.split_first_chunk()?;
    let length = |bytes: &[u8; 4]| usize::try_from(u32::from_le_bytes(*bytes)).ok();
    let (base, rest) = rest.split_at_checked(length(base_bytes)?)?;
    let (signature, body) = rest.split_at_checked(length(signature_bytes)?)?;
    Some(SignedMessage {
        base: String::from_utf8(base.to_vec()).ok()?,
        body: (form & BODY == BODY).then(|| base64(body)),
        signature: base64(signature),
    })
}

#[cfg(test)]
mod tests;
