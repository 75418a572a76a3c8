//! A region for measuring: the invented people with names as skewed as real ones are, in files for `agency-node match`.
//!
//! The short lists of [`super::CULTURES`] are the common names; behind them stand some hundreds of rarer ones for each
//! culture, put together from parts, most of which nobody bears. Shares follow Zipf's law with an exponent near one.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use brag_common::{id::AgencyId, matching::identity::Sex};

use super::{CSV_HEADER, CULTURES, Noise, Population, Random, gendered, quoted};

/// Name of each culture in [`CULTURES`], and the parts of its rarer names: starts and ends of family names, starts of given
/// names, their ends for women and for men.
const PARTS: [[&str; 6]; 8] = [
    [
        "British",
        "Ash Black Brad Broad Burn Chat Clif Cran Dal Ed El Farn Glad Hal Har Hart Hol Kir Lang Mar Mid Nor Oak Pres Rad Red Rock Shel Staf Strat Thorn Wal West Whit Win Wood Wyn",
        "ley ton ford field worth wood well ham by brook bury man son shaw combe dale gate",
        "Al An Bel Cor Dor El Em Fel Gen Har Is Jos Kat Lor Mar Nat Ol Pen Ros Sel Tam Val Viv",
        "a ina ella ie ette yn eth ia icia inda",
        "an bert den don fred in ion is ley mond ric son ton us win",
    ],
    [
        "Irish and Scottish",
        "Mac Mc O' Kil Fitz Dun Gil",
        "Alister Bride Cann Dermott Ewan Farlane Gill Guire Innes Kay Lean Leod Nally Nulty Pherson Quade Rae Sweeney Tavish Callaghan Dwyer Farrell Grady Hara Keefe Leary Mahony Meara Rourke Shea Toole",
        "Ais Ail Br Car Cao Der Ei Fion Gr Mai Mor Nia Or Roi Sao Una",
        "e lin na nagh ne ra la dre",
        "an in mot lan rian ach lum gus",
    ],
    [
        "South Asian",
        "Bhatt Chand Chat Das Deb Desh Gupt Jain Josh Kapo Kulk Mal Mang Mish Mukh Nag Nair Pand Prak Raj Ram Sak San Sen Subra Tha Tri Var Ved Vij",
        "a al an ani ar arya ava esh erjee i ora wal",
        "Aa Am An Ash Bha Dee Far Gur Has Jas Kir Man Nav Nee Par Pre Raj Sha Sim Sun Vik Zah",
        "a ika ila ina isha jot leen mita preet ti",
        "an deep esh il it jit nder raj veer yan",
    ],
    [
        "East European",
        "Adam Bar Bog Chm Dab Dom Gab Gor Jab Jan Kal Kam Kaz Koz Kraw Kub Mal Mar Maz Mich Mik Ol Paw Pet Piet Rad Rut Sad Sok Stan Szym Tom Wit Woj Zaw",
        "owski ewski ak czyk escu enko ek iuk ov ik",
        "Al An Bar Cor Dan Do Ew Gab Iv Jo Kam Lu Mar Mir Nat Ol Pat Rad Sim Tat Val Ver",
        "a ana ela ena ia ina ka ota",
        "ek ian il in omir or oslav usz",
    ],
    [
        "West African",
        "Ade Afo Aki Ama Ani Ayo Bab Chu Dada Ebi Eke Eze Fal Ike Iwu Kal Nna Nwa Oba Odu Ogu Oko Olu Ony Osa Oye Sow Tay Udo Uzo",
        "bayo bola dele diran fe gbe kem kunle la mola ni nna ro sanya wale woye",
        "Aba Ade Ama Ayo Bo Chi Dami Ebe Fe Ife Kem Nne Obi Olu Ose Tem Yem",
        "beka bisi dinma ke ma mide ola ra",
        "bi dele kan kwu mi seun te wale",
    ],
    [
        "Chinese and Vietnamese",
        "An Bai Cai Cao Cheng Deng Ding Dong Du Fan Fang Feng Gao Gu Guo Han He Hu Jiang Jin Kong Lai Lei Liang Luo Lu Ma Meng Pan Peng Qian Qin Ren Shen Shi Song Sun Tan Tang Tian Wu Xiao Xie Xu Xue Yang Yao Ye Yin Yu Yuan Zeng Zhao Zheng Zhou Zhu Zou Pham Phan Vu Dang Bui",
        "",
        "Ai Bao Bing Chun Da Fei Guo Hai Hong Hua Jia Jian Jing Ke Ling Ning Qing Rui Shu Si Tao Wen Xiao Xue Yi Yu Zhi",
        " fang hua jie juan lan li ling na ping ting xia yan yun zhen",
        " bin bo cheng feng gang guang hao jun long ming peng qiang wei yang",
    ],
    [
        "Arabic and Somali",
        "Abd Ahm Ali Bar Dah Dir Fay Gul Has Hus Jab Kam Khal Mah Mans Mus Naj Nur Qas Rah Sal Sam Shar Yus Zah",
        "a ad ah an ani i im in oud ullah ur",
        "Abd Am As Dal Fad Ham Hib Ib Is Kal Lam Mun Nad Raf Sab Sal Sum Waf Yas Zak",
        "a ah een ia ima ina iya na",
        "ad am an ar id il ir iq",
    ],
    [
        "Portuguese and Spanish",
        "Al Bar Cam Car Cos Esc Fer Gom Guer Her Lop Mach Mar Mend Mor Nav Nun Oliv Pach Per Ram Reb Rib Rod Sanch Sant Sous Tav Vaz Vel",
        "a ado ales ares eira ez es o os oza",
        "Ad Al Bru Car Cla Dan Fab Gab Hel Jul Leo Mar Mir Pat Raf Ric Rob San Ver",
        "a ana ela ia ina iana",
        "ano ardo el erto io o os",
    ],
];

/// Names with their shares, to draw from.
struct Pool {
    names: Vec<String>,
    /// Sum of the weights up to each name.
    sums: Vec<u64>,
}

impl Pool {
    fn new(common: &[&str], starts: &str, ends: &str) -> Self {
        let mut names: Vec<String> = common.iter().map(|name| (*name).to_owned()).collect();
        let mut rare = Vec::new();
        for start in starts.split_whitespace() {
            if ends.is_empty() || ends.starts_with(' ') {
                rare.push(start.to_owned());
            }
            rare.extend(ends.split_whitespace().map(|end| format!("{start}{end}")));
        }
        // A fixed order that does not follow the alphabet.
        rare.sort_by_key(|name| {
            name.bytes().fold(7_u64, |sum, b| Random::new(sum ^ u64::from(b)).next())
        });
        names.extend(rare);
        let mut sum = 0;
        let weight = |rank: usize| 1_000_000 / (rank as u64 + 12);
        let sums = (0..names.len()).map(|rank| {
            sum += weight(rank);
            sum
        });
        Self { sums: sums.collect(), names }
    }

    fn draw(&self, random: &mut Random) -> &str {
        let drawn = random.next() % self.sums.last().unwrap();
        &self.names[self.sums.partition_point(|sum| *sum <= drawn)]
    }
}

/// The people of a region and the culture of each.
#[derive(Debug)]
pub struct Region {
    /// The people.
    pub population: Population,
    /// Place in [`CULTURES`], for each of them.
    cultures: Vec<usize>,
}

impl Region {
    /// `n` people; the same seed gives the same.
    #[must_use]
    pub fn generate(seed: u64, n: usize) -> Self {
        let pools: Vec<[Pool; 3]> = CULTURES
            .iter()
            .zip(PARTS)
            .map(|(culture, [_, starts, ends, given, women, men])| {
                [
                    Pool::new(culture.families, starts, ends),
                    Pool::new(culture.women, given, women),
                    Pool::new(culture.men, given, men),
                ]
            })
            .collect();
        let mut population = Population::generate(seed, n);
        let mut random = Random::new(seed ^ 0x5eed);
        let mut cultures = Vec::with_capacity(n);
        let mut start = 0;
        while start < n {
            let household = population.people[start].household;
            let rest = &mut population.people[start..];
            let size = rest.iter().take_while(|person| person.household == household).count();
            let culture = draw_culture(&mut random);
            let [families, women, men] = &pools[culture];
            let shared = families.draw(&mut random).to_owned();
            let shared_before = rest[0].family.clone();
            let mut taken: Vec<String> = Vec::new();
            for person in &mut rest[..size] {
                let shares = person.family == shared_before || random.happens(700);
                let family = if shares { &shared } else { families.draw(&mut random) };
                person.family = gendered(family, person.sex);
                if person.former_family.is_some() {
                    person.former_family = Some(gendered(families.draw(&mut random), person.sex));
                }
                let pool = if person.sex == Sex::Female { women } else { men };
                person.given = loop {
                    let given = pool.draw(&mut random).to_owned();
                    if !taken.contains(&given) {
                        break given;
                    }
                };
                taken.push(person.given.clone());
            }
            cultures.extend(std::iter::repeat_n(culture, size));
            start += size;
        }
        Self { population, cultures }
    }

    /// Writes `right.csv` (all but those held out), `left.csv` (`n_queries` of those enrolled and as many of those held out),
    /// `truth.csv` and `groups.csv` into a folder; gives the number of people in `right.csv`.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(
        &self,
        folder: &Path,
        n_queries: usize,
        asking: &Noise,
        enrolled: &Noise,
    ) -> io::Result<usize> {
        std::fs::create_dir_all(folder)?;
        let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
        let (mut left, mut right) = (create("left.csv")?, create("right.csv")?);
        let (mut truth, mut groups) = (create("truth.csv")?, create("groups.csv")?);
        writeln!(left, "{CSV_HEADER}")?;
        writeln!(right, "{CSV_HEADER}")?;
        writeln!(truth, "left_id,right_id")?;
        writeln!(groups, "left_id,group")?;
        let (one, other): (AgencyId, AgencyId) = ("POL".parse().unwrap(), "CSC".parse().unwrap());
        let n = self.population.people.len();
        let mut random = Random::new(n as u64);
        let share = (n_queries * 1_000_000 / (n - n_queries).max(1)) as u64;
        let held_out = (n_queries * 1_100_000 / n) as u64;
        let (mut n_right, mut n_known, mut n_unknown) = (0, 0, 0);
        for place in 0..n {
            let is_held_out = random.next() % 1_000_000 < held_out;
            let is_asked = is_held_out || random.next() % 1_000_000 < share * 11 / 10;
            if !is_held_out {
                n_right += 1;
                self.row(&mut right, &other, place, enrolled)?;
            }
            let count = if is_held_out { &mut n_unknown } else { &mut n_known };
            if is_asked && *count < n_queries {
                *count += 1;
                self.row(&mut left, &one, place, asking)?;
                writeln!(groups, "{place},{}", PARTS[self.cultures[place]][0])?;
                if !is_held_out {
                    writeln!(truth, "{place},{place}")?;
                }
            }
        }
        for file in [&mut left, &mut right, &mut truth, &mut groups] {
            file.flush()?;
        }
        Ok(n_right)
    }

    fn row(
        &self,
        out: &mut impl Write,
        agency: &AgencyId,
        place: usize,
        noise: &Noise,
    ) -> io::Result<()> {
        let recorded = self.population.recorded(agency, place, noise);
        let fields = recorded.fields().map(|field| quoted(&field)).join(",");
        writeln!(out, "person,{place},{fields}")
    }
}

fn draw_culture(random: &mut Random) -> usize {
    let mut drawn = random.next() % 1000;
    for (place, culture) in CULTURES.iter().enumerate() {
        if drawn < culture.per_mille {
            return place;
        }
        drawn -= culture.per_mille;
    }
    0
}
