//! The stand-in servers: the models of the configs over HTTP.
