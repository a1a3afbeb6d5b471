//! What Redis is asked for: as a user who may do the least, and over TLS.
