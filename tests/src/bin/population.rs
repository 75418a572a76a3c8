//! Writes an invented region as files for `agency-node match`: `population OUT [N_PEOPLE] [N_QUERIES] [SEED]`.
//!
//! Nobody is real; see `brag_tests::people`. Names are wrong more often than in [`Noise::TYPICAL`], and the NHS number is
//! known on both sides wherever there is one, so that `--no-identifiers` makes the whole difference.

use std::{env, path::PathBuf};

use brag_tests::people::{Noise, Region};

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let out = PathBuf::from(arguments.next().unwrap_or_else(|| "region".to_owned()));
    let mut number = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse());
    let (n_people, n_queries, seed) = (number(1_020_000)?, number(20_000)?, number(2027)?);
    let asking = Noise { given_typo: 80, family_typo: 60, nhs_missing: 0, ..Noise::TYPICAL };
    let enrolled = Noise { nhs_missing: 0, ..Noise::TYPICAL };
    let region = Region::generate(seed, usize::try_from(n_people)?);
    let n_right = region.write(&out, usize::try_from(n_queries)?, &asking, &enrolled)?;
    println!("{n_right} enrolled people in {}", out.display());
    Ok(())
}
