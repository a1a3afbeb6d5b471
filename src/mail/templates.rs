//! The layout of letters, and their words in each language: files below `templates/`,
//! which are part of the program.

use minijinja::{Environment, Error, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};
use serde::{Deserialize, Serialize};

use super::language::Language;
use crate::domain::LetterKind;

const HTML: &str = "letter.html";
const TEXT: &str = "letter.txt";

/// The words of one language. Those of a letter are templates themselves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    pub greeting: String,
    pub greeting_of_nobody: String,
    pub closing: String,
    tickets: LetterWords,
    cancelled: LetterWords,
    refunded: LetterWords,
    /// What stands beside a value.
    pub labels: Labels,
}

/// What a letter of one kind says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterWords {
    pub subject: String,
    pub intro: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    when: String,
    venue: String,
    order: String,
    total: String,
    ticket: String,
    section: String,
    row: String,
    seat: String,
    area: String,
    price: String,
}

impl Words {
    pub fn of(&self, kind: LetterKind) -> &LetterWords {
        match kind {
            LetterKind::Tickets => &self.tickets,
            LetterKind::Cancelled => &self.cancelled,
            LetterKind::Refunded => &self.refunded,
        }
    }
}

/// All of them, read once.
pub struct Templates {
    engine: Environment<'static>,
    words: [(Language, Words); 3],
}

impl Templates {
    pub fn new() -> Self {
        let mut engine = Environment::new();
        // What is named `.html` escapes all that is put into it, by itself.
        engine.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        engine.set_syntax(syntax.expect("only blanks are treated otherwise"));
        let layouts = [
            (HTML, include_str!("../../templates/mail/letter.html")),
            (TEXT, include_str!("../../templates/mail/letter.txt")),
        ];
        for (name, layout) in layouts {
            engine.add_template(name, layout).expect("a test renders our own layouts");
        }
        let words = Language::ALL.map(|language| {
            let words = match language {
                Language::English => include_str!("../../templates/mail/en.toml"),
                Language::Vietnamese => include_str!("../../templates/mail/vi.toml"),
                Language::Korean => include_str!("../../templates/mail/ko.toml"),
            };
            (language, toml::from_str(words).expect("a test reads our own words"))
        });
        Self { engine, words }
    }

    pub fn words(&self, language: Language) -> &Words {
        let found = self.words.iter().find(|(known, _)| *known == language);
        &found.expect("there are words for every language").1
    }

    /// A short text with values in it; nothing is escaped.
    pub fn line(&self, text: &str, values: impl Serialize) -> Result<String, Error> {
        self.engine.render_named_str("line.txt", text, Serde(values))
    }

    pub fn html(&self, values: impl Serialize) -> Result<String, Error> {
        self.engine.get_template(HTML)?.render(Serde(values))
    }

    pub fn text(&self, values: impl Serialize) -> Result<String, Error> {
        self.engine.get_template(TEXT)?.render(Serde(values))
    }
}
