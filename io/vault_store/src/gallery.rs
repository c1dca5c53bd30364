//! Templates in memory to be searched (1:N): loaded when they are first asked for, then kept up with what is written.
use crate::collection::Collection;
use crate::engine::{Id, Space, key};
use crate::store::{Opened, Store};
use crate::{Error, Match};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use terachat_template::{Body, Candidate, Gallery, Probe, Template, TemplateId, TemplateType, Threshold};

/// So often a search is tried again because a candidate was changed under it, before writers are made to wait.
const ATTEMPTS: usize = 8;

type Name = (Id, TemplateType, usize);

#[derive(Default)]
pub(crate) struct Galleries(RwLock<BTreeMap<Id, OfCollection>>);

/// One collection's galleries, by type and dimension.
type OfCollection = HashMap<(TemplateType, usize), Arc<Loaded>>;

#[derive(Default)]
struct Loaded {
    gallery: RwLock<Option<Gallery>>,
    /// Records that were changed since they were last looked at.
    changed: Mutex<HashSet<Id>>,
}

/// Why a search has to be done again, or ends.
enum Failed {
    /// This record is not any more what the gallery has of it.
    Stale(Id),
    Template(terachat_template::Error),
    Store(Error),
}

impl From<terachat_template::Error> for Failed {
    fn from(error: terachat_template::Error) -> Self {
        match error {
            terachat_template::Error::Stale(id) => Self::Stale(id.0),
            other => Self::Template(other),
        }
    }
}

impl Loaded {
    fn changed(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Galleries {
    /// A record's newest version is another now, or gone.
    pub(crate) fn touch(&self, collection: &Id, record: &Id) {
        let galleries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(loaded) = galleries.get(collection) else { return };
        for loaded in loaded.values() {
            loaded.changed().insert(*record);
        }
    }

    /// Forgets a collection's templates.
    pub(crate) fn forget(&self, collection: &Id) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(collection);
    }

    pub(crate) fn len(&self) -> u64 {
        let galleries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let len = |loaded: &Arc<Loaded>| {
            loaded.gallery.try_read().ok().and_then(|gallery| gallery.as_ref().map(Gallery::len)).unwrap_or(0)
                as u64
        };
        galleries.values().flat_map(HashMap::values).map(len).sum()
    }

    fn get(&self, (collection, template_type, dimension): Name) -> Arc<Loaded> {
        let name = (template_type, dimension);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = known.get(&collection).and_then(|loaded| loaded.get(&name)) {
            return loaded.clone();
        }
        drop(known);
        let mut galleries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        galleries.entry(collection).or_default().entry(name).or_default().clone()
    }
}

impl Store {
    /// The templates most like the probe.
    pub(crate) fn identify(
        &self,
        collection: &Collection,
        probe: &Probe,
        threshold: Threshold,
        count: usize,
    ) -> Result<Vec<Match>, Error> {
        let Body::Vector(vector) = probe.body() else {
            return Err(terachat_template::Error::Unsupported(probe.body().kind()).into());
        };
        if !collection.exists {
            // The limits are checked as for any other.
            let empty = Gallery::new(probe.template_type(), vector.dimension())?;
            let none = |id| Err(terachat_template::Error::Stale(id));
            return Ok(empty.identify(probe, count, threshold, none).map(|_| Vec::new())?);
        }
        let loaded = self.galleries.get((collection.id, probe.template_type(), vector.dimension()));
        self.load(collection, &loaded, probe.template_type(), vector.dimension())?;
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.search(collection, &loaded, probe, threshold, count)? {
                return Ok(found);
            }
        }
        loop {
            // With the writer held nothing changes any more but by expiry, which leaves each record once.
            let _still = self.writer();
            if let Some(found) = self.search(collection, &loaded, probe, threshold, count)? {
                return Ok(found);
            }
        }
    }

    /// One search; `None` when a candidate changed meanwhile.
    fn search(
        &self,
        collection: &Collection,
        loaded: &Loaded,
        probe: &Probe,
        threshold: Threshold,
        count: usize,
    ) -> Result<Option<Vec<Match>>, Error> {
        self.catch_up(collection, loaded)?;
        let now_ms = self.time.now_ms();
        let mut known: HashMap<TemplateId, (String, u64)> = HashMap::new();
        let exact = |id: TemplateId| -> Result<Template, Failed> {
            let opened = self.open_newest(&collection.id, &id.0).map_err(Failed::Store)?;
            let opened = opened.ok_or(Failed::Stale(id.0))?;
            let template = live_template(&opened, now_ms).ok_or(Failed::Stale(id.0))?;
            known.insert(id, (opened.plain().id.to_owned(), opened.version));
            Ok(template)
        };
        let found = {
            let gallery = loaded.gallery.read().unwrap_or_else(PoisonError::into_inner);
            let Some(gallery) = gallery.as_ref() else { return Ok(None) };
            gallery.identify(probe, count, threshold, exact)
        };
        match found {
            Ok(candidates) => {
                let shown = |Candidate { id, score }| {
                    let (id, version) = known.remove(&id).expect("each candidate was fetched");
                    Match { id, version, score }
                };
                Ok(Some(candidates.into_iter().map(shown).collect()))
            }
            Err(Failed::Stale(record)) => {
                loaded.changed().insert(record);
                Ok(None)
            }
            Err(Failed::Template(error)) => Err(error.into()),
            Err(Failed::Store(error)) => Err(error),
        }
    }

    /// Opens all templates of the type once. What is written meanwhile is caught up with afterwards.
    fn load(
        &self,
        collection: &Collection,
        loaded: &Loaded,
        template_type: TemplateType,
        dimension: usize,
    ) -> Result<(), Error> {
        if loaded.gallery.read().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Ok(());
        }
        let mut place = loaded.gallery.write().unwrap_or_else(PoisonError::into_inner);
        if place.is_some() {
            return Ok(());
        }
        let mut gallery = Gallery::new(template_type, dimension)?;
        let now_ms = self.time.now_ms();
        for row in self.engine.rows(Space::Records, &collection.id, &collection.id) {
            let (row, value) = row?;
            let (Some((_, record)), Some(head)) = (key::read_record(&row), crate::store::Head::read(value))
            else {
                continue;
            };
            // A damaged record is an alarm, and no reason to find nobody.
            let opened = self.open_scanned(&collection.id, &record, head.version, head.sealed());
            let Some(opened) = opened.ok().flatten() else { continue };
            if let Some(template) = live_template(&opened, now_ms)
                && fits(&template, template_type, dimension)
            {
                gallery.insert(TemplateId(record), &template)?;
            }
        }
        *place = Some(gallery);
        Ok(())
    }

    /// Follows what was written since.
    fn catch_up(&self, collection: &Collection, loaded: &Loaded) -> Result<(), Error> {
        let changed = std::mem::take(&mut *loaded.changed());
        if changed.is_empty() {
            return Ok(());
        }
        let now_ms = self.time.now_ms();
        let mut gallery = loaded.gallery.write().unwrap_or_else(PoisonError::into_inner);
        let Some(gallery) = gallery.as_mut() else { return Ok(()) };
        for record in changed {
            let id = TemplateId(record);
            let opened = self.open_newest(&collection.id, &record).ok().flatten();
            let template = opened.and_then(|opened| live_template(&opened, now_ms));
            match template.filter(|template| fits(template, gallery.template_type(), gallery.dimension())) {
                Some(template) => drop(gallery.insert(id, &template)?),
                None => drop(gallery.remove(id)),
            }
        }
        Ok(())
    }
}

fn live_template(opened: &Opened, now_ms: u64) -> Option<Template> {
    let plain = opened.plain();
    if plain.expired(now_ms) { None } else { plain.template().ok().flatten() }
}

fn fits(template: &Template, template_type: TemplateType, dimension: usize) -> bool {
    template.metadata().template_type == template_type
        && matches!(template.body(), Body::Vector(vector) if vector.dimension() == dimension)
}
