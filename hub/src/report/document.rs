//! A document as data: sections of text, facts, lists, tables, and places for what only people can write. How it looks is for the
//! renderers.

use super::count::FigureId;

/// A document.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// Which document: `dpia`, `article_30`, `policy`, `nfa_audit`, `performance` or `re_audit`.
    pub kind: &'static str,
    /// Its title.
    pub title: String,
    /// Whether it may be given to others: small figures are withheld.
    pub shared: bool,
    /// What it is made from: terms and what they are.
    pub facts: Vec<(String, String)>,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Its name within the document, for links and scripts.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What stands in it.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Something nobody may overlook.
    Warning(String),
    /// A list.
    List(Vec<String>),
    /// Terms, and what they are.
    Facts(Vec<(String, String)>),
    /// What only people can write: the program leaves the place, and says what belongs there.
    Slot {
        /// Its name within the document.
        id: String,
        /// What belongs there.
        asks: String,
    },
    /// A table.
    Table(Table),
    /// A picture of figures that stand in a table, too.
    Chart(Chart),
}

/// Bars, one below the other; where there are several series, these side by side.
#[derive(Debug, Clone)]
pub struct Chart {
    /// The table that has the numbers.
    pub table: String,
    /// What it shows.
    pub title: String,
    /// The names of its series.
    pub series: Vec<String>,
    /// Its bars.
    pub bars: Vec<Bar>,
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is about.
    pub label: String,
    /// A figure for each series.
    pub values: Vec<Cell>,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name within the document.
    pub id: String,
    /// Its caption.
    pub caption: String,
    /// The headings of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// What its figures mean; empty when it has none.
    pub note: String,
}

/// A row of a table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The figures that stand in it; none when it is made from the agreement or from texts.
    pub figures: Vec<FigureId>,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Text.
    Text(String),
    /// A count.
    Count(usize),
    /// A figure that is withheld.
    Withheld,
    /// Nothing to say: there is nothing of which it could be said.
    Nothing,
}

impl Chart {
    /// The greatest figure that is shown, by which bars are drawn; what is withheld does not show in their lengths.
    #[must_use]
    pub fn greatest(&self) -> usize {
        let values = self.bars.iter().flat_map(|bar| &bar.values);
        let shown = values.filter_map(|value| match value {
            Cell::Count(n) => Some(*n),
            Cell::Text(_) | Cell::Withheld | Cell::Nothing => None,
        });
        shown.max().unwrap_or(0)
    }
}

impl Cell {
    /// In words; what is withheld says so.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Withheld => "withheld".to_owned(),
            Self::Nothing => "–".to_owned(),
        }
    }

    /// Whether it is a number, or one that is withheld.
    #[must_use]
    pub const fn is_figure(&self) -> bool {
        match self {
            Self::Count(_) | Self::Withheld => true,
            Self::Text(_) | Self::Nothing => false,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Section {
    /// A section without content.
    #[must_use]
    pub fn new(id: &str, title: &str) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), blocks: Vec::new() }
    }

    /// With a paragraph.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// With a list.
    #[must_use]
    pub fn list(mut self, items: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.blocks.push(Block::List(items.into_iter().map(Into::into).collect()));
        self
    }

    /// With a place for what people write, named within the section.
    #[must_use]
    pub fn slot(mut self, id: &str, asks: &str) -> Self {
        let id = format!("{}-{id}", self.id);
        self.blocks.push(Block::Slot { id, asks: asks.to_owned() });
        self
    }

    /// With a table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.blocks.push(Block::Table(table));
        self
    }

    /// With a table, and a picture of some of its columns where it has any row.
    #[must_use]
    pub fn charted(mut self, table: Table, title: &str, columns: &[usize]) -> Self {
        let chart = table.chart(title, columns);
        self.blocks.push(Block::Table(table));
        if !chart.bars.is_empty() {
            self.blocks.push(Block::Chart(chart));
        }
        self
    }

    /// With any block.
    #[must_use]
    pub fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

impl Table {
    /// A picture of columns with figures, by the rows' first cells. What the table withholds, it withholds.
    fn chart(&self, title: &str, columns: &[usize]) -> Chart {
        let bar = |row: &Row| {
            let values = columns.iter().filter_map(|column| row.cells.get(*column).cloned());
            Bar {
                label: row.cells.first().map(Cell::text).unwrap_or_default(),
                values: values.collect(),
            }
        };
        Chart {
            table: self.id.clone(),
            title: title.to_owned(),
            series: columns.iter().filter_map(|n| self.columns.get(*n).cloned()).collect(),
            bars: self.rows.iter().map(bar).collect(),
        }
    }

    /// A table of texts.
    #[must_use]
    pub fn texts<const N: usize>(
        id: &str,
        caption: &str,
        columns: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Self {
        let row = |cells: [String; N]| Row {
            figures: Vec::new(),
            cells: cells.into_iter().map(Cell::Text).collect(),
        };
        Self {
            id: id.to_owned(),
            caption: caption.to_owned(),
            columns: columns.map(str::to_owned).to_vec(),
            rows: rows.into_iter().map(row).collect(),
            note: String::new(),
        }
    }
}
