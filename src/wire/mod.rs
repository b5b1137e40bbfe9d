//! F1, bytes on the wire: parsed into values that cannot be short, and written from them.
