//! A strict HTTP/1.1 front: one request a connection, refused unless it is exactly what is expected.
