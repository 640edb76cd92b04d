//! Thin Python binding of the engine.
