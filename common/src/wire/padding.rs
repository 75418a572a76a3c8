//! Answers travel in a few fixed sizes, so that the length on the network tells as little as can be of what was answered.
//!
//! TLS hides bytes and not how many there are. An answer that explains a refusal is shorter than one that releases, and
//! one person rated is shorter than five; in one bucket they look the same.

use prost::Message;

use super::pb;

/// The sizes of an answer, in bytes of its encoding. Above the largest: multiples of it.
pub const BUCKETS: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024];

/// The size an answer of this many bytes is padded to.
#[must_use]
pub fn bucket(n_bytes: usize) -> usize {
    let [.., largest] = BUCKETS;
    let fitting = BUCKETS.into_iter().find(|bucket| *bucket >= n_bytes);
    fitting.unwrap_or_else(|| n_bytes.div_ceil(largest) * largest)
}

/// A release's answer in its bucket.
#[must_use]
pub fn release_response(decisions: Vec<pb::RecipientDecision>) -> pb::ReleaseResponse {
    let bare = pb::ReleaseResponse { decisions, padding: Vec::new() };
    let padding = padding(&bare);
    pb::ReleaseResponse { padding, ..bare }
}

/// A round's answer in its bucket.
#[must_use]
pub fn rate_response(answers: Vec<pb::PersonAnswer>) -> pb::RateResponse {
    let bare = pb::RateResponse { answers, padding: Vec::new() };
    let padding = padding(&bare);
    pb::RateResponse { padding, ..bare }
}

/// What goes behind an answer, in its bucket: the entry in it is a little longer when there is more to tell.
#[must_use]
pub fn witnessing(bare: pb::Witnessing) -> pb::Witnessing {
    let bare = pb::Witnessing { padding: Vec::new(), ..bare };
    let padding = padding(&bare);
    pb::Witnessing { padding, ..bare }
}

/// Zeros that fill a message up to its bucket, in a field with a number below 16.
fn padding(bare: &impl Message) -> Vec<u8> {
    let n_bytes = bare.encoded_len();
    let mut size = bucket(n_bytes);
    loop {
        if let Some(n_zeros) = zeros(size - n_bytes) {
            return vec![0; n_zeros];
        }
        // A field of one byte can not be written, nor one whose length just needs another byte.
        size = bucket(size + 1);
    }
}

/// How many bytes a field carries that takes `n_bytes` in all, with its tag and its length; 0: there is no field.
fn zeros(n_bytes: usize) -> Option<usize> {
    if n_bytes == 0 {
        return Some(0);
    }
    (1..=5).find_map(|length| {
        let n_zeros = n_bytes.checked_sub(1 + length)?;
        let fits = n_zeros > 0 && prost::length_delimiter_len(n_zeros) == length;
        fits.then_some(n_zeros)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_the_size_of_a_bucket_and_reads_as_before() {
        // Around every bound, and where the length of the padding needs another byte.
        let edges = BUCKETS.into_iter().chain([2 * BUCKETS[3]]);
        let sizes = edges.flat_map(|edge| {
            [0, 1, 2, 3, 4, 127, 128, 129, 130, 131, 132]
                .into_iter()
                .chain(16_380..16_392)
                .filter_map(move |below| edge.checked_sub(below))
        });
        for n_bytes in sizes {
            let route = "x".repeat(n_bytes.saturating_sub(8).max(1));
            let decision = pb::RecipientDecision { contact_route: route, ..Default::default() };
            let answer = release_response(vec![decision.clone()]);
            let encoded = answer.encode_to_vec();
            assert_eq!(encoded.len(), bucket(encoded.len()), "{n_bytes}");
            let read = pb::ReleaseResponse::decode(encoded.as_slice()).unwrap();
            assert_eq!(read.decisions, [decision]);
        }
    }

    #[test]
    fn the_usual_answers_share_the_smallest_bucket() {
        let answer = |reason: &str| pb::PersonAnswer {
            person: "a".repeat(26),
            reason: reason.to_owned(),
            ..Default::default()
        };
        for answers in [vec![], vec![answer("")], vec![answer("audit_unavailable"); 24]] {
            assert_eq!(rate_response(answers).encoded_len(), BUCKETS[0]);
        }
    }
}
