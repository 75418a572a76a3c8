//! How an English name sounds.

/// The Soundex code of a folded name (American Soundex, as the United States National Archives describe it): the first
/// letter and three digits. Empty for an empty name. Total: anything but A to Z is left out.
///
/// It is made for English names and says less about others, so no match key rests on it alone.
#[must_use]
pub fn soundex(folded: &str) -> String {
    let mut letters = folded.bytes().filter(u8::is_ascii_uppercase);
    let Some(first) = letters.next() else { return String::new() };
    let mut code = String::from(char::from(first));
    let mut last = digit(first);
    for letter in letters {
        if code.len() == 4 {
            break;
        }
        let this = digit(letter);
        if let Some(digit) = this.filter(|_| this != last) {
            code.push(digit);
        }
        // H and W do not part two letters of one sound, vowels do.
        if !matches!(letter, b'H' | b'W') {
            last = this;
        }
    }
    while code.len() < 4 {
        code.push('0');
    }
    code
}

const fn digit(letter: u8) -> Option<char> {
    Some(match letter {
        b'B' | b'F' | b'P' | b'V' => '1',
        b'C' | b'G' | b'J' | b'K' | b'Q' | b'S' | b'X' | b'Z' => '2',
        b'D' | b'T' => '3',
        b'L' => '4',
        b'M' | b'N' => '5',
        b'R' => '6',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matching::normalise::fold;

    #[test]
    fn codes_are_those_of_the_national_archives() {
        let names = [
            ("WASHINGTON", "W252"),
            ("LEE", "L000"),
            ("GUTIERREZ", "G362"),
            ("PFISTER", "P236"),
            ("JACKSON", "J250"),
            ("TYMCZAK", "T522"),
            ("ASHCRAFT", "A261"),
            ("", ""),
        ];
        for (name, code) in names {
            assert_eq!(soundex(name), code, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_text_has_a_code_of_four_or_none(text in any::<String>()) {
            let code = soundex(&fold(&text));
            prop_assert!(code.is_empty() || code.len() == 4);
            let _ = soundex(&text);
        }
    }
}
