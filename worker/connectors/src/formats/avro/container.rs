//! Avro's object container files: their head, their blocks, how these are packed.

use std::borrow::Cow;
use std::io::Read;
use std::sync::Arc;

use super::cursor::{Cursor, Fail, put_bytes, put_long, wrong};
use super::schema::Schema;
use super::{Codec, MOST_BLOCK};

/// What every file begins with.
pub(super) const MAGIC: [u8; 4] = *b"Obj\x01";
/// What stands between blocks is so long.
pub(super) const SYNC: usize = 16;
/// The head of a file, its schema included, is so long at most.
const MOST_HEAD: usize = 4 << 20;
/// Memory for the unpacking of .xz, in KiB: what its highest level needs.
const XZ_MEMORY_KIB: u32 = 128 << 10;

/// What a file says about itself.
pub(super) struct Head {
    pub(super) schema: Arc<Schema>,
    codec: Codec,
    sync: [u8; SYNC],
}

/// Records of a file that stand together.
pub(super) struct Block<'a> {
    pub(super) count: usize,
    /// Bytes in the file, with what stands around it.
    pub(super) length: usize,
    pub(super) records: Cow<'a, [u8]>,
}

/// Reads the beginning of a file; also how long that is. `None`: more bytes must come.
///
/// # Errors
/// What is wrong with it.
pub(super) fn head(data: &[u8], last: bool) -> Result<Option<(Head, usize)>, String> {
    let begins = data.iter().zip(&MAGIC).all(|(a, b)| a == b);
    if !begins || (last && data.len() < MAGIC.len()) {
        return Err("not an Avro file: it does not begin with 'Obj' and the byte 1".to_owned());
    }
    let mut cursor = Cursor::new(data);
    match read_head(&mut cursor) {
        Ok(head) => Ok(Some((head, cursor.at()))),
        Err(Fail::Wrong(why)) => Err(format!("the file's head: {why}")),
        Err(Fail::End) if last => Err("the file ends in the middle of its head".to_owned()),
        Err(Fail::End) if data.len() > MOST_HEAD => {
            Err(format!("the file's head is longer than {} MiB; is it damaged?", MOST_HEAD >> 20))
        }
        Err(Fail::End) => Ok(None),
    }
}

fn read_head(cursor: &mut Cursor<'_>) -> Result<Head, Fail> {
    cursor.take(MAGIC.len())?;
    let (mut schema, mut codec) = (None, None);
    loop {
        let (count, _) = cursor.block()?;
        if count == 0 {
            break;
        }
        for _ in 0..count {
            let (key, value) = (cursor.bytes()?, cursor.bytes()?);
            match key {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => codec = Some(value),
                _ => {}
            }
        }
    }
    let sync = cursor.take(SYNC)?.first_chunk().copied().ok_or(Fail::End)?;
    let Some(schema) = schema else { return wrong("it has no 'avro.schema'") };
    let schema = Schema::parse(schema).or_else(|why| wrong(format!("its schema: {why}")))?;
    let codec = match codec {
        None => Codec::Null,
        Some(name) => {
            let known = Codec::NAMES.iter().find(|(known, _)| known.as_bytes() == name);
            match known {
                Some((_, codec)) => *codec,
                None => {
                    let names: Vec<_> = Codec::NAMES.iter().map(|(name, _)| *name).collect();
                    return wrong(format!(
                        "its blocks are packed by '{}', which is not known here; known are {}",
                        String::from_utf8_lossy(name.get(..40).unwrap_or(name)),
                        names.join(", ")
                    ));
                }
            }
        }
    };
    Ok(Head { schema: Arc::new(schema), codec, sync })
}

/// Reads a block. `None`: more bytes must come.
///
/// # Errors
/// What is wrong with it.
pub(super) fn block<'a>(
    data: &'a [u8],
    head: &Head,
    last: bool,
) -> Result<Option<Block<'a>>, String> {
    let mut cursor = Cursor::new(data);
    match read_block(&mut cursor, head) {
        Ok((count, packed)) => {
            let records = unpack(head.codec, packed).map_err(|why| {
                format!("a block cannot be unpacked ({}): {why}", head.codec.name())
            })?;
            Ok(Some(Block { count, length: cursor.at(), records }))
        }
        Err(Fail::Wrong(why)) => Err(why),
        Err(Fail::End) if last => Err("the file ends in the middle of a block".to_owned()),
        Err(Fail::End) => Ok(None),
    }
}

fn read_block<'a>(cursor: &mut Cursor<'a>, head: &Head) -> Result<(usize, &'a [u8]), Fail> {
    let count = cursor.long()?;
    let Ok(count) = usize::try_from(count) else {
        return wrong(format!("a block of {count} records; the file is damaged"));
    };
    let size = cursor.long()?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= MOST_BLOCK) else {
        return wrong(format!(
            "a block of {size} bytes, where {} MiB are the most that is read at once; is it damaged?",
            MOST_BLOCK.div_ceil(1 << 20)
        ));
    };
    let packed = cursor.take(size)?;
    if cursor.take(SYNC)? != head.sync {
        return wrong("what stands behind a block is not the file's sync marker; it is damaged");
    }
    Ok((count, packed))
}

fn unpack(codec: Codec, packed: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let read: Box<dyn Read + '_> = match codec {
        Codec::Null => return Ok(Cow::Borrowed(packed)),
        Codec::Snappy => return unpack_snappy(packed).map(Cow::Owned),
        Codec::Deflate => Box::new(flate2::read::DeflateDecoder::new(packed)),
        Codec::Bzip2 => Box::new(bzip2::read::BzDecoder::new(packed)),
        Codec::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB)),
        Codec::Zstandard => {
            Box::new(zstd::stream::read::Decoder::new(packed).map_err(|error| error.to_string())?)
        }
    };
    let mut records = Vec::new();
    let most = MOST_BLOCK as u64 + 1;
    read.take(most).read_to_end(&mut records).map_err(|error| error.to_string())?;
    if records.len() > MOST_BLOCK {
        return Err(too_large());
    }
    Ok(Cow::Owned(records))
}

fn too_large() -> String {
    format!("it has more than {} MiB; write smaller ones", MOST_BLOCK.div_ceil(1 << 20))
}

/// Bytes as snappy makes them, and behind them the CRC-32 of what they stand for.
fn unpack_snappy(packed: &[u8]) -> Result<Vec<u8>, String> {
    let (packed, crc) = packed.split_last_chunk::<4>().ok_or("its checksum is missing")?;
    let length = snap::raw::decompress_len(packed).map_err(|error| error.to_string())?;
    if length > MOST_BLOCK {
        return Err(too_large());
    }
    let records =
        snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| error.to_string())?;
    if crc_32(&records) != u32::from_be_bytes(*crc) {
        return Err("its checksum is another".to_owned());
    }
    Ok(records)
}

fn crc_32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Appends the head of a file.
pub(super) fn put_head(out: &mut Vec<u8>, schema: &str, codec: Codec, sync: [u8; SYNC]) {
    out.extend_from_slice(&MAGIC);
    put_long(out, 2);
    put_bytes(out, b"avro.schema");
    put_bytes(out, schema.as_bytes());
    put_bytes(out, b"avro.codec");
    put_bytes(out, codec.name().as_bytes());
    put_long(out, 0);
    out.extend_from_slice(&sync);
}

/// Appends a block.
///
/// # Errors
/// When packing fails.
pub(super) fn put_block(
    out: &mut Vec<u8>,
    count: usize,
    records: &[u8],
    codec: Codec,
    sync: [u8; SYNC],
) -> Result<(), String> {
    let packed = pack(codec, records)?;
    put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
    put_bytes(out, &packed);
    out.extend_from_slice(&sync);
    Ok(())
}

fn pack(codec: Codec, records: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    use std::io::Write as _;
    let io = |error: std::io::Error| error.to_string();
    Ok(Cow::Owned(match codec {
        Codec::Null => return Ok(Cow::Borrowed(records)),
        Codec::Snappy => {
            let packed = snap::raw::Encoder::new().compress_vec(records);
            let mut packed = packed.map_err(|error| error.to_string())?;
            packed.extend_from_slice(&crc_32(records).to_be_bytes());
            packed
        }
        Codec::Deflate => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(records).map_err(io)?;
            encoder.finish().map_err(io)?
        }
        Codec::Bzip2 => {
            let level = bzip2::Compression::best();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(records).map_err(io)?;
            encoder.finish().map_err(io)?
        }
        Codec::Xz => {
            let options = lzma_rust2::XzOptions::with_preset(6);
            let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).map_err(io)?;
            encoder.write_all(records).map_err(io)?;
            encoder.finish().map_err(io)?
        }
        Codec::Zstandard => zstd::encode_all(records, 3).map_err(io)?,
    }))
}
