//! Pages of a collection's records.
use crate::collection::Collection;
use crate::engine::{Id, Space, after, key};
use crate::store::{Head, Store};
use crate::{Cursor, Error, ListOptions, PAGE_LEN_MAX, Page};

const LIMIT_DEFAULT: usize = 100;
/// Most records that one filtered page looks at.
const SCAN_MAX: usize = 10_000;

impl Store {
    pub(crate) fn list(&self, collection: &Collection, options: &ListOptions) -> Result<Page, Error> {
        let limit = match options.limit {
            0 => LIMIT_DEFAULT,
            limit => limit.min(PAGE_LEN_MAX),
        };
        let filter = options.template_type.map_or(0, |template_type| template_type as u8);
        let start = match &options.cursor {
            None => collection.id.to_vec(),
            Some(cursor) => {
                let record: Id = cursor.0[..16].try_into().expect("half of 32 bytes");
                if self.cursor(collection, &record, filter) != *cursor {
                    return Err(Error::Cursor);
                }
                match after(&key::record(&collection.id, &record)) {
                    Some(start) if start.starts_with(&collection.id) => start,
                    _ => return Ok(Page { records: Vec::new(), damaged: 0, next: None }),
                }
            }
        };
        let now_ms = self.time.now_ms();
        let (mut records, mut damaged) = (Vec::new(), 0);
        let mut rows = self.engine.rows(Space::Records, &collection.id, &start);
        let mut last = None;
        for looked_at in 0.. {
            if records.len() == limit || looked_at == SCAN_MAX {
                break;
            }
            let Some(row) = rows.next() else {
                return Ok(Page { records, damaged, next: None });
            };
            let (row, value) = row?;
            let (Some((_, record)), Some(head)) = (key::read_record(&row), Head::read(value)) else {
                continue;
            };
            last = Some(record);
            let opened = match self.open_scanned(&collection.id, &record, head.version, head.sealed()) {
                Ok(Some(opened)) => opened,
                Ok(None) => continue,
                Err(Error::Damaged { .. }) => {
                    damaged += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let plain = opened.plain();
            if plain.expired(now_ms) || (filter != 0 && !plain.is_template()) {
                continue;
            }
            let Ok(info) = plain.info(opened.version) else {
                self.damaged(
                    &collection.id,
                    &record,
                    opened.version,
                    "it opens and is not a record of this version",
                );
                damaged += 1;
                continue;
            };
            let listed =
                |(metadata, _): &(terachat_template::Metadata, _)| metadata.template_type as u8 == filter;
            if filter == 0 || info.template.as_ref().is_some_and(listed) {
                records.push(info);
            }
        }
        Ok(Page { records, damaged, next: last.map(|record| self.cursor(collection, &record, filter)) })
    }

    fn cursor(&self, collection: &Collection, record: &Id, filter: u8) -> Cursor {
        let mark = self.keyring().blind(b"cursor", &[&collection.id[..], record, &[filter]].concat());
        let mut cursor = [0; 32];
        cursor[..16].copy_from_slice(record);
        cursor[16..].copy_from_slice(&mark);
        Cursor(cursor)
    }
}
