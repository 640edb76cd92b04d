//! How a shard carries uploads: over as many connections at once as the plan allows and the shard has free, with one of
//! them left to clear away when it fails.

use std::fmt::Display;

use super::operate::Then;
use super::slots::Place;
use super::Shard;
use crate::flight::upload::AfterPart;
use crate::flight::Step;
use crate::operation::{ErrorClass, Op};

impl Shard {
    /// An exchange of an upload went well: the next part, or its end, or nothing when others are still at it.
    pub(super) fn go_on_with_upload(&mut self, number: u32, then: Then) {
        let flight = self.slots.get(number).flight;
        let Some(upload) = self.uploads.get(flight.upload) else {
            return self.release(number, then);
        };
        let after = match flight.step {
            // The first answer is that to its creation; every upload has a part.
            Step::Create => AfterPart::Part(upload.take_part().unwrap_or(0)),
            _ => upload.after_part(),
        };
        match after {
            AfterPart::Part(part) => self.go_on(number, Step::Part(part), then),
            AfterPart::End if flight.op == Op::MultipartAbort => {
                self.go_on(number, Step::ListParts, then);
            }
            AfterPart::End => self.go_on(number, Step::Complete, then),
            AfterPart::Leave => self.release(number, then),
            AfterPart::ClearAway => self.go_on(number, Step::Abort, then),
        }
        self.spread(number);
    }

    /// Lets further connections carry parts of the upload of a slot, to the same endpoint.
    fn spread(&mut self, number: u32) {
        let slot = self.slots.get(number);
        let (template, endpoint) = (slot.flight, slot.endpoint);
        let parallel = self
            .plan
            .multipart
            .map_or(1, |multipart| multipart.parallel);
        while self
            .uploads
            .get(template.upload)
            .is_some_and(|upload| upload.wants_lane(parallel))
        {
            let Some(place) = self.slots.find_at(endpoint) else {
                return;
            };
            let Some(upload) = self.uploads.get(template.upload) else {
                return;
            };
            let Some(part) = upload.take_part() else {
                return;
            };
            upload.lanes += 1;
            let lane = self.slots.occupy(place);
            self.slots.get(lane).flight = template;
            self.slots.get(lane).flight.step = Step::Part(part);
            self.prepare(lane);
            let now_ns = self.clock.now_ns();
            self.requesting.set(lane, now_ns + self.request_ns);
            match place {
                Place::Idle(_) => self.transmit(lane),
                Place::New(_, endpoint) => self.connect(lane, endpoint, now_ns),
            }
        }
    }

    /// The answer to an exchange ends its operation with this class, which is not `None`.
    pub(super) fn fail(&mut self, number: u32, class: ErrorClass, then: Then, at_ns: u64) {
        let flight = self.slots.get(number).flight;
        let has_failed = match self.uploads.get(flight.upload) {
            Some(upload) => std::mem::replace(&mut upload.failed, true),
            None => false,
        };
        if !has_failed {
            self.conclude_answered(number, class, at_ns);
        }
        if self.is_to_be_cleared_away(number) {
            self.go_on(number, Step::Abort, then);
        } else {
            self.release(number, then);
        }
    }

    /// The connection is of no use any more; the operation on it ends with this class.
    pub(super) fn end_broken(
        &mut self,
        number: u32,
        class: ErrorClass,
        now_ns: u64,
        why: &dyn Display,
    ) {
        let flight = self.slots.get(number).flight;
        if flight.step == Step::Abort {
            self.uploads.close(flight.upload);
            return self.close(number);
        }
        let has_failed = match self.uploads.get(flight.upload) {
            Some(upload) => std::mem::replace(&mut upload.failed, true),
            None => false,
        };
        if !has_failed {
            self.conclude_broken(number, class, now_ns, why);
        }
        // A completion that was not answered may be at work: to abort it now would be a race that no customer runs.
        let completing = flight.step == Step::Complete;
        if !self.is_to_be_cleared_away(number) {
            self.close(number);
        } else if completing || class == ErrorClass::Stopped {
            self.uploads.close(flight.upload);
            self.close(number);
        } else {
            self.connecting.clear(number);
            self.go_on(number, Step::Abort, Then::Close);
        }
    }

    /// Whether this was the last connection of an upload that failed, and something is left behind. An upload that was
    /// never created is closed here.
    fn is_to_be_cleared_away(&mut self, number: u32) -> bool {
        let flight = self.slots.get(number).flight;
        let Some(upload) = self.uploads.get(flight.upload) else {
            return false;
        };
        if flight.step == Step::Create {
            self.uploads.close(flight.upload);
            return false;
        }
        upload.after_part() == AfterPart::ClearAway
    }
}
