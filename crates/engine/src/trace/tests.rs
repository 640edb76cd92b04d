//! Tests of traces.

use super::*;
use crate::plan::{ArrivalSpec, MixEntry};
use proptest::prelude::*;

fn pack(row: &Row) -> Vec<u8> {
    let words = [row.due_ns, row.key.0, row.size, u64::from(row.op.number())];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn packed(rows: &[Row]) -> Vec<u8> {
    rows.iter().flat_map(pack).collect()
}

fn row(due_ns: u64, op: Op, key: Key) -> Row {
    Row {
        due_ns,
        key,
        size: 100 + due_ns,
        op,
    }
}

fn problems(bytes: &[u8]) -> Vec<String> {
    let problems = Trace::new(bytes, &Plan::example(), 1.0).unwrap_err();
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn rows_come_back_as_they_were() {
    let rows = [
        row(0, Op::Put, Key::new(Region::Ephemeral, 41)),
        row(7, Op::Put, Key::new(Region::Base, 99)),
        row(7, Op::Delete, Key::new(Region::Ephemeral, 41)),
        row(1_000_000_000, Op::Get, Key::new(Region::Multipart, 3)),
    ];
    let trace = Trace::new(&packed(&rows), &Plan::example(), 1.0).unwrap();
    let back: Vec<Row> = (0..trace.len()).map(|n| trace.row(n).unwrap()).collect();
    assert_eq!(back, rows);
    assert_eq!((trace.row(4), trace.row(u64::MAX)), (None, None));
    assert_eq!((trace.written_min(), trace.ephemeral_end()), (100, 42));
    assert_eq!(format!("{trace:?}"), "Trace(4 rows)");
}

#[test]
fn what_is_wrong_is_said_with_its_row() {
    let get = |due_ns| row(due_ns, Op::Get, Key(5));
    assert!(problems(b"")[0].contains("0 bytes"));
    assert!(problems(&[0; 33])[0].contains("33 bytes"));
    let mut no_op = pack(&get(0));
    no_op[24] = 200;
    assert!(problems(&no_op)[0].starts_with("trace row 0: is no row"));
    let mut dirty = pack(&get(0));
    dirty[31] = 1;
    assert!(problems(&dirty)[0].starts_with("trace row 0: is no row"));
    let found = problems(&packed(&[get(9), get(8), get(9)]));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("trace row 1: is due at 8 ns, before"),
        "{}",
        found[0]
    );
    assert!(problems(&packed(&[get(1_000_000_001)]))[0].contains("after the end"));
    for key in [Key(9 << 56), Key(INDEX_END)] {
        assert!(problems(&packed(&[row(0, Op::Get, key)]))[0].contains("no region"));
    }
    let large = Row {
        size: PUT_BYTES_MAX + 1,
        ..row(0, Op::Put, Key(1))
    };
    assert!(problems(&packed(&[large]))[0].contains("more than one PUT"));
    assert!(problems(&packed(&[row(0, Op::Head, Key(1))]))[0].contains("HEAD, which the mix"));
    // a bad trace does not fill the screen
    let many: Vec<Row> = (0..1000).map(|_| row(0, Op::Head, Key(1))).collect();
    assert_eq!(problems(&packed(&many)).len(), PROBLEMS_MAX);
}

#[test]
fn a_trace_and_its_plan_belong_together() {
    let mut plan: serde_json::Value = crate::plan::example_json();
    let rows = packed(&[row(0, Op::Get, Key(1))]);
    let text = |result: Result<Plan, crate::plan::PlanError>| result.unwrap_err().to_string();
    assert!(text(Plan::parse_with_trace(&plan.to_string(), Some(&rows))).contains("is not trace"));
    let share = serde_json::json!({"first": 0, "width": 1, "wheel": 1});
    plan["arrivals"] = serde_json::json!({"mode": "trace", "seconds": 1.0, "share": share});
    assert!(text(Plan::parse(&plan.to_string())).contains("no trace came"));
    let read = Plan::parse_with_trace(&plan.to_string(), Some(&rows)).unwrap();
    let ArrivalSpec::Trace { trace, .. } = &read.arrivals else {
        panic!("{:?}", read.arrivals)
    };
    assert_eq!(trace.len(), 1);
    // it brings the keys that it deletes
    plan["mix"] = serde_json::json!([{"op": "get", "weight": 1}, {"op": "delete", "weight": 5}]);
    assert!(Plan::parse_with_trace(&plan.to_string(), Some(&rows)).is_ok());
    assert!(text(Plan::parse_with_trace("{}", Some(&rows))).contains("$.arrivals"));
}

proptest! {
    #[test]
    fn stripes_partition_the_rows(mut times in prop::collection::vec(0u64..1_000_000_000, 1..200), count in 1u64..5, shards in 1u64..5) {
        times.sort_unstable();
        let rows: Vec<Row> = times.iter().map(|time| row(*time, Op::Get, Key(*time))).collect();
        let trace = Arc::new(Trace::new(&packed(&rows), &Plan::example(), 1.0).unwrap());
        let mut seen = Vec::new();
        for index in 0..count {
            for shard in 0..shards {
                let stripe = Traced::new(trace.clone(), Share { first: index, width: 1, wheel: count }, shard, shards);
                let dues: Vec<_> = stripe.map(|arrival| (arrival.number, arrival.due_ns)).collect();
                prop_assert!(dues.windows(2).all(|pair| pair[0].1 <= pair[1].1));
                seen.extend(dues);
            }
        }
        let mut late = Traced::new(trace.clone(), Share::WHOLE, 0, 1);
        late.skip_before(times[times.len() / 2]);
        prop_assert!(late.eq(Traced::new(trace, Share::WHOLE, 0, 1).filter(|one| one.due_ns >= times[times.len() / 2])));
        seen.sort_unstable();
        let whole: Vec<_> = times.into_iter().enumerate().map(|(i, time)| (i as u64, time)).collect();
        prop_assert_eq!(seen, whole);
    }

    /// Whatever bytes come, they are a trace or a list of problems.
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut plan = Plan::example();
        plan.mix = Op::ALL.iter().map(|op| MixEntry { op: *op, weight: 1.0 }).collect();
        let _ = Trace::new(&bytes, &plan, 1.0);
    }
}
