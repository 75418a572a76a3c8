//! Rows of a CSV file (RFC 4180), read in bounded memory.
//!
//! The `csv` crate holds a field however long it is; files come from elsewhere, so this reader stops holding what is over the
//! limits, keeps only the state of the quotes until the row ends, and goes on behind it. Lines end in LF or CRLF.

use std::io::{self, BufRead};

use super::reject::{MAX_FIELD_BYTES, MAX_ROW_BYTES, Reason};

/// Most fields of a row: more than the layout has columns, and more than exports that are mapped have.
const MAX_FIELDS: usize = 512;

/// What some programs write before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One row, reused for the next.
#[derive(Default)]
pub(crate) struct RawRow {
    /// The line where it began, counted from 1.
    pub(crate) line: u64,
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
    /// The first thing wrong, and the place of its field.
    problem: Option<(usize, Reason)>,
}

impl RawRow {
    /// The fields; or the first thing wrong with the row, and the place of the field, counted from 0.
    pub(crate) fn fields(&self) -> Result<impl Iterator<Item = &[u8]>, (usize, Reason)> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let spans = starts.zip(self.ends.iter().copied());
        Ok(spans.map(|(start, end)| self.bytes.get(start..end).unwrap_or_default()))
    }

    pub(crate) const fn n_fields(&self) -> usize {
        self.ends.len()
    }

    fn clear(&mut self, line: u64) {
        self.line = line;
        self.bytes.clear();
        self.ends.clear();
        self.problem = None;
    }

    fn field_bytes(&self) -> usize {
        self.bytes.len() - self.ends.last().copied().unwrap_or(0)
    }

    fn fail(&mut self, reason: Reason) {
        let place = self.ends.len();
        self.problem.get_or_insert((place, reason));
        self.bytes.clear();
    }

    fn push(&mut self, byte: u8) {
        if self.problem.is_some() {
        } else if self.field_bytes() >= MAX_FIELD_BYTES {
            self.fail(Reason::FieldTooLong(MAX_FIELD_BYTES));
        } else if self.bytes.len() >= MAX_ROW_BYTES {
            self.fail(Reason::RowTooLong);
        } else {
            self.bytes.push(byte);
        }
    }

    fn end_field(&mut self) {
        if self.problem.is_some() {
        } else if self.ends.len() >= MAX_FIELDS {
            self.fail(Reason::TooManyFields { expected: MAX_FIELDS });
        } else {
            self.ends.push(self.bytes.len());
        }
    }

    fn is_blank(&self) -> bool {
        self.problem.is_none() && self.bytes.is_empty() && self.ends.len() <= 1
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of the field has been read.
    Start,
    Plain,
    Quoted,
    /// Behind a quote within a quoted field: its end, or the first half of a quote that is meant.
    AfterQuote,
}

/// Reads rows one after another.
pub(crate) struct CsvReader<R> {
    input: R,
    delimiter: u8,
    line: u64,
    n_bytes: u64,
}

impl<R: BufRead> CsvReader<R> {
    /// A reader at the beginning of a file; a byte order mark is skipped.
    pub(crate) fn new(input: R) -> Self {
        Self::delimited(input, b',')
    }

    /// As [`CsvReader::new`], with another character of ASCII between fields.
    pub(crate) fn delimited(input: R, delimiter: u8) -> Self {
        Self { input, delimiter, line: 1, n_bytes: 0 }
    }

    pub(crate) const fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Reads the next row that is not blank into `row`; `false` at the end of the file.
    pub(crate) fn next(&mut self, row: &mut RawRow) -> io::Result<bool> {
        loop {
            row.clear(self.line);
            if !self.read_row(row)? {
                return Ok(false);
            }
            if !row.is_blank() {
                return Ok(true);
            }
        }
    }

    fn read_row(&mut self, row: &mut RawRow) -> io::Result<bool> {
        if self.n_bytes == 0 && self.input.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            self.input.consume(BYTE_ORDER_MARK.len());
            self.n_bytes += BYTE_ORDER_MARK.len() as u64;
        }
        let mut state = State::Start;
        let mut any = false;
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                chunk => chunk?,
            };
            if chunk.is_empty() {
                if state == State::Quoted {
                    // More telling than that the field grew too long on the way.
                    row.problem = None;
                    row.fail(Reason::QuoteNotClosed);
                } else if any {
                    row.end_field();
                }
                return Ok(any);
            }
            let mut ended = false;
            let mut used = 0;
            for byte in chunk {
                used += 1;
                if *byte == b'\n' {
                    self.line += 1;
                }
                state = step(state, *byte, self.delimiter, row);
                if *byte == b'\n' && state == State::Start {
                    ended = true;
                    break;
                }
            }
            any = true;
            self.input.consume(used);
            self.n_bytes += used as u64;
            if ended {
                return Ok(true);
            }
        }
    }
}

/// Takes one byte. A line feed that leaves [`State::Start`] behind has ended the row.
fn step(state: State, byte: u8, delimiter: u8, row: &mut RawRow) -> State {
    match (state, byte) {
        (State::Start, b'"') => State::Quoted,
        (State::Start | State::Plain | State::AfterQuote, byte) if byte == delimiter => {
            row.end_field();
            State::Start
        }
        (State::Start | State::Plain, b'\n') => {
            if row.problem.is_none() && row.field_bytes() > 0 && row.bytes.last() == Some(&b'\r') {
                row.bytes.pop();
            }
            row.end_field();
            State::Start
        }
        (State::Start | State::Plain, _) => {
            row.push(byte);
            State::Plain
        }
        (State::Quoted, b'"') => State::AfterQuote,
        (State::Quoted, _) => {
            row.push(byte);
            State::Quoted
        }
        (State::AfterQuote, b'"') => {
            row.push(b'"');
            State::Quoted
        }
        (State::AfterQuote, b'\n') => {
            row.end_field();
            State::Start
        }
        (State::AfterQuote, b'\r') => State::AfterQuote,
        (State::AfterQuote, _) => {
            if row.problem.is_none() {
                row.fail(Reason::TextAfterQuote);
            }
            State::Plain
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    type Read = Vec<(u64, Result<Vec<String>, (usize, Reason)>)>;

    fn read(bytes: &[u8]) -> Read {
        let mut reader = CsvReader::new(BufReader::with_capacity(7, bytes));
        let mut row = RawRow::default();
        let mut rows = Vec::new();
        while reader.next(&mut row).unwrap() {
            let texts = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            rows.push((row.line, row.fields().map(|fields| fields.map(texts).collect())));
            assert!(row.capacity() <= 2 * MAX_ROW_BYTES);
        }
        assert_eq!(reader.n_bytes(), bytes.len() as u64);
        rows
    }

    fn good(line: u64, fields: &[&str]) -> (u64, Result<Vec<String>, (usize, Reason)>) {
        (line, Ok(fields.iter().map(|field| (*field).to_owned()).collect()))
    }

    #[test]
    fn a_huge_field_is_skipped_and_the_next_row_read() {
        let huge = "x,\"\n".repeat(3_000_000);
        let quoted = format!("a,\"{}\",c\nd,e\n", huge.replace('"', "\"\""));
        let rows = read(quoted.as_bytes());
        assert_eq!(rows[0], (1, Err((1, Reason::FieldTooLong(MAX_FIELD_BYTES)))));
        assert_eq!(rows[1..], [good(3_000_002, &["d", "e"])]);
        let plain = format!("a,{},c\nd,e\n", "x".repeat(10_000_000));
        let rows = read(plain.as_bytes());
        assert_eq!(rows[0].1, Err((1, Reason::FieldTooLong(MAX_FIELD_BYTES))));
        assert_eq!(rows[1..], [good(2, &["d", "e"])]);
    }

    #[test]
    fn a_row_of_many_long_fields_is_skipped() {
        let row = vec!["x".repeat(60_000); 5].join(",");
        let rows = read(format!("{row}\na\n{}\nb\n", ",".repeat(MAX_FIELDS)).as_bytes());
        assert_eq!(rows[0].1, Err((4, Reason::RowTooLong)));
        assert_eq!(rows[1], good(2, &["a"]));
        assert!(matches!(rows[2].1, Err((_, Reason::TooManyFields { .. }))));
        assert_eq!(rows[3], good(4, &["b"]));
    }

    #[test]
    fn quotes_that_do_not_close_or_go_on_are_told_apart() {
        assert_eq!(read(b"a,\"b\" c,d\ne\n")[0].1, Err((1, Reason::TextAfterQuote)));
        assert_eq!(read(b"a,\"b\" c,d\ne\n")[1], good(2, &["e"]));
        assert_eq!(read(b"a\nb,\"c\nd\n")[1], (2, Err((1, Reason::QuoteNotClosed))));
    }

    #[test]
    fn fields_are_read_as_rfc_4180_says() {
        let rows = read(b"a,\"b \"\"c\"\"\nd\",e\r\n\r\n\n,\"\"\r\nlast");
        let expected = [good(1, &["a", "b \"c\"\nd", "e"]), good(5, &["", ""]), good(6, &["last"])];
        assert_eq!(rows, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_bytes_are_read(bytes in "[a,\"\r\n]{0,200}") {
            read(bytes.as_bytes());
        }

        #[test]
        fn what_is_quoted_reads_back(rows in proptest::collection::vec(proptest::collection::vec("[a-c,\"\r\n]{0,8}", 2..5), 0..8)) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\r\n";
            let text: String = rows.iter().map(line).collect();
            let found: Vec<_> = read(text.as_bytes()).into_iter().map(|(_, row)| row.unwrap()).collect();
            prop_assert_eq!(found, rows);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// `read` asserts the bound on memory after every row.
        #[test]
        fn long_runs_of_any_byte_are_read_in_bounded_memory(
            runs in proptest::collection::vec((any::<u8>(), 1_usize..200_000), 0..12),
            signs in proptest::collection::vec(proptest::sample::select(vec![b',', b'"', b'\n', b'x']), 12),
        ) {
            let runs = runs.into_iter().zip(signs);
            let bytes: Vec<u8> = runs.flat_map(|((byte, n), sign)| [vec![sign], vec![byte; n]].concat()).collect();
            read(&bytes);
        }
    }
}
