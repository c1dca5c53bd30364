//! What the state is made of.
mod style;
pub use style::Style;
