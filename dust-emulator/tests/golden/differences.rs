//! Every difference between the answers of the emulator and of the recorded server, with its reason.

pub(crate) struct Difference {
    pub(crate) file: &'static str,
    /// The method and the end of the address.
    pub(crate) request: (&'static str, &'static str),
    /// The status of the server.
    pub(crate) recorded: u16,
    /// The answer of the emulator: the status and a part of the body.
    pub(crate) ours: (u16, &'static str),
    pub(crate) reason: &'static str,
}

const POISON: &str =
    "a server stores an envelope that does not parse and fails on every later read; the store refuses it";
const NOT_POISONED: &str = "a server fails on an envelope that was refused here";
const LEAF_AND_CHILDREN: &str =
    "a server fails on an object in which a leaf has leaves below it; here the leaf is read";
const NOT_UTF8: &str = "a server fails on a path that is not UTF-8; here it is bad input";

const NUL: &str =
    "a server cuts a path at a NUL to remove a subtree, and fails on such a path; here a NUL is a character";

const fn differs(
    file: &'static str,
    request: (&'static str, &'static str),
    recorded: u16,
    ours: (u16, &'static str),
    reason: &'static str,
) -> Difference {
    Difference { file, request, recorded, ours, reason }
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    differs(
        "a-map-put-if-match.txt",
        ("GET", "/entries/rec"),
        500,
        (200, r#""value":{"title":"T3"}"#),
        LEAF_AND_CHILDREN,
    ),
    differs("a-map-put-if-match.txt", ("GET", "/entries/zz"), 500, (200, r#""value":{"a":1}"#), LEAF_AND_CHILDREN),
    differs("e-paths.txt", ("PUT", "/entries/%FF"), 500, (400, "UTF-8"), NOT_UTF8),
    differs("e-paths.txt", ("GET", "/entries/%FF"), 500, (400, "UTF-8"), NOT_UTF8),
    differs(
        "e-paths.txt",
        ("GET", "/entries?limit=1000&select=keys"),
        200,
        (200, r#","a","a\u0000b","#),
        "a server cuts a path at a NUL to remove a subtree: its write of `a\\u0000b` removed `a`",
    ),
    differs("h-values-http.txt", ("PUT", "/entries/v32"), 200, (400, "is not a decimal"), POISON),
    differs("h-values-http.txt", ("GET", "/entries/v32"), 500, (404, "not_found"), NOT_POISONED),
    differs("h-values-http.txt", ("PUT", "/entries/v33"), 200, (400, "is not a decimal"), POISON),
    differs("h-values-http.txt", ("GET", "/entries/v33"), 500, (404, "not_found"), NOT_POISONED),
    differs("h-values-http.txt", ("PUT", "/entries/v40"), 200, (400, "is not a datetime"), POISON),
    differs("h-values-http.txt", ("GET", "/entries/v40"), 500, (404, "not_found"), NOT_POISONED),
    differs(
        "h-values-http.txt",
        ("GET", "/entries?limit=1000"),
        500,
        (200, r#"{"items":[{"path":"v01""#),
        NOT_POISONED,
    ),
    differs("h-values-http.txt", ("GET", "/export"), 500, (200, r#"{"_header":true"#), NOT_POISONED),
    differs("g3-ws-catchup-snapshot.txt", ("PUT", "/g3badeee754/entries/d"), 200, (400, "is not a decimal"), POISON),
    differs(
        "g3-ws-catchup-snapshot.txt",
        ("GET", "/entries/ts"),
        200,
        (200, r#""type":"map","value":"2026-01-02T03:04:05Z""#),
        "a timestamp of MessagePack is stored as the envelope of one",
    ),
    differs("g6-ws-rejoin-and-faults.txt", ("GET", "/entries?pattern=nul/**"), 200, (200, r#"nul/\u0000/title"#), NUL),
    differs("g6-ws-rejoin-and-faults.txt", ("GET", "/entries/nul/%00/title"), 500, (200, r#""value":"t""#), NUL),
    differs(
        "f-auth-errors.txt",
        ("POST", "/api/stores"),
        402,
        (201, r#""name":"two""#),
        "the emulator has no plans, and so no limits of plans",
    ),
];

/// A frame that the emulator sends in another form.
pub(crate) struct FrameDifference {
    pub(crate) file: &'static str,
    /// A part of the recorded frame.
    pub(crate) recorded: &'static str,
    /// Parts of the frames that the emulator sends instead, in order.
    pub(crate) ours: &'static [&'static str],
    pub(crate) reason: &'static str,
}

pub(crate) const FRAME_DIFFERENCES: &[FrameDifference] = &[
    FrameDifference {
        file: "g3-ws-catchup-snapshot.txt",
        recorded: r#""value":"Timestamp(seconds=1767323045, nanoseconds=0)""#,
        ours: &[r#""value":{"_type":"datetime","_typed":"2026-01-02T03:04:05Z"}"#],
        reason: "a live event has the envelope that a timestamp of MessagePack was stored as",
    },
    FrameDifference {
        file: "g3-ws-catchup-snapshot.txt",
        recorded: r#"["1","1","store:acme/g3badeee754","phx_error",{}]"#,
        ours: &[r#""op":"delete""#, r#""catch_up_complete",{"through_seq":1}"#],
        reason: NOT_POISONED,
    },
    FrameDifference {
        file: "g6-ws-rejoin-and-faults.txt",
        recorded: r#"["1", "1", "store:acme/g66b089e03", "phx_error", {}]"#,
        ours: &[r#""path":"nul2/\u0000/b""#, r#""response":{"store_seq":8}"#],
        reason: NUL,
    },
];

/// Parts of frames that are not compared: a pattern, its replacement on both sides, and the reason.
pub(crate) const NOT_COMPARED: &[(&str, &str, &str)] = &[
    (r#""db_size_bytes":\d+"#, r#""db_size_bytes":0"#, "the emulator does not report the size of its database"),
    (
        r#""latest_snapshot_at":("[^"]*"|null)"#,
        r#""latest_snapshot_at":null"#,
        "a store does not keep the time of its compaction",
    ),
];

/// The reason to skip a write that the server refused because of the limits of a plan.
pub(crate) const NO_PLANS: &str = "the emulator has no plans, and therefore no limits of plans";
