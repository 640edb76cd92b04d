//! When, how long and how much at most: arrivals, timeouts, limits.

use super::read::Object;
use super::{
    ArrivalSpec, Connections, Limits, Process, Segment, Share, Slow, Think, Timeouts, Wave,
};
use std::ops::Bound;
use std::sync::Arc;

/// A longer run is a mistake.
const SECONDS_MAX: f64 = 30.0 * 86_400.0;
/// More per second than one instance could ever send.
const RATE_MAX: f64 = 1e8;

/// Places of a wheel.
const WHEEL_MAX: u64 = 65_536;

const SECONDS: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Included(SECONDS_MAX));
const RATE: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Included(RATE_MAX));
const POSITIVE: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Unbounded);

pub(super) fn arrivals(mut object: Object<'_>) -> ArrivalSpec {
    let modes = [
        ("open", Mode::Open),
        ("closed", Mode::Closed),
        ("trace", Mode::Trace),
    ];
    let Some(mode) = object.word_if_known("mode", &modes) else {
        return ArrivalSpec::Open {
            profile: Vec::new(),
            process: Process::Even,
            share: Share::WHOLE,
        };
    };
    let arrivals = match mode {
        Mode::Open => open(&mut object),
        Mode::Closed => ArrivalSpec::Closed {
            concurrency: object.whole("concurrency", 1..=1_000_000),
            seconds: object.number("seconds", SECONDS),
            requests: object.whole_or_null("requests", 1..=u64::MAX),
            think: object.object_or_null("think").map(think),
        },
        Mode::Trace => ArrivalSpec::Trace {
            seconds: object.number("seconds", SECONDS),
            share: share(object.object("share")),
            trace: Arc::default(), // comes beside the plan
        },
    };
    object.refuse_unknown();
    arrivals
}

#[derive(Clone, Copy)]
enum Mode {
    Open,
    Closed,
    Trace,
}

fn open(object: &mut Object<'_>) -> ArrivalSpec {
    let profile: Vec<_> = object
        .objects("profile", 1..=100_000)
        .into_iter()
        .map(segment)
        .collect();
    if profile.iter().map(|segment| segment.seconds).sum::<f64>() > SECONDS_MAX {
        object.problem(
            "profile",
            "is too long",
            format!("keep it within {SECONDS_MAX} seconds in all"),
        );
    }
    ArrivalSpec::Open {
        profile,
        process: object.word(
            "process",
            &[("even", Process::Even), ("poisson", Process::Poisson)],
        ),
        share: share(object.object("share")),
    }
}

fn think(mut object: Object<'_>) -> Think {
    let think = Think {
        mean_ms: object.number("mean_ms", 0.0..=3_600_000.0),
        exponential: object.flag("exponential"),
    };
    object.refuse_unknown();
    think
}

fn segment(mut object: Object<'_>) -> Segment {
    let harmless = Segment {
        from: 1.0,
        to: 1.0,
        seconds: 1.0,
        wave: None,
    };
    let kinds = [
        ("constant", Shape::Constant),
        ("ramp", Shape::Ramp),
        ("sine", Shape::Sine),
    ];
    let Some(shape) = object.word_if_known("kind", &kinds) else {
        return harmless;
    };
    let mut wave = None;
    let (from, to) = match shape {
        Shape::Constant => {
            let rate = object.number("rate", RATE);
            (rate, rate)
        }
        Shape::Ramp => (
            object.number("from", 0.0..=RATE_MAX),
            object.number("to", 0.0..=RATE_MAX),
        ),
        Shape::Sine => {
            let rate = object.number("rate", RATE);
            wave = Some(Wave {
                amplitude: object.number("amplitude", 0.0..=rate),
                period_s: object.number("period_s", SECONDS),
            });
            (rate, rate)
        }
    };
    let seconds = object.number("seconds", SECONDS);
    object.refuse_unknown();
    if from == 0.0 && to == 0.0 {
        object.problem(
            "to",
            "is 0 like from, so nothing would be sent",
            "give a rate above 0 for one of them",
        );
    }
    Segment {
        from,
        to,
        seconds,
        wave,
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Constant,
    Ramp,
    Sine,
}

fn share(mut object: Object<'_>) -> Share {
    let share = Share {
        first: object.whole("first", 0..=WHEEL_MAX - 1),
        width: object.whole("width", 1..=WHEEL_MAX),
        wheel: object.whole("wheel", 1..=WHEEL_MAX),
    };
    object.refuse_unknown();
    let end = share.first + share.width;
    if end > share.wheel {
        object.problem(
            "width",
            format!("goes beyond the wheel ({end} > {})", share.wheel),
            "keep first + width within wheel",
        );
    }
    share
}

pub(super) fn connections(mut object: Object<'_>) -> Connections {
    let connections = Connections {
        requests_each: object.whole_or_null("requests_each", 1..=u64::MAX),
        resumption: object.number("resumption", 0.0..=1.0),
    };
    object.refuse_unknown();
    connections
}

pub(super) fn slow(mut object: Object<'_>) -> Slow {
    let slow = Slow {
        readers: object.number("readers", 0.0..=1.0),
        read_bytes_per_s: object.whole("read_bytes_per_s", 1..=1 << 40),
        writers: object.number("writers", 0.0..=1.0),
        write_bytes_per_s: object.whole("write_bytes_per_s", 1..=1 << 40),
    };
    object.refuse_unknown();
    slow
}

pub(super) fn timeouts(mut object: Object<'_>) -> Timeouts {
    let timeouts = Timeouts {
        connect_ms: object.whole("connect_ms", 1..=3_600_000),
        request_ms: object.whole("request_ms", 1..=3_600_000),
    };
    object.refuse_unknown();
    timeouts
}

pub(super) fn limits(mut object: Object<'_>) -> Limits {
    let limits = Limits {
        rate_per_s: object.number("rate_per_s", RATE),
        bytes_per_s: object.number("bytes_per_s", POSITIVE),
        in_flight: object.whole("in_flight", 1..=1_000_000),
        requests: object.whole("requests", 1..=u64::MAX),
        bytes: object.whole("bytes", 1..=u64::MAX),
        seconds: object.number("seconds", SECONDS),
        connections: object.whole("connections", 1..=1_000_000),
    };
    object.refuse_unknown();
    limits
}
