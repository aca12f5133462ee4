//! Keys that are not strings, and a prefix of odd segments.

macro_rules! keyed {
    ($module:ident, $key:ty, prefix $prefix:tt $($item:item)*) => {
        pub mod $module {
            use dust_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, DeriveDustEntity, Serialize, Deserialize)]
            #[sea_orm(table_name = "keyed")]
            #[dust(prefix $prefix)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: $key,
                pub label: String,
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            pub fn labelled(id: $key, label: &str) -> ActiveModel {
                ActiveModel { id: Set(id), label: Set(label.to_owned()) }
            }

            $($item)*
        }
    };
}

keyed!(numbered, i64, prefix("by-number"));
keyed!(identified, Uuid, prefix("by-uuid"));
keyed!(odd, String, prefix("odd", "*", "a/b~c", "**", "d e.f"));
keyed!(coded, Code, prefix("by-code")
    #[derive(Clone, Debug, PartialEq, Eq, DeriveValueType, Serialize, Deserialize)]
    pub struct Code(pub String);

    impl sea_orm::TryFromU64 for Code {
        fn try_from_u64(_: u64) -> Result<Code, DbErr> {
            Err(DbErr::ConvertFromU64("Code"))
        }
    }

    impl std::fmt::Display for Code {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "code:{}", self.0)
        }
    }

    impl std::str::FromStr for Code {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Code, &'static str> {
            text.strip_prefix("code:").map(|code| Code(code.to_owned())).ok_or("a code begins with `code:`")
        }
    }
);
