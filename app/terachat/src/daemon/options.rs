/// What a long-running process was asked to do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Where to be reachable; not at all when absent.
    pub(crate) listen: Option<String>,
    /// Whom to stay connected to.
    pub(crate) peers: Vec<String>,
    /// Whether to serve other commands on the same folder.
    pub(crate) serve: bool,
}
