//! Serde's rules for `rename_all`, as it applies them to the fields of a struct.

/// A value of `#[serde(rename_all = "..")]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenameRule {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl RenameRule {
    /// Returns the rule that serde knows by this name.
    pub(crate) fn parse(name: &str) -> Option<RenameRule> {
        Some(match name {
            "lowercase" => RenameRule::Lower,
            "UPPERCASE" => RenameRule::Upper,
            "PascalCase" => RenameRule::Pascal,
            "camelCase" => RenameRule::Camel,
            "snake_case" => RenameRule::Snake,
            "SCREAMING_SNAKE_CASE" => RenameRule::ScreamingSnake,
            "kebab-case" => RenameRule::Kebab,
            "SCREAMING-KEBAB-CASE" => RenameRule::ScreamingKebab,
            _ => return None,
        })
    }

    /// The name of a field under this rule. Serde assumes that a field's name is in snake case already, so it changes
    /// only ASCII letters and underscores, and two of the rules change nothing.
    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            RenameRule::Lower | RenameRule::Snake => field.to_owned(),
            RenameRule::Upper | RenameRule::ScreamingSnake => field.to_ascii_uppercase(),
            RenameRule::Kebab => field.replace('_', "-"),
            RenameRule::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
            RenameRule::Pascal => pascal(field),
            RenameRule::Camel => {
                let mut name = pascal(field);
                if let Some(first) = name.get_mut(..1) {
                    first.make_ascii_lowercase();
                }
                name
            }
        }
    }
}

fn pascal(field: &str) -> String {
    let mut name = String::with_capacity(field.len());
    let mut word_starts = true;
    for letter in field.chars() {
        if letter == '_' {
            word_starts = true;
        } else {
            name.push(if word_starts { letter.to_ascii_uppercase() } else { letter });
            word_starts = false;
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies every rule to fields that distinguish the rules. `tests/derive` compares the same rules with serde
    /// itself.
    #[test]
    fn applies_every_rule_to_fields() {
        let fields = ["outcome", "very_tasty", "a", "z42", "is_2d", "_private", "trailing_", "double__under", "größe"];
        let table = [
            ("lowercase", fields),
            ("snake_case", fields),
            (
                "UPPERCASE",
                ["OUTCOME", "VERY_TASTY", "A", "Z42", "IS_2D", "_PRIVATE", "TRAILING_", "DOUBLE__UNDER", "GRößE"],
            ),
            (
                "SCREAMING_SNAKE_CASE",
                ["OUTCOME", "VERY_TASTY", "A", "Z42", "IS_2D", "_PRIVATE", "TRAILING_", "DOUBLE__UNDER", "GRößE"],
            ),
            ("PascalCase", ["Outcome", "VeryTasty", "A", "Z42", "Is2d", "Private", "Trailing", "DoubleUnder", "Größe"]),
            ("camelCase", ["outcome", "veryTasty", "a", "z42", "is2d", "private", "trailing", "doubleUnder", "größe"]),
            (
                "kebab-case",
                ["outcome", "very-tasty", "a", "z42", "is-2d", "-private", "trailing-", "double--under", "größe"],
            ),
            (
                "SCREAMING-KEBAB-CASE",
                ["OUTCOME", "VERY-TASTY", "A", "Z42", "IS-2D", "-PRIVATE", "TRAILING-", "DOUBLE--UNDER", "GRößE"],
            ),
        ];
        for (rule, expected) in table {
            let rule = RenameRule::parse(rule).unwrap();
            assert_eq!(fields.map(|field| rule.apply(field)), expected, "{rule:?}");
        }
    }

    #[test]
    fn odd_names_do_not_panic() {
        assert_eq!(RenameRule::Camel.apply("_"), "");
        assert_eq!(RenameRule::Camel.apply("éclair_au_chocolat"), "éclairAuChocolat");
    }

    #[test]
    fn knows_no_other_rule() {
        assert_eq!(RenameRule::parse("Title Case"), None);
    }
}
