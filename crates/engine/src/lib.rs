//! maul's load engine.
