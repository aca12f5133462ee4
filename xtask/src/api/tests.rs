use super::*;

/// The snapshot of a library with these files, without its first line.
fn items(name: &str, files: &[(&str, &str)]) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("xtask-api-{name}-{}", std::process::id()));
    for (path, text) in files {
        let file = folder.join("src").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let snapshot = snapshot(&folder).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    snapshot.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn public_items_are_listed_and_others_are_not() {
    let source = "
        pub const A: usize = 1;
        pub struct B<T> { pub c: Vec<T>, d: u8 }
        impl<T> B<T> { pub fn e(&self, f: &str) -> Option<&T> { None } fn g() {} pub(crate) fn h() {} }
        #[non_exhaustive] pub enum I { J(u8), K { l: u8 } }
        pub trait M: Send { type N; fn o(&self); }
        pub async fn p() {}
        fn q() {}
        struct R; impl R { pub fn s() {} }
        #[doc(hidden)] pub fn t() {}
        #[cfg(test)] pub fn u() {}
    ";
    assert_eq!(
        items("kinds", &[("lib.rs", source)]),
        [
            "const A: usize",
            "struct B<T>",
            "field B::c: Vec<T>",
            "method B::e(&self, f: &str) -> Option<&T>",
            "enum I non_exhaustive",
            "variant I::J(u8)",
            "variant I::K",
            "field I::K::l: u8",
            "trait M: Send",
            "type M::N: ",
            "method M::o(&self)",
            "fn p() async",
        ]
    );
}

#[test]
fn re_exported_item_of_a_private_module_stands_at_its_public_path() {
    let files = [
        ("lib.rs", "mod a; pub mod c; pub use a::B; pub use a::B as D; pub use other::E; pub use c::*;"),
        ("a.rs", "pub struct B; pub struct Unseen;"),
        ("c/mod.rs", "mod f; pub use f::{G, g}; use super::a::B; impl B { pub fn h(&self) {} }"),
        ("c/f.rs", "pub struct G; pub fn g() {}"),
    ];
    assert_eq!(
        items("uses", &files),
        [
            "struct B",
            "method B::h(&self)",
            "use D = B",
            "use E = other::E",
            "use G = c::G",
            "mod c",
            "struct c::G",
            "fn c::g()",
            "use g = c::g",
        ]
    );
}

#[test]
fn item_that_submodule_exports_again_stands_where_it_is_defined() {
    let files = [
        ("lib.rs", "pub mod prelude; pub struct A; pub trait B { fn c(); }"),
        ("prelude.rs", "pub use super::{A, B};"),
    ];
    assert_eq!(
        items("submodule", &files),
        ["struct A", "trait B", "method B::c()", "mod prelude", "use prelude::A = A", "use prelude::B = B"]
    );
}

#[test]
fn item_that_earlier_module_exports_again_is_counted_once() {
    let files = [
        ("lib.rs", "pub mod prelude; pub mod repo;"),
        ("prelude.rs", "pub use crate::repo::A;"),
        ("repo.rs", "pub struct A;"),
    ];
    assert_eq!(items("earlier", &files), ["mod prelude", "use prelude::A = repo::A", "mod repo", "struct repo::A"]);
}

#[test]
fn types_of_one_name_keep_their_own_methods() {
    let files = [
        ("lib.rs", "pub mod a; pub mod b;"),
        ("a.rs", "pub struct S; impl S { pub fn a() {} }"),
        ("b.rs", "pub struct S; impl S { pub fn b() {} }"),
    ];
    let methods: Vec<_> = items("names", &files).into_iter().filter(|line| line.starts_with("method")).collect();
    assert_eq!(methods, ["method a::S::a()", "method b::S::b()"]);
}

#[test]
fn public_methods_of_macros_are_listed_by_the_macro() {
    let source = "macro_rules! options { ($t:ty) => { impl $t { pub fn fence(self) {} fn hidden(self) {} } } }";
    assert_eq!(items("macros", &[("lib.rs", source)]), ["method options!::fence"]);
}

#[test]
fn circle_of_imports_ends() {
    let source = "pub mod a { pub use super::b::C; } pub mod b { pub use super::a::C; }";
    assert_eq!(items("circle", &[("lib.rs", source)]).len(), 4);
}

#[test]
fn difference_names_what_is_gone_and_what_is_new() {
    assert_eq!(difference("a\nb\n", "b\nc\n"), ["- a", "+ c"]);
    assert!(difference("a\n", "a\n").is_empty());
}
