//! The methods of a transport that wraps another one.

/// Implements methods of [`Transport`](crate::Transport) by calls of the same methods of another transport.
///
/// Is written inside of `#[async_trait] impl Transport for …`, beside the methods that the wrapper writes itself:
///
/// ```
/// # use dust_orm::protocol::{Fence, Op};
/// # use dust_orm::transport::{EmbeddedTransport, Receipt};
/// # use dust_orm::{DustErr, DustRepo, Transport, store::Store, tests_cfg::link};
/// # use std::sync::Arc;
/// #[derive(Debug)]
/// struct ReadOnly(EmbeddedTransport);
///
/// #[async_trait::async_trait]
/// impl Transport for ReadOnly {
///     dust_orm::delegate_transport!(self => self.0, except [write, put_file]);
///
///     async fn write(&self, _: Vec<Op>, _: Option<Fence>) -> Result<Receipt, DustErr> {
///         Err(DustErr::unauthorized("this repo is read-only", None))
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), DustErr> {
/// let repo = DustRepo::with_transport(Arc::new(ReadOnly(EmbeddedTransport::new(Store::in_memory()?))));
/// assert!(repo.all::<link::Entity>().await?.is_empty());
/// assert!(repo.delete_by_id::<link::Entity>("dust").await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// - `except [..]` delegates every method but those in the brackets. A method that is neither delegated nor written has
///   its default.
/// - `only [..]` delegates the methods in the brackets.
///
/// `for_call` and `for_subscription` are never delegated: they return another transport, which would replace the
/// wrapper. Nor is `requests`, which belongs to `for_call`.
#[doc(hidden)]
#[macro_export]
macro_rules! delegate_transport {
    ($self:ident => $inner:expr, only [$($method:ident),*]) => {
        $($crate::delegate_transport!(@$method [] $self $inner);)*
    };
    ($self:ident => $inner:expr, except $own:tt) => {
        $crate::delegate_transport!(@name $own $self $inner);
        $crate::delegate_transport!(@capabilities $own $self $inner);
        $crate::delegate_transport!(@list $own $self $inner);
        $crate::delegate_transport!(@list_leaves $own $self $inner);
        $crate::delegate_transport!(@list_subtree $own $self $inner);
        $crate::delegate_transport!(@try_list_subtree $own $self $inner);
        $crate::delegate_transport!(@get $own $self $inner);
        $crate::delegate_transport!(@get_many $own $self $inner);
        $crate::delegate_transport!(@exists $own $self $inner);
        $crate::delegate_transport!(@write $own $self $inner);
        $crate::delegate_transport!(@put_file $own $self $inner);
        $crate::delegate_transport!(@fetch_file $own $self $inner);
        $crate::delegate_transport!(@op_hub $own $self $inner);
        $crate::delegate_transport!(@is_own $own $self $inner);
    };

    // A method that is first in the brackets is skipped; otherwise the rest of the brackets is searched.
    (@name [name $($rest:tt)*] $self:ident $inner:expr) => {};
    (@capabilities [capabilities $($rest:tt)*] $self:ident $inner:expr) => {};
    (@list [list $($rest:tt)*] $self:ident $inner:expr) => {};
    (@list_leaves [list_leaves $($rest:tt)*] $self:ident $inner:expr) => {};
    (@list_subtree [list_subtree $($rest:tt)*] $self:ident $inner:expr) => {};
    (@try_list_subtree [try_list_subtree $($rest:tt)*] $self:ident $inner:expr) => {};
    (@get [get $($rest:tt)*] $self:ident $inner:expr) => {};
    (@get_many [get_many $($rest:tt)*] $self:ident $inner:expr) => {};
    (@exists [exists $($rest:tt)*] $self:ident $inner:expr) => {};
    (@write [write $($rest:tt)*] $self:ident $inner:expr) => {};
    (@put_file [put_file $($rest:tt)*] $self:ident $inner:expr) => {};
    (@fetch_file [fetch_file $($rest:tt)*] $self:ident $inner:expr) => {};
    (@op_hub [op_hub $($rest:tt)*] $self:ident $inner:expr) => {};
    (@is_own [is_own $($rest:tt)*] $self:ident $inner:expr) => {};
    (@$method:ident [$other:ident $(, $rest:ident)*] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@$method [$($rest),*] $self $inner);
    };

    (@name [] $self:ident $inner:expr) => {
        fn name(&$self) -> &'static str {
            $inner.name()
        }
    };
    (@capabilities [] $self:ident $inner:expr) => {
        fn capabilities(&$self) -> $crate::Capabilities {
            $inner.capabilities()
        }
    };
    (@try_list_subtree [] $self:ident $inner:expr) => {
        fn try_list_subtree(
            &$self,
            path: &$crate::protocol::Path,
            after: ::std::option::Option<&str>,
        ) -> ::std::option::Option<$crate::protocol::LeafPage> {
            $inner.try_list_subtree(path, after)
        }
    };
    (@is_own [] $self:ident $inner:expr) => {
        fn is_own(&$self, op: &$crate::protocol::CommittedOp) -> bool {
            $inner.is_own(op)
        }
    };
    (@list [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, list<'b>(
            request: &'b $crate::protocol::ListRequest
        ) -> $crate::protocol::Page);
    };
    (@list_leaves [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, list_leaves<'b>(
            request: &'b $crate::protocol::ListRequest
        ) -> $crate::protocol::LeafPage);
    };
    (@list_subtree [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, list_subtree<'b, 'c>(
            path: &'b $crate::protocol::Path, after: ::std::option::Option<&'c str>
        ) -> $crate::protocol::LeafPage);
    };
    (@get [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, get<'b>(
            path: &'b $crate::protocol::Path
        ) -> ::std::option::Option<$crate::protocol::Entry>);
    };
    (@get_many [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, get_many<'b>(
            paths: &'b [$crate::protocol::Path]
        ) -> ::std::vec::Vec<::std::option::Option<$crate::protocol::Entry>>);
    };
    (@exists [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, exists<'b>(path: &'b $crate::protocol::Path) -> bool);
    };
    (@write [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, write<>(
            ops: ::std::vec::Vec<$crate::protocol::Op>, fence: ::std::option::Option<$crate::protocol::Fence>
        ) -> $crate::transport::Receipt);
    };
    (@put_file [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, put_file<>(
            file: $crate::protocol::FileUpload, fence: ::std::option::Option<$crate::protocol::Fence>
        ) -> $crate::transport::Receipt);
    };
    (@fetch_file [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, fetch_file<'b>(hash: &'b str) -> ::std::vec::Vec<u8>);
    };
    (@op_hub [] $self:ident $inner:expr) => {
        $crate::delegate_transport!(@async $self $inner, op_hub<>() -> ::std::sync::Arc<$crate::transport::Hub>);
    };

    // The signature that `async_trait` makes of an async method: the attribute does not see what a macro writes.
    (
        @async $self:ident $inner:expr,
        $method:ident<$($life:lifetime),*>($($argument:ident: $type:ty),*) -> $output:ty
    ) => {
        fn $method<'a, $($life,)* 'async_trait>(
            &'a $self,
            $($argument: $type),*
        ) -> ::std::pin::Pin<::std::boxed::Box<
            dyn ::std::future::Future<Output = ::std::result::Result<$output, $crate::DustErr>>
                + ::std::marker::Send
                + 'async_trait,
        >>
        where
            'a: 'async_trait,
            $($life: 'async_trait,)*
            Self: 'async_trait,
        {
            ::std::boxed::Box::pin(async move { $inner.$method($($argument),*).await })
        }
    };
}
