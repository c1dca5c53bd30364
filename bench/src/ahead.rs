//! The newest page for a device that has nothing of a channel, ahead of its past.
use crate::measure::{percentile, time};
use crate::sender::{all_bundles, empty_store, epoch_secret};
use crate::talk::Speakers;
use anyhow::{Context, Result, ensure};
use terachat_core_store::LocalStore;
use terachat_core_store::query::PageStart;
use terachat_core_store::store::Taken;
use terachat_core_store::store::storage::MemoryStorage;
use terachat_core_store::sync::{Bundle, Limits, NewestPage, Want};
use terachat_event::LogId;

/// What it takes: medians of CPU time in microseconds, and bytes.
pub(crate) struct Ahead {
    /// The peer makes it.
    pub(crate) make: f64,
    /// The device judges it and shows its newest messages.
    pub(crate) show: f64,
    /// On the wire.
    pub(crate) bytes: f64,
}

/// Asks for the newest `messages`, as often as that.
///
/// # Errors
/// The store's; a page that is not what the peer has.
pub(crate) fn ahead(speakers: &mut Speakers, messages: u16, times: usize) -> Result<Ahead> {
    let log = speakers.log;
    let control = all_bundles(&mut speakers.store, LogId::control(log.space), Limits::PEER)?;
    let mut device = empty_store(Box::new(MemoryStorage::new()), 6)?;
    let record = LocalStore::epoch_secret_record(&log.space, &speakers.key.commit, &epoch_secret());
    device.write_records(vec![record])?;
    for bytes in &control {
        crate::catchup::apply(&mut device, &Bundle::decode(bytes, Limits::PEER)?)?;
    }
    let (want, len) = (Want::First { messages }, usize::from(messages));
    let (mut make, mut show, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..times {
        let (page, took) = time(|| speakers.store.newest(&log, &want));
        let page = page?.context("there is no page")?.encode();
        make.push(took.cpu * 1e6);
        bytes = page.len();
        let (shown, took) = time(|| {
            let taken = device.take_newest(&want, NewestPage::decode(&page)?, true)?;
            ensure!(matches!(taken, Taken::Read(_)), "the page was not taken: {taken:?}");
            Ok(device.preview_page(&log, PageStart::Newest, len)?)
        });
        show.push(took.cpu * 1e6);
        let names = |page: Vec<terachat_core_store::query::MessageView>| -> Vec<_> {
            page.into_iter().map(|message| (message.event, message.body)).collect()
        };
        let whole = speakers.store.page(&log, PageStart::Newest, len)?;
        ensure!(names(shown?) == names(whole), "the newest are others");
        device.drop_preview(&log)?;
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        percentile(&values, 0.5)
    };
    Ok(Ahead { make: median(make), show: median(show), bytes: bytes as f64 })
}
