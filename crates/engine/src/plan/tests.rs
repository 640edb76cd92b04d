use super::*;
use proptest::prelude::*;
use serde_json::{json, Value};

pub(super) fn good() -> Value {
    json!({
        "version": 3, "run": u64::MAX, "seed": 7, "epoch": 1, "shards": 2, "pin": null,
        "endpoints": [{"name": "vip", "url": "https://127.64.0.1:8443", "ca_pem": "-----\nx\n", "server_name": null, "address": null}],
        "s3": {"bucket": "bench", "prefix": "maul/r1/", "region": "us-east-1", "access_key": "AK", "secret_key": "hush", "session_token": null,
               "payload": "unsigned", "addressing": "path", "checksum": null, "encryption": null},
        "keyspace": {"objects": 1000, "choice": {"kind": "zipf", "exponent": 0.99}, "region": "base", "start": 0,
                     "ephemeral_start": 0, "ephemeral_lane": {"index": 0, "count": 1}, "delete_from": "ephemeral", "fixed_key": null},
        "sizes": {"kind": "fixed", "bytes": 4096},
        "mix": [{"op": "get", "weight": 65}, {"op": "put", "weight": 20.0}, {"op": "delete", "weight": 15.0}],
        "multipart": null, "list": {"max_keys": 100, "delimiter": null, "pages": 1},
        "arrivals": {"mode": "open", "share": {"first": 0, "width": 1, "wheel": 1}, "process": "even", "profile": [
            {"kind": "constant", "rate": 100.0, "seconds": 10.0},
            {"kind": "ramp", "from": 0, "to": 500.0, "seconds": 5.0}]},
        "tenant": 0, "range_bytes": 1000, "multi_delete_keys": 10, "retention_s": 60, "slowest": 0,
        "connections": {"requests_each": null, "resumption": 1.0}, "slow": null,
        "timeouts": {"connect_ms": 3000, "request_ms": 5000},
        "limits": {"rate_per_s": 1000.0, "bytes_per_s": 1e9, "in_flight": 64, "requests": 1000000, "bytes": 1u64 << 40,
                   "seconds": 120.0, "connections": 64},
        "lease_ms": 3000, "verify": true, "record_operations": true, "late_ms": 5.0
    })
}

/// The good plan with the value at a JSON pointer replaced (or added), parsed.
fn with(changes: &[(&str, Value)]) -> Result<Plan, PlanError> {
    let mut plan = good();
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match plan.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.insert(name.to_owned(), value.clone())),
            Value::Array(list) => list[name.parse::<usize>().unwrap()] = value.clone(),
            other => panic!("{parent} is {other}"),
        }
    }
    Plan::parse(&plan.to_string())
}

/// The paths of all problems.
fn paths(changes: &[(&str, Value)]) -> Vec<String> {
    with(changes)
        .unwrap_err()
        .problems
        .into_iter()
        .map(|problem| problem.path)
        .collect()
}

#[test]
fn reads_a_good_plan() {
    let plan = with(&[]).unwrap();
    assert_eq!(
        (plan.run, plan.shards, plan.epoch, plan.lease_ms),
        (u64::MAX, 2, 1, Some(3000))
    );
    assert_eq!(plan.endpoints[0].host, "127.64.0.1");
    assert_eq!(
        (plan.endpoints[0].tls, plan.endpoints[0].port),
        (true, 8443)
    );
    assert_eq!(plan.endpoints[0].host_header(), "127.64.0.1:8443");
    assert_eq!(plan.keyspace.choice, KeyChoice::Zipf { exponent: 0.99 });
    assert_eq!((plan.weight(Op::Get), plan.weight(Op::List)), (65.0, 0.0));
    let ArrivalSpec::Open { profile, .. } = &plan.arrivals else {
        panic!("{:?}", plan.arrivals)
    };
    assert_eq!(
        profile[0],
        Segment {
            from: 100.0,
            to: 100.0,
            seconds: 10.0,
            wave: None
        }
    );
    assert_eq!(
        profile[1],
        Segment {
            from: 0.0,
            to: 500.0,
            seconds: 5.0,
            wave: None
        }
    );
}

#[test]
fn reads_the_other_kinds() {
    let closed = json!({"mode": "closed", "concurrency": 16, "seconds": 60.0, "requests": null, "think": null});
    let lognormal = json!({"kind": "lognormal", "median": 65536, "sigma": 1.5, "max": 1 << 30});
    let plan = with(&[
        ("/arrivals", closed),
        ("/sizes", lognormal),
        ("/pin", json!([0, 1])),
        ("/lease_ms", Value::Null),
        ("/keyspace/choice", json!({"kind": "sequential"})),
        (
            "/multipart",
            json!({"parts": 2, "part_bytes": 5 << 20, "objects": 16, "parallel": 1}),
        ),
        ("/s3/access_key", Value::Null),
        ("/s3/secret_key", Value::Null),
    ]);
    let plan = plan.unwrap();
    assert_eq!(
        plan.arrivals,
        ArrivalSpec::Closed {
            concurrency: 16,
            seconds: 60.0,
            requests: None,
            think: None
        }
    );
    assert_eq!(
        plan.sizes,
        SizeSpec::Lognormal {
            median: 65536.0,
            sigma: 1.5,
            max: 1 << 30
        }
    );
    assert_eq!((plan.pin, plan.s3.credentials), (Some(vec![0, 1]), None));
    let weighted = json!({"kind": "weighted", "buckets": [{"bytes": 0, "weight": 1}, {"bytes": 9, "weight": 0}]});
    let plan = with(&[("/sizes", weighted)]).unwrap();
    assert_eq!(
        plan.sizes,
        SizeSpec::Weighted {
            buckets: vec![(0, 1.0), (9, 0.0)]
        }
    );
}

#[test]
fn reports_every_problem_at_once() {
    let found = paths(&[
        ("/shards", json!(0)),
        (
            "/limits",
            json!({"rate_per_s": 0, "bytes_per_s": -1.0, "in_flight": 0, "extra": 1}),
        ),
        ("/endpoints/0/url", json!("ftp://x")),
        ("/surprise", json!(1)),
        ("/mix/0", json!({"op": "chop", "weight": -1})),
        (
            "/arrivals/profile/1",
            json!({"kind": "ramp", "from": 0, "to": 0, "seconds": 1e9, "rate": 5}),
        ),
        ("/late_ms", json!("5")),
    ]);
    let expected = [
        "$.shards",
        "$.endpoints[0].url",
        "$.mix[0].op",
        "$.mix[0].weight",
        "$.arrivals.profile[1].seconds",
        "$.arrivals.profile[1].rate",
        "$.arrivals.profile[1].to",
        "$.limits.rate_per_s",
        "$.limits.bytes_per_s",
        "$.limits.in_flight",
        "$.limits.requests",
        "$.limits.bytes",
        "$.limits.seconds",
        "$.limits.connections",
        "$.limits.extra",
        "$.late_ms",
        "$.surprise",
    ];
    for path in expected {
        assert!(
            found.iter().any(|seen| seen == path),
            "{path} is not among {found:?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn each_rule_holds_alone() {
    let cases = [
        ("/version", json!(2), "$.version"),
        ("/run", json!(-1), "$.run"),
        ("/seed", json!(1.5), "$.seed"),
        ("/epoch", json!(0), "$.epoch"),
        ("/epoch", json!(65536), "$.epoch"),
        ("/shards", json!(257), "$.shards"),
        ("/pin", json!([0]), "$.pin"),
        ("/pin", json!([0, -1]), "$.pin[1]"),
        ("/endpoints", json!([]), "$.endpoints"),
        ("/endpoints/0", json!(null), "$.endpoints[0]"),
        ("/s3", json!([]), "$.s3"),
        ("/s3/bucket", json!("a/b"), "$.s3.bucket"),
        ("/s3/bucket", json!(".."), "$.s3.bucket"),
        ("/s3/prefix", json!(""), "$.s3.prefix"),
        ("/s3/prefix", json!("maul"), "$.s3.prefix"),
        (
            "/s3/prefix",
            json!("a\r\nx-amz-acl: public-read/"),
            "$.s3.prefix",
        ),
        ("/s3/access_key", json!(null), "$.s3.access_key"),
        ("/s3/payload", json!("both"), "$.s3.payload"),
        ("/keyspace/objects", json!(0), "$.keyspace.objects"),
        (
            "/keyspace/start",
            json!((1u64 << 48) - 1),
            "$.keyspace.objects",
        ),
        (
            "/keyspace/choice",
            json!({"kind": "zipf", "exponent": 0}),
            "$.keyspace.choice.exponent",
        ),
        (
            "/keyspace/choice",
            json!({"kind": "uniform", "exponent": 1}),
            "$.keyspace.choice.exponent",
        ),
        ("/keyspace/choice", json!({}), "$.keyspace.choice.kind"),
        ("/keyspace/region", json!("core"), "$.keyspace.region"),
        (
            "/sizes",
            json!({"kind": "uniform", "min": 9, "max": 8}),
            "$.sizes.min",
        ),
        (
            "/sizes",
            json!({"kind": "weighted", "buckets": [{"bytes": 1, "weight": 0}]}),
            "$.sizes.buckets",
        ),
        (
            "/sizes",
            json!({"kind": "lognormal", "median": 0, "sigma": 1, "max": 9}),
            "$.sizes.median",
        ),
        ("/mix", json!([{"op": "get", "weight": 0}]), "$.mix"),
        ("/mix/1", json!({"op": "get", "weight": 20}), "$.mix[1].op"),
        ("/mix/2/weight", json!(20.5), "$.mix"),
        ("/mix/0/op", json!("multipart"), "$.multipart"),
        ("/list/max_keys", json!(1001), "$.list.max_keys"),
        (
            "/arrivals/share",
            json!({"first": 1, "width": 1, "wheel": 1}),
            "$.arrivals.share.width",
        ),
        (
            "/arrivals/share/wheel",
            json!(65_537),
            "$.arrivals.share.wheel",
        ),
        ("/arrivals/share/width", json!(0), "$.arrivals.share.width"),
        (
            "/keyspace/ephemeral_lane/index",
            json!(1),
            "$.keyspace.ephemeral_lane.index",
        ),
        ("/s3/session_token", json!("a\r\nb"), "$.s3.session_token"),
        ("/arrivals/profile", json!([]), "$.arrivals.profile"),
        (
            "/arrivals/profile/0/rate",
            json!(0),
            "$.arrivals.profile[0].rate",
        ),
        (
            "/arrivals/profile/0/seconds",
            json!(30.0 * 86_400.0 - 1.0),
            "$.arrivals.profile",
        ),
        ("/arrivals/mode", json!("ajar"), "$.arrivals.mode"),
        ("/arrivals/concurrency", json!(1), "$.arrivals.concurrency"),
        ("/timeouts/request_ms", json!(0), "$.timeouts.request_ms"),
        ("/limits/requests", json!(null), "$.limits.requests"),
        ("/lease_ms", json!(0), "$.lease_ms"),
        ("/lease_ms", json!(5001), "$.lease_ms"),
        ("/verify", json!(1), "$.verify"),
    ];
    for (pointer, value, path) in cases {
        let found = paths(&[(pointer, value.clone())]);
        assert!(
            found.iter().any(|seen| seen == path),
            "{pointer} = {value}: {found:?}"
        );
        assert!(found.len() <= 2, "{pointer} = {value}: {found:?}");
    }
}

#[test]
fn a_session_token_belongs_to_keys_and_is_never_shown() {
    let token = ("/s3/session_token", json!("t0ken"));
    let plan = with(std::slice::from_ref(&token)).unwrap();
    assert!(!format!("{plan:?}").contains("t0ken"));
    let credentials = plan.s3.credentials.unwrap();
    assert_eq!(credentials.session_token.as_deref(), Some("t0ken"));
    let keyless = [
        token,
        ("/s3/access_key", json!(null)),
        ("/s3/secret_key", json!(null)),
    ];
    assert_eq!(paths(&keyless), ["$.s3.session_token"]);
}

#[test]
fn a_fixed_key_is_only_read() {
    let fixed = ("/keyspace/fixed_key", json!("someone/else.bin"));
    assert_eq!(paths(std::slice::from_ref(&fixed)), ["$.mix", "$.verify"]);
    let reads = json!([{"op": "get", "weight": 1}, {"op": "put", "weight": 0}]);
    assert!(with(&[fixed, ("/mix", reads), ("/verify", json!(false))]).is_ok());
}

#[test]
fn only_a_fixed_key_does_without_a_bucket() {
    let root = ("/s3/bucket", json!(null));
    assert_eq!(paths(std::slice::from_ref(&root)), ["$.s3.bucket"]);
    let fixed = ("/keyspace/fixed_key", json!("index.html"));
    let reads = ("/mix", json!([{"op": "get", "weight": 1}]));
    assert!(with(&[root, fixed, reads, ("/verify", json!(false))]).is_ok());
}

#[test]
fn base_deletes_may_outnumber_puts() {
    let only_deletes = ("/mix", json!([{"op": "delete", "weight": 1}]));
    assert_eq!(paths(std::slice::from_ref(&only_deletes)), ["$.mix"]);
    assert!(with(&[only_deletes, ("/keyspace/delete_from", json!("base"))]).is_ok());
}

#[test]
fn takes_urls_apart() {
    let url =
        |url: &str| with(&[("/endpoints/0/url", json!(url))]).map(|plan| plan.endpoints[0].clone());
    let cases = [
        ("http://s3.example", false, "s3.example", 80, "s3.example"),
        ("https://s3.example/", true, "s3.example", 443, "s3.example"),
        (
            "http://127.0.0.1:443",
            false,
            "127.0.0.1",
            443,
            "127.0.0.1:443",
        ),
        ("https://[::1]:9000", true, "::1", 9000, "[::1]:9000"),
        ("https://[fe80::1]", true, "fe80::1", 443, "[fe80::1]"),
    ];
    for (text, tls, host, port, header) in cases {
        let endpoint = url(text).unwrap();
        let seen = (
            endpoint.tls,
            endpoint.host.as_str(),
            endpoint.port,
            endpoint.host_header(),
        );
        assert_eq!(seen, (tls, host, port, header.to_owned()), "{text}");
    }
    let wrong = [
        "",
        "s3.example",
        "https://",
        "https://:80",
        "http://a:0",
        "http://a:65536",
        "http://a:+1",
        "http://a:",
        "http://a/b",
        "http://user@a",
        "http://[::1",
        "http://[::1]x",
        "http://[]",
        "http://a b",
        "http://a:1:2",
        "HTTP//a",
        "http://[a]",
    ];
    for text in wrong {
        assert!(url(text).is_err(), "{text}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let plan = with(&[]).unwrap();
    assert!(!format!("{plan:?}").contains("hush"));
    let error = with(&[("/s3/secret_key", json!("hush\n"))]).unwrap_err();
    assert!(!error.to_string().contains("hush"));
    let error = with(&[("/s3/secret_key", json!(["hush"]))]).unwrap_err();
    assert!(!error.to_string().contains("hush"));
}

#[test]
fn the_text_says_where_what_and_what_to_do() {
    let text = with(&[("/epoch", json!(0))]).unwrap_err().to_string();
    let expected =
        "the engine plan has 1 problem(s):\n  $.epoch: is 0; give a whole number from 1 to 65535";
    assert_eq!(text, expected);
    let text = Plan::parse("{").unwrap_err().to_string();
    assert!(
        text.contains("$: is no JSON") && text.contains("one JSON object"),
        "{text}"
    );
    assert!(Plan::parse("[]").is_err());
    assert!(Plan::parse("{}").unwrap_err().problems.len() >= 19);
}

proptest! {
    /// Whatever one field becomes, parsing ends with a plan or with problems.
    #[test]
    fn no_value_makes_it_panic(place in 0usize..60, value in prop_oneof![
        Just(json!(null)), Just(json!(u64::MAX)), Just(json!(-1)), Just(json!(1e300)), Just(json!([])), Just(json!({})),
        Just(json!([{}])), Just(json!("")), Just(json!(true)), Just(json!("\u{0}é")),
    ]) {
        let mut plan = good();
        let mut left = place;
        replace_nth(&mut plan, &mut left, &value);
        let _ = Plan::parse(&plan.to_string());
    }
}

fn replace_nth(value: &mut Value, left: &mut usize, by: &Value) {
    if *left == 0 {
        *value = by.clone();
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| replace_nth(field, left, by)),
        Value::Array(list) => list
            .iter_mut()
            .for_each(|member| replace_nth(member, left, by)),
        _ => {}
    }
}
