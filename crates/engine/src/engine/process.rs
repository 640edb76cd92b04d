//! What an engine takes of its process and threads: processors, exact sleeps, descriptors.

use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use rustix::thread::{sched_setaffinity, set_current_timer_slack, CpuSet};

use crate::plan::Plan;

/// Puts the calling thread on its processor and makes its sleeps exact. Neither is vital.
pub(super) fn settle(plan: &Plan, index: u64) {
    let _ = set_current_timer_slack(std::num::NonZeroU64::new(1));
    let Some(cpus) = plan.pin.as_ref().filter(|cpus| !cpus.is_empty()) else {
        return;
    };
    let mut set = CpuSet::new();
    set.set(cpus[index as usize % cpus.len()]);
    let _ = sched_setaffinity(None, &set);
}

/// Raises the soft limit of open files towards the hard one when the plan needs it. What is still missing shows as
/// failed connections.
pub(super) fn raise_descriptors(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else {
        return;
    };
    let raised = limit
        .maximum
        .map_or(wanted, |maximum| wanted.min(maximum))
        .max(current);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        },
    );
}
