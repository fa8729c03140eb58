//! Bodies of type `multipart/form-data`, as far as a form of a few fields and a file needs them.

/// Longest boundary that the format admits, in bytes.
const LONGEST_BOUNDARY: usize = 70;
/// Fields that are read; no client of this route sends more than a handful.
const MOST_FIELDS: usize = 64;
/// Longest head of a field, in bytes.
const LONGEST_HEAD: usize = 8 << 10;

/// Why a body is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    /// Another content type, or none.
    #[error("the content type is not multipart/form-data")]
    OtherType,
    /// Nothing says where a field ends.
    #[error("the content type has no boundary of at most {LONGEST_BOUNDARY} bytes")]
    NoBoundary,
    /// The body ends before the form does.
    #[error("the form ends before its last boundary")]
    Unfinished,
    /// A field's head is too long, or there are too many fields.
    #[error(
        "the form has more than {MOST_FIELDS} fields, or one with a head of more than {LONGEST_HEAD} bytes"
    )]
    TooLarge,
}

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field<'a> {
    /// Its name; empty if it has none.
    pub(super) name: String,
    /// Whether it comes with the name of a file, and so is one.
    pub(super) is_file: bool,
    /// What it holds.
    pub(super) value: &'a [u8],
}

/// Takes a body apart.
///
/// # Errors
/// [`FormError`]; nothing of a body that is not whole is given out.
pub(super) fn fields<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Field<'a>>, FormError> {
    let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(FormError::OtherType);
    }
    let boundary = parameter(parameters, "boundary").unwrap_or_default();
    if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
        return Err(FormError::NoBoundary);
    }
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // The first boundary may stand at the very beginning, where no line ends before it.
    let first = delimiter.get(2..).unwrap_or_default();
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => cut(body, &delimiter).ok_or(FormError::Unfinished)?.1,
    };
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        if fields.len() == MOST_FIELDS {
            return Err(FormError::TooLarge);
        }
        let (line, after) = cut(rest, b"\r\n").ok_or(FormError::Unfinished)?;
        if !line.trim_ascii().is_empty() {
            return Err(FormError::Unfinished);
        }
        // A field without a head begins with the empty line.
        let (head, content) = match after.strip_prefix(b"\r\n") {
            Some(content) => (&b""[..], content),
            None => cut(after, b"\r\n\r\n").ok_or(FormError::Unfinished)?,
        };
        if head.len() > LONGEST_HEAD {
            return Err(FormError::TooLarge);
        }
        let (value, after) = cut(content, &delimiter).ok_or(FormError::Unfinished)?;
        let (name, is_file) = named(&String::from_utf8_lossy(head));
        fields.push(Field { name, is_file, value });
        rest = after;
    }
    Ok(fields)
}

/// What stands before and after the first `mark`, which begins with the end of a line.
fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|&byte| byte == b'\r')?;
        if let Some(after) = bytes[at..].strip_prefix(mark) {
            return Some((&bytes[..at], after));
        }
        from = at + 1;
    }
}

/// The name in the head of a field, and whether it names a file.
fn named(head: &str) -> (String, bool) {
    let disposition = head.split("\r\n").find_map(|line| {
        let (header, value) = line.split_once(':')?;
        header.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let (_, parameters) = disposition.and_then(|value| value.split_once(';')).unwrap_or_default();
    let is_file = ["filename", "filename*"].iter().any(|name| parameter(parameters, name).is_some());
    (parameter(parameters, "name").unwrap_or_default(), is_file)
}

/// A parameter of a header: `name=value` or `name="value"`, between semicolons.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, next) = if let Some(quoted) = after.trim_start().strip_prefix('"') {
            let (value, next) = unquoted(quoted);
            (value, next.split_once(';').map_or("", |(_, next)| next))
        } else {
            let (value, next) = after.split_once(';').unwrap_or((after, ""));
            (value.trim().to_owned(), next)
        };
        // A parameter without a value may stand before the name.
        if name.rsplit(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next;
    }
}

/// A quoted text up to its end, and what follows. A backslash takes the next character as it is.
fn unquoted(text: &str) -> (String, &str) {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; charset=utf-8; Boundary=\"x y\"";

    fn read(body: &str) -> Result<Vec<(String, bool, String)>, FormError> {
        let fields = fields(TYPE, body.as_bytes())?;
        let text =
            |field: Field<'_>| (field.name, field.is_file, String::from_utf8_lossy(field.value).into_owned());
        Ok(fields.into_iter().map(text).collect())
    }

    #[test]
    fn fields_and_files() {
        let body = "preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n--x y  \r\n\
            CONTENT-DISPOSITION: form-data; filename=\"a;\\\"name=b.wav\"; name=file\r\nContent-Type: audio/wav\r\n\r\n\
            \r\n--x\r\n--x y\r\n\r\nbare\r\n--x y--\r\nepilogue";
        let expected = [("model", false, "tiny"), ("file", true, "\r\n--x"), ("", false, "bare")];
        assert_eq!(
            read(body).unwrap(),
            expected.map(|(name, is_file, value)| (name.into(), is_file, value.into()))
        );
        assert_eq!(read("--x y--").unwrap(), []);
        let empty = "--x y\r\nContent-Disposition: form-data; name=file; filename=\"\"\r\n\r\n\r\n--x y--";
        assert_eq!(read(empty).unwrap(), [("file".to_owned(), true, String::new())]);
    }

    #[test]
    fn what_is_no_form() {
        assert_eq!(fields("application/json", b"{}"), Err(FormError::OtherType));
        for kind in ["multipart/form-data", "multipart/form-data; boundary=", "Multipart/Form-Data; boundary"]
        {
            assert_eq!(fields(kind, b"--x--"), Err(FormError::NoBoundary), "{kind}");
        }
        let long = format!("multipart/form-data; boundary={}", "x".repeat(71));
        assert_eq!(fields(&long, b""), Err(FormError::NoBoundary));
        let field = "--x y\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n";
        for at in 0..field.len() {
            assert_eq!(read(&field[..at]), Err(FormError::Unfinished), "{at}");
        }
        assert_eq!(read("--x yz\r\n\r\n\r\n--x y--"), Err(FormError::Unfinished));
        let many = format!("{}--x y--", field.repeat(65));
        assert_eq!(read(&many), Err(FormError::TooLarge));
        let head = format!("--x y\r\nX: {}\r\n\r\nb\r\n--x y--", "y".repeat(9000));
        assert_eq!(read(&head), Err(FormError::TooLarge));
    }
}
