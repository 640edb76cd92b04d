//! Which operation an arrival is; pure in (seed, arrival number).

use crate::operation::Op;
use crate::plan::{DeleteFrom, KeyChoice, Plan};
use crate::rng::{self, Purpose};

/// The weighted choice of a plan's mix.
#[derive(Clone, Debug)]
pub struct Mix {
    seed: u64,
    /// Operations with a weight, and the weights added up to each.
    cumulative: Vec<(Op, f64)>,
    new_key_probability: f64,
}

impl Mix {
    /// The mix of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut sum = 0.0;
        let weighted = plan.mix.iter().filter(|entry| entry.weight > 0.0);
        let cumulative = weighted
            .map(|entry| {
                sum += entry.weight;
                (entry.op, sum)
            })
            .collect();
        // What PUT_IF_NONE_MATCH makes anyway, plain PUTs need not make.
        let put = plan.weight(Op::Put) + plan.weight(Op::PresignedPut);
        let wanted = plan.deletes() - plan.weight(Op::PutIfNoneMatch) / 2.0;
        let feeds_deletes = plan.keyspace.delete_from == DeleteFrom::Ephemeral && put > 0.0;
        // who reads what is new, or what comes and goes, needs PUTs that make it
        let feeds_reads = matches!(
            plan.keyspace.choice,
            KeyChoice::Latest { .. } | KeyChoice::Churn
        );
        let new_key_probability = match (feeds_reads, feeds_deletes) {
            (true, _) => 1.0,
            (false, true) => (wanted / put).clamp(0.0, 1.0),
            (false, false) => 0.0,
        };
        Self {
            seed: plan.seed,
            cumulative,
            new_key_probability,
        }
    }

    /// The operation of arrival `number`.
    #[must_use]
    pub fn op(&self, number: u64) -> Op {
        // a checked plan has at least one operation
        let Some((last, total)) = self.cumulative.last() else {
            return Op::Get;
        };
        let drawn = rng::unit(rng::hash(self.seed, Purpose::Mix, number)) * total;
        self.cumulative
            .iter()
            .find(|(_, sum)| drawn < *sum)
            .map_or(*last, |(op, _)| *op)
    }

    /// Whether arrival `number`, if it is a PUT, makes a new ephemeral key: as often as keys are deleted; always, when
    /// ephemeral keys are what is read.
    #[must_use]
    pub fn makes_new_key(&self, number: u64) -> bool {
        rng::unit(rng::hash(self.seed, Purpose::NewKey, number)) < self.new_key_probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MixEntry;

    fn mix(weights: &[(Op, f64)], delete_from: DeleteFrom) -> Mix {
        let mut plan = Plan::example();
        plan.mix = weights
            .iter()
            .map(|(op, weight)| MixEntry {
                op: *op,
                weight: *weight,
            })
            .collect();
        plan.keyspace.delete_from = delete_from;
        Mix::new(&plan)
    }

    #[test]
    fn keeps_the_weights() {
        let weights = [
            (Op::List, 0.0),
            (Op::Get, 65.0),
            (Op::Put, 20.0),
            (Op::Delete, 15.0),
            (Op::Head, 0.0),
        ];
        let mix = mix(&weights, DeleteFrom::Ephemeral);
        let mut counts = [0u32; Op::COUNT];
        let mut new_keys = 0;
        for number in 0..100_000 {
            counts[mix.op(number) as usize] += 1;
            new_keys += u32::from(mix.op(number) == Op::Put && mix.makes_new_key(number));
        }
        for (op, weight) in weights {
            // four standard deviations of a binomial are below 650
            assert!(
                counts[op as usize].abs_diff((weight * 1000.0) as u32) < 650,
                "{op:?}: {counts:?}"
            );
        }
        assert_eq!(
            (counts[Op::List as usize], counts[Op::Head as usize]),
            (0, 0)
        );
        assert!(new_keys.abs_diff(15_000) < 500, "{new_keys}");
    }

    #[test]
    fn makes_no_new_keys_unless_deletes_need_them() {
        let weights = [(Op::Put, 1.0), (Op::Delete, 1.0)];
        let base = mix(&weights, DeleteFrom::Base);
        assert!((0..1000).all(|number| !base.makes_new_key(number)));
        let ephemeral = mix(&weights, DeleteFrom::Ephemeral);
        assert!((0..1000).all(|number| ephemeral.makes_new_key(number)));
        let only_put = mix(&[(Op::Put, 1.0)], DeleteFrom::Ephemeral);
        assert!((0..1000).all(|number| !only_put.makes_new_key(number)));
        for choice in [KeyChoice::Churn, KeyChoice::Latest { exponent: 1.0 }] {
            let mut plan = Plan::example();
            plan.keyspace.choice = choice;
            let mix = Mix::new(&plan);
            assert!((0..1000).all(|number| mix.makes_new_key(number)));
        }
    }

    #[test]
    fn is_the_same_again_and_another_for_another_seed() {
        let weights = [(Op::Get, 1.0), (Op::Put, 1.0)];
        let ops = |seed| -> Vec<Op> {
            let mix = Mix {
                seed,
                ..mix(&weights, DeleteFrom::Base)
            };
            (0..64).map(|number| mix.op(number)).collect()
        };
        assert_eq!(ops(1), ops(1));
        assert_ne!(ops(1), ops(2));
    }
}
