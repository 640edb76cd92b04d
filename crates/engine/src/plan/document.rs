//! The whole document: its sections, and what they mean for each other.

use super::read::{Object, Problems};
use super::{
    pace, target, workload, Addressing, ArrivalSpec, DeleteFrom, Encryption, Endpoint, MixEntry,
    PayloadMode, Plan, PlanError, Problem,
};
use crate::operation::{Op, Region};
use crate::trace::Trace;
use serde_json::Value;
use std::sync::Arc;

/// A longer lease would let traffic go on for longer than anybody waits.
const LEASE_MS_MAX: u64 = 5000;

pub(super) fn parse(json: &str, trace: Option<&[u8]>) -> Result<Plan, PlanError> {
    let problems = Problems::default();
    let document: Value = match serde_json::from_str(json) {
        Ok(document) => document,
        Err(error) => {
            problems.add(
                "$",
                format!("is no JSON ({error})"),
                "write the engine plan as one JSON object",
            );
            return Err(PlanError {
                problems: problems.into_vec(),
            });
        }
    };
    let mut plan = read_plan(&mut Object::new("$".to_owned(), Some(&document), &problems));
    let mut problems = problems.into_vec();
    let of_trace = attach_trace(&mut plan, trace).err();
    problems.extend(of_trace.into_iter().flatten());
    if problems.is_empty() {
        Ok(plan)
    } else {
        Err(PlanError { problems })
    }
}

fn read_plan(root: &mut Object<'_>) -> Plan {
    root.whole("version", 3..=3);
    let shards = root.whole("shards", 1..=256) as u16;
    let plan = Plan {
        run: root.whole("run", 0..=u64::MAX),
        seed: root.whole("seed", 0..=u64::MAX),
        epoch: root.whole("epoch", 1..=65_535) as u16,
        tenant: root.whole("tenant", 0..=255) as u8,
        shards,
        pin: pin(root, shards),
        endpoints: root
            .objects("endpoints", 1..=256)
            .into_iter()
            .map(target::endpoint)
            .collect(),
        s3: target::s3(root.object("s3")),
        keyspace: workload::keyspace(root.object("keyspace")),
        sizes: workload::sizes(root.object("sizes")),
        mix: workload::mix(root),
        multipart: root.object_or_null("multipart").map(workload::multipart),
        list: workload::list(root.object("list")),
        range_bytes: root.whole("range_bytes", 1..=workload::PUT_BYTES_MAX),
        multi_delete_keys: root.whole("multi_delete_keys", 1..=1000) as u32,
        retention_s: root.whole("retention_s", 1..=86_400),
        arrivals: pace::arrivals(root.object("arrivals")),
        connections: pace::connections(root.object("connections")),
        slow: root.object_or_null("slow").map(pace::slow),
        timeouts: pace::timeouts(root.object("timeouts")),
        limits: pace::limits(root.object("limits")),
        lease_ms: root.whole_or_null("lease_ms", 1..=LEASE_MS_MAX),
        verify: root.flag("verify"),
        record_operations: root.flag("record_operations"),
        late_ms: root.number("late_ms", 0.0..=3_600_000.0),
        slowest: root.whole("slowest", 0..=1000) as u32,
    };
    root.refuse_unknown();
    check_mix(&plan, root);
    check_fixed_key(&plan, root);
    check_s3(&plan, root);
    plan
}

/// Puts the trace where its arrivals are; it must be there when they follow one, and only then.
fn attach_trace(plan: &mut Plan, bytes: Option<&[u8]>) -> Result<(), Vec<Problem>> {
    let problem = |what: &str, remedy: &str| {
        let (path, what, remedy) = ("$.arrivals.mode".into(), what.into(), remedy.into());
        Err(vec![Problem { path, what, remedy }])
    };
    let seconds = match (&plan.arrivals, bytes) {
        (ArrivalSpec::Trace { seconds, .. }, Some(_)) => *seconds,
        (ArrivalSpec::Trace { .. }, None) => {
            return problem(
                "is trace, but no trace came with the plan",
                "hand its packed rows over beside it",
            )
        }
        (_, Some(_)) => {
            return problem(
                "is not trace, but a trace came with the plan",
                "leave it out, or set the mode to \"trace\"",
            )
        }
        (_, None) => return Ok(()),
    };
    let rows = Trace::new(bytes.unwrap_or_default(), plan, seconds)?;
    if let ArrivalSpec::Trace { trace, .. } = &mut plan.arrivals {
        *trace = Arc::new(rows);
    }
    Ok(())
}

fn pin(root: &mut Object<'_>, shards: u16) -> Option<Vec<usize>> {
    let shards = usize::from(shards);
    let cpus = root.wholes_or_null("pin", shards..=shards, 0..=4095)?;
    Some(cpus.into_iter().map(|cpu| cpu as usize).collect())
}

fn check_mix(plan: &Plan, root: &Object<'_>) {
    if !plan.mix.is_empty() && plan.mix.iter().all(|entry| entry.weight == 0.0) {
        root.problem(
            "mix",
            "has no weight",
            "give at least one operation a weight above 0",
        );
    }
    let has = |op: &Op| plan.weight(*op) > 0.0;
    let parts = [Op::Multipart, Op::MultipartAbort, Op::GetPart];
    if parts.iter().any(has) && plan.multipart.is_none() {
        root.problem(
            "multipart",
            "is null, but the mix has multipart uploads or reads parts",
            "give parts, part_bytes, objects and parallel",
        );
    }
    let (creates, deletes) = (plan.creates(), plan.deletes());
    // a trace brings the keys that it deletes
    let own_keys = !matches!(plan.arrivals, ArrivalSpec::Trace { .. });
    if own_keys && deletes > creates && plan.keyspace.delete_from == DeleteFrom::Ephemeral {
        root.problem(
            "mix",
            format!("deletes more than it puts ({deletes} > {creates}), so keys would run out"),
            "lower the weight of delete, or set keyspace.delete_from to \"base\"",
        );
    }
    check_reads_of_what_is_made(plan, root);
}

/// Operations upon what nobody makes would only ever be something else.
fn check_reads_of_what_is_made(plan: &Plan, root: &Object<'_>) {
    let has = |op: &Op| plan.weight(*op) > 0.0;
    let region = plan.keyspace.region;
    if has(&Op::GetDeleted) && plan.deletes() == 0.0 {
        root.problem(
            "mix",
            "reads deleted keys (get_deleted), but deletes none",
            "give delete, delete_version or multi_delete a weight, or leave get_deleted out",
        );
    }
    if has(&Op::DeleteVersion) && plan.keyspace.delete_from == DeleteFrom::Base {
        root.problem(
            "keyspace.delete_from",
            "is base, but delete_version would bring back the version before the one that it deletes",
            "set it to ephemeral, whose keys are written once, or leave delete_version out",
        );
    }
    if has(&Op::GetPart) && !has(&Op::Multipart) && region != Region::Multipart {
        root.problem(
            "mix",
            "reads parts (get_part), but uploads nothing in parts",
            "give multipart a weight, or read the multipart region",
        );
    }
    let copies = [Op::Copy, Op::MultipartCopy];
    if copies.iter().any(has) && region != Region::Base {
        root.problem(
            "keyspace.region",
            "is not base, but copies are made of base keys",
            "set it to base, or leave the copies out",
        );
    }
}

fn check_fixed_key(plan: &Plan, root: &Object<'_>) {
    if plan.keyspace.fixed_key.is_none() {
        if plan.s3.bucket.is_empty() {
            root.problem(
                "s3.bucket",
                "is null, but there is no fixed_key to be hit below the endpoint itself",
                "name the bucket",
            );
        }
        return;
    }
    let reads = [Op::Get, Op::Head, Op::GetRange, Op::PresignedGet];
    let only_reads = |entry: &MixEntry| entry.weight == 0.0 || reads.contains(&entry.op);
    if !plan.mix.iter().all(only_reads) {
        root.problem(
            "mix",
            "would write to an object that is not ours (fixed_key)",
            "keep get, head, get_range and presigned_get only",
        );
    }
    if plan.verify {
        root.problem(
            "verify",
            "is true, but the fixed_key's object carries no maul blocks",
            "set it to false",
        );
    }
}

fn check_s3(plan: &Plan, root: &Object<'_>) {
    let s3 = &plan.s3;
    if s3.addressing == Addressing::Virtual && s3.bucket.is_empty() {
        root.problem(
            "s3.addressing",
            "is virtual, but there is no bucket to put before the host",
            "name the bucket, or set addressing to \"path\"",
        );
    }
    let named = |endpoint: &Endpoint| endpoint.host.parse::<std::net::IpAddr>().is_err();
    if s3.addressing == Addressing::Virtual && !plan.endpoints.iter().all(named) {
        root.problem(
            "s3.addressing",
            "is virtual, but an endpoint is an address, and no name can stand before one",
            "give endpoints by name (their address may say where that is), or set addressing to \"path\"",
        );
    }
    if s3.credentials.is_none() && s3.payload != PayloadMode::Unsigned {
        root.problem(
            "s3.payload",
            "is to be signed, but there are no credentials",
            "give access_key and secret_key, or set payload to \"unsigned\"",
        );
    }
    let trailer = s3.checksum.is_some_and(|checksum| checksum.in_trailer);
    if s3.payload == PayloadMode::UnsignedTrailer && !trailer {
        root.problem(
            "s3.checksum",
            "is not in a trailer, but payload \"unsigned-trailer\" is named after it",
            "give algorithm and in: \"trailer\"",
        );
    }
    let chunked = matches!(
        s3.payload,
        PayloadMode::Chunked | PayloadMode::UnsignedTrailer
    );
    if trailer && !chunked {
        root.problem(
            "s3.checksum",
            "is in a trailer, but only chunked bodies have one",
            "set payload to \"chunked\" or \"unsigned-trailer\", or the checksum's in to \"header\"",
        );
    }
    if s3.encryption == Encryption::SseC && plan.endpoints.iter().any(|endpoint| !endpoint.tls) {
        root.problem(
            "s3.encryption",
            "is sse-c, which would send the key over plain HTTP",
            "use https endpoints only",
        );
    }
}
