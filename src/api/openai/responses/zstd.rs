//! Request bodies compressed with Zstandard, which some clients of `/v1/responses` send.

use std::io::Read as _;

use ruzstd::decoding::StreamingDecoder;

use crate::api::error::ApiError;

/// Largest body after decompression in bytes, as upstream has it. A few kilobytes can unfold into gigabytes.
const MAX_BYTES: usize = 20 << 20;

/// Decompresses a body: one frame or several.
///
/// # Errors
/// [`ApiError::BodyTooLarge`] as soon as more than 20 MiB have come out; 400 for what is no Zstandard, is cut off, or
/// wants a larger window than that to be decompressed.
pub(super) fn decompress(body: &[u8]) -> Result<Vec<u8>, ApiError> {
    decompress_up_to(body, MAX_BYTES)
}

fn decompress_up_to(mut body: &[u8], limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while !body.is_empty() {
        let decoder =
            StreamingDecoder::new_with_max_window_size(&mut body, MAX_BYTES as u64).map_err(refused)?;
        let room = (limit - bytes.len() + 1) as u64;
        decoder.take(room).read_to_end(&mut bytes).map_err(refused)?;
        if bytes.len() > limit {
            return Err(ApiError::BodyTooLarge(limit));
        }
    }
    Ok(bytes)
}

fn refused(error: impl std::fmt::Display) -> ApiError {
    ApiError::BadRequest(format!("failed to decompress zstd body: {error}"))
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn compressed(text: &[u8]) -> Vec<u8> {
        compress_to_vec(text, CompressionLevel::Fastest)
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let body = br#"{"model":"m"}"#;
        assert_eq!(decompress(&compressed(body)).unwrap(), body);
        let two = [compressed(b"ab"), compressed(b"c")].concat();
        assert_eq!(decompress(&two).unwrap(), b"abc");
        assert_eq!(decompress(b"").unwrap(), b"");
    }

    #[test]
    fn the_limit_is_exact_and_bombs_do_not_unfold() {
        let body = compressed(&vec![b'x'; 1000]);
        assert_eq!(decompress_up_to(&body, 1000).unwrap().len(), 1000);
        assert_eq!(decompress_up_to(&body, 999).unwrap_err().status().as_u16(), 413);
        let bomb = compressed(&vec![0; MAX_BYTES + 1]);
        assert!(bomb.len() < MAX_BYTES / 100);
        assert_eq!(decompress(&bomb).unwrap_err().status().as_u16(), 413);
    }

    #[test]
    fn garbage_and_half_a_body_are_errors() {
        let body = compressed(&[b"some text that goes on ".as_slice(); 50].concat());
        for broken in [&b"not zstd at all"[..], &body[..body.len() / 2], &body[..6], &body[..3]] {
            assert_eq!(decompress(broken).unwrap_err().status().as_u16(), 400);
        }
    }
}
