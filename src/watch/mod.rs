//! Layer 6: the viewer of a metrics file, a process of its own.
