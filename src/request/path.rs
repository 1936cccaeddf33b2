//! Stub.

/// Stub.
pub fn is_canonical_segment(segment: &str) -> bool {
    if segment.is_empty() || segment == "." || segment == ".." {
        return false;
    }
    let bytes = segment.as_bytes();
    let mut decoded = Vec::new();
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'%' => {
                let Some(hex) = segment.get(index + 1..index + 3) else {
                    return false;
                };
                if !hex
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
                {
                    return false;
                }
                let Ok(byte) = u8::from_str_radix(hex, 16) else {
                    return false;
                };
                if byte < 0x20
                    || byte == 0x7f
                    || b"/\\-._~".contains(&byte)
                    || byte.is_ascii_alphanumeric()
                {
                    return false;
                }
                decoded.push(byte);
                index += 3;
            }
            byte if !byte.is_ascii_graphic() || b"\\#?/".contains(&byte) => return false,
            byte => {
                decoded.push(byte);
                index += 1;
            }
        }
    }
    std::str::from_utf8(&decoded).is_ok()
}
