//! Direct authenticated, encrypted connections between devices
