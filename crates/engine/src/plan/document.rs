//! The whole document: its sections, and what they mean for each other.

use super::read::{Object, Problems};
use super::{pace, target, workload, DeleteFrom, MixEntry, Plan, PlanError};
use crate::operation::Op;
use serde_json::Value;

pub(super) fn parse(json: &str) -> Result<Plan, PlanError> {
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
    let plan = read_plan(&mut Object::new("$".to_owned(), Some(&document), &problems));
    let problems = problems.into_vec();
    if problems.is_empty() {
        Ok(plan)
    } else {
        Err(PlanError { problems })
    }
}

fn read_plan(root: &mut Object<'_>) -> Plan {
    root.whole("version", 1..=1);
    let shards = root.whole("shards", 1..=256) as u16;
    let plan = Plan {
        run: root.whole("run", 0..=u64::MAX),
        seed: root.whole("seed", 0..=u64::MAX),
        epoch: root.whole("epoch", 1..=65_535) as u16,
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
        list_max_keys: workload::list(root.object("list")),
        arrivals: pace::arrivals(root.object("arrivals")),
        timeouts: pace::timeouts(root.object("timeouts")),
        limits: pace::limits(root.object("limits")),
        lease_ms: root.whole_or_null("lease_ms", 1..=3_600_000),
        verify: root.flag("verify"),
        record_operations: root.flag("record_operations"),
        late_ms: root.number("late_ms", 0.0..=3_600_000.0),
    };
    root.refuse_unknown();
    check_mix(&plan, root);
    check_fixed_key(&plan, root);
    plan
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
    if plan.weight(Op::Multipart) > 0.0 && plan.multipart.is_none() {
        root.problem(
            "multipart",
            "is null, but the mix has multipart uploads",
            "give parts, part_bytes and objects",
        );
    }
    let (put, delete) = (plan.weight(Op::Put), plan.weight(Op::Delete));
    if delete > put && plan.keyspace.delete_from == DeleteFrom::Ephemeral {
        root.problem(
            "mix",
            format!("deletes more than it puts ({delete} > {put}), so keys would run out"),
            "lower the weight of delete, or set keyspace.delete_from to \"base\"",
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
    let only_reads =
        |entry: &MixEntry| entry.weight == 0.0 || matches!(entry.op, Op::Get | Op::Head);
    if !plan.mix.iter().all(only_reads) {
        root.problem(
            "mix",
            "would write to an object that is not ours (fixed_key)",
            "keep get and head only",
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
