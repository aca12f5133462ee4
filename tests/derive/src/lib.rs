//! Tests of the derives of `dust-orm`, in `tests/`.
