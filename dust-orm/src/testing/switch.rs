//! A transport whose connection a test can cut.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use dust_protocol::{Fence, FileUpload, Op};

use crate::error::DustErr;
use crate::transport::{EmbeddedTransport, Receipt, Transport};

/// The embedded store. While it is offline it can be read only, as the mirror of a client without a connection.
#[derive(Debug)]
pub(super) struct Switch {
    inner: EmbeddedTransport,
    is_offline: AtomicBool,
}

impl Switch {
    pub(super) fn new(inner: EmbeddedTransport) -> Switch {
        Switch { inner, is_offline: AtomicBool::new(false) }
    }

    pub(super) fn set_offline(&self, is_offline: bool) {
        self.is_offline.store(is_offline, Ordering::SeqCst);
    }

    fn connected(&self, what: &str) -> Result<&EmbeddedTransport, DustErr> {
        if self.is_offline.load(Ordering::SeqCst) {
            return Err(DustErr::network(format!("{what} was not sent: there is no connection")));
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Transport for Switch {
    crate::delegate_transport!(self => self.inner, except [write, put_file, fetch_file]);

    async fn write(&self, ops: Vec<Op>, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        let what = match ops.as_slice() {
            [op] => format!("{} of `{}`", op.kind().name(), op.path),
            _ => "a batch".to_owned(),
        };
        self.connected(&what)?.write(ops, fence).await
    }

    async fn put_file(&self, file: FileUpload, fence: Option<Fence>) -> Result<Receipt, DustErr> {
        self.connected(&format!("put_file of `{}`", file.path))?.put_file(file, fence).await
    }

    async fn fetch_file(&self, hash: &str) -> Result<Vec<u8>, DustErr> {
        self.connected("fetch_file")?.fetch_file(hash).await
    }
}
