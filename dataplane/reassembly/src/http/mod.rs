//! HTTP/1.x framing (RFC 9112): where messages begin and end in the two streams of a connection.
