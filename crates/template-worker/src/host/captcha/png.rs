//! A canvas as a PNG file: the four parts that every one has, and nothing else.

use std::io::{self, Write as _};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

use super::drawing::Canvas;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Eight bits each of red, green and blue, not interlaced.
const FORM: [u8; 5] = [8, 2, 0, 0, 0];

/// The file.
pub(super) fn encode(canvas: &Canvas) -> io::Result<Vec<u8>> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    for row in canvas.pixels.chunks_exact(canvas.width as usize) {
        // Each row says how it was filtered: not at all.
        packed.write_all(&[0])?;
        packed.write_all(row.as_flattened())?;
    }
    let packed = packed.finish()?;
    let size = [canvas.width.to_be_bytes(), canvas.height.to_be_bytes()].concat();
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, *b"IHDR", &[size.as_slice(), &FORM].concat());
    chunk(&mut file, *b"IDAT", &packed);
    chunk(&mut file, *b"IEND", &[]);
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, kind: [u8; 4], content: &[u8]) {
    // A picture of the largest size has less than a megabyte.
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut crc = Crc::new();
    crc.update(&kind);
    crc.update(content);
    file.extend(length.to_be_bytes());
    file.extend(kind);
    file.extend(content);
    file.extend(crc.sum().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_file_holds_its_size_its_rows_and_their_checksums() {
        let mut canvas = Canvas::new(2, 3);
        canvas.pixels[3] = [1, 2, 3];
        let file = encode(&canvas).unwrap();
        let mut rest = file.strip_prefix(SIGNATURE).unwrap();
        let mut chunks = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let (chunk, after) = after.split_at(4 + length);
            let (sum, after) = after.split_first_chunk::<4>().unwrap();
            let mut crc = Crc::new();
            crc.update(chunk);
            assert_eq!(u32::from_be_bytes(*sum), crc.sum());
            chunks.push((chunk[..4].to_vec(), chunk[4..].to_vec()));
            rest = after;
        }
        let kinds: Vec<&[u8]> = chunks.iter().map(|(kind, _)| kind.as_slice()).collect();
        assert_eq!(kinds, [b"IHDR".as_slice(), b"IDAT", b"IEND"]);
        assert_eq!(chunks[0].1, [0, 0, 0, 2, 0, 0, 0, 3, 8, 2, 0, 0, 0]);
        let mut rows = Vec::new();
        flate2::read::ZlibDecoder::new(chunks[1].1.as_slice()).read_to_end(&mut rows).unwrap();
        let white = [255; 3];
        assert_eq!(rows, [&[0], &white[..], &white, &[0], &white, &[1, 2, 3], &[0], &white, &white].concat());
    }
}
