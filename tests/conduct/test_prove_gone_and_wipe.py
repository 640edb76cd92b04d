"""Clean-up and wipe: what the ledger knows goes, and nothing else; proven by what every endpoint lists."""

import json

import numpy as np
import pytest
from conduct_stage import RUN, FakeS3, FakeTarget, events_of, everywhere, make_plan, make_stage, script

from maul.conduct.removal import ROUNDS_MAX, ledger_names, prove_gone
from maul.conduct.wipe import wipe
from maul.core.errors import CampaignError, TargetError
from maul.core.event import EventKind
from maul.core.operation import REGION_SHIFT, ErrorClass, Op, Outcome, Region, key_name
from maul.record import RunReader
from maul.s3.errors import aws

PREFIX = f"maul/{RUN}/"
OURS = {key_name(PREFIX, index) for index in range(10)}
STRANGERS = {f"{PREFIX}b00000000ffff", f"{PREFIX}holiday.jpg", "maul/another-run/b000000000001", "customers/data"}


def written(stage, count=10, **fields):
    """The record says that so many objects were written."""
    stage.writer.operations("fill", script(count, op=Op.PUT, version=np.arange(count) + 1, **fields))


def cleaned(stage):
    stage.writer.close()
    (row,) = [row for row in events_of(stage.writer.path, EventKind.NOTE) if row["name"] == "cleaned"]
    return row["says"], json.loads(row["details"])


def tidy(tmp_path, s3, **given):
    plan = make_plan(list_lag_ms=0)
    stage = make_stage(tmp_path, plan, s3 if isinstance(s3, FakeTarget) else everywhere(s3, **given))
    written(stage)
    return stage, plan.phase("tidy")


def test_what_the_engine_left_is_deleted_and_proven_gone(tmp_path):
    s3 = FakeS3(OURS)
    stage, phase = tidy(tmp_path, s3)
    prove_gone(stage, phase)
    says, details = cleaned(stage)
    assert s3.keys == set() and set(s3.deleted) == OURS
    assert details == {"left": 0, "strangers": 0, "whole": True}
    assert says == "10 objects of ours, 0 left after the clean-up"


def test_strangers_are_left_alone_under_our_prefix_too(tmp_path):
    s3 = FakeS3(OURS | STRANGERS)
    stage, phase = tidy(tmp_path, s3, created=True)
    prove_gone(stage, phase)
    says, details = cleaned(stage)
    assert s3.keys == STRANGERS and set(s3.deleted) == OURS
    assert (details["left"], details["strangers"]) == (0, 2)
    assert "2 objects under our prefix that we did not write were left alone" in says
    assert s3.bucket_deleted == 0, "a bucket with something in it is nobody's to remove"


@pytest.mark.parametrize(("created", "removed"), [(True, 1), (False, 0)])
def test_only_a_bucket_that_we_made_is_removed(tmp_path, created, removed):
    s3 = FakeS3(OURS)
    stage, phase = tidy(tmp_path, s3, created=created)
    prove_gone(stage, phase)
    assert s3.bucket_deleted == removed
    assert ("which we made, is removed" in cleaned(stage)[0]) is created


def test_a_bucket_with_somebody_elses_object_stays_though_we_made_it(tmp_path):
    s3 = FakeS3(OURS | {"customers/data"})
    stage, phase = tidy(tmp_path, s3, created=True)
    prove_gone(stage, phase)
    assert s3.bucket_deleted == 0 and s3.keys == {"customers/data"}
    assert "not empty and stays" in cleaned(stage)[0]


def test_a_bucket_that_may_not_be_removed_does_not_spoil_the_proof(tmp_path):
    s3 = FakeS3(OURS)

    def denied(**given):
        raise aws.ClientError({"Error": {"Code": "AccessDenied"}}, "DeleteBucket")

    s3.delete_bucket = denied
    stage, phase = tidy(tmp_path, s3, created=True)
    prove_gone(stage, phase)
    says, details = cleaned(stage)
    assert details["left"] == 0 and "could not be removed" in says


@pytest.mark.parametrize(("lag", "left", "looks"), [(0, 0, 2), (1, 0, 3), (ROUNDS_MAX - 1, 0, 4), (ROUNDS_MAX, 10, 4)])
def test_a_listing_that_lags_is_asked_again_and_not_for_ever(tmp_path, lag, left, looks):
    """After the last delete there is a last look: what it finds is left, and nothing that was found before."""
    s3 = FakeS3(OURS, lag=lag)
    stage, phase = tidy(tmp_path, FakeTarget({"vip": s3}))
    seen, asked = [], s3.list_objects_v2
    s3.list_objects_v2 = lambda **given: seen.append(1) or asked(**given)
    prove_gone(stage, phase.model_copy(update={"endpoints": ("vip",)}))
    assert (cleaned(stage)[1]["left"], len(seen)) == (left, looks)


def test_what_any_endpoint_still_lists_is_left(tmp_path):
    fresh, stale = FakeS3(set()), FakeS3(OURS)
    stale.delete_objects = lambda **given: {}
    stage, phase = tidy(tmp_path, FakeTarget({"vip": fresh, "gateway-r1-1": stale}))
    prove_gone(stage, phase.model_copy(update={"endpoints": ("vip", "gateway-r1-1")}))
    assert cleaned(stage)[1]["left"] == 10


def test_a_listing_that_does_not_end_proves_nothing(tmp_path):
    s3 = FakeS3(set(), whole=False)
    stage, phase = tidy(tmp_path, s3, created=True)
    prove_gone(stage, phase)
    says, details = cleaned(stage)
    assert details["whole"] is False and "not whole" in says
    assert s3.bucket_deleted == 0


def test_unfinished_uploads_of_ours_are_aborted_and_no_others(tmp_path):
    s3 = FakeS3(set())
    s3.uploads = [{"Key": f"{PREFIX}m000000000001", "UploadId": "1"}, {"Key": "customers/film", "UploadId": "2"}]
    stage, phase = tidy(tmp_path, s3)
    prove_gone(stage, phase)
    assert s3.aborted == [f"{PREFIX}m000000000001"]


def test_many_objects_go_in_batches(tmp_path):
    ours = {key_name(PREFIX, index) for index in range(2500)}
    s3 = FakeS3(ours)
    stage = make_stage(tmp_path, target=everywhere(s3))
    written(stage, 2500)
    prove_gone(stage, stage.plan.phase("tidy"))
    assert s3.keys == set() and len(s3.deleted) == 2500


def test_the_ledger_knows_what_was_tried_and_only_from_writing_phases(tmp_path):
    stage = make_stage(tmp_path)
    base, ephemeral = np.arange(3), (Region.EPHEMERAL << REGION_SHIFT) + np.arange(2)
    stage.writer.operations("fill", script(3, op=Op.PUT, key=base, version=base + 1))
    unknown = script(2, op=Op.PUT, key=ephemeral, version=[11, 12], outcome=Outcome.UNKNOWN)
    stage.writer.operations("calm", unknown)
    refused = script(1, op=Op.PUT, key=50, version=13, outcome=Outcome.FAIL, error_class=ErrorClass.ACCESS_DENIED)
    stage.writer.operations("calm", refused)
    stage.writer.operations("calm", script(1, op=Op.GET, key=60))
    stage.writer.operations("audit", script(1, op=Op.PUT, key=70, version=14))
    stage.writer.close()
    names = ledger_names(stage.plan, RunReader.open(stage.writer.path), 0)
    assert names == {f"{PREFIX}b00000000000{n}" for n in range(3)} | {f"{PREFIX}e00000000000{n}" for n in range(2)}


# ---------------------------------------------------------------- buckets with versions


def versioned_stage(tmp_path, s3, *, lock, created=False):
    where = "target: {endpoints: [vip], bucket: maul-test}"
    wish = where.replace("}", ", object_lock: true}" if lock else ", versioning: true}")
    stage = make_stage(tmp_path, make_plan((where, wish), list_lag_ms=0), everywhere(s3, created=created))
    written(stage)
    return stage


@pytest.mark.parametrize("lock", [False, True])
def test_every_version_and_marker_of_ours_goes_and_no_other(tmp_path, lock):
    s3 = FakeS3(OURS | STRANGERS, page=3)
    ours = {(key, id_) for key in OURS for id_ in ("1", "2", "marker")}
    theirs = {(key, id_) for key in STRANGERS for id_ in ("1", "marker")}
    s3.versions = ours | theirs
    stage = versioned_stage(tmp_path, s3, lock=lock)
    prove_gone(stage, stage.plan.phase("tidy"))
    says, details = cleaned(stage)
    assert s3.versions == theirs
    assert set(s3.deleted_versions) == ours
    assert s3.deleted == [], "a DELETE without a version would leave a marker"
    assert set(s3.unlocks) == {lock}, "only where we may have locked"
    assert (details["left"], details["strangers"]) == (0, 2)
    assert "2 objects under our prefix that we did not write were left alone" in says


def test_a_marker_that_stays_is_left_though_no_name_is_listed(tmp_path):
    s3 = FakeS3(set())
    s3.versions = {(min(OURS), "marker")}
    s3.delete_objects = lambda **given: {"Errors": [{"Key": min(OURS), "Code": "AccessDenied"}]}
    stage = versioned_stage(tmp_path, s3, lock=True, created=True)
    prove_gone(stage, stage.plan.phase("tidy"))
    assert cleaned(stage)[1]["left"] == 1
    assert s3.bucket_deleted == 0


def test_markers_that_our_clean_up_itself_made_are_ours(tmp_path):
    """A DELETE in a bucket with versions writes, even where there was no object."""
    s3 = FakeS3(set())
    where = f"{PREFIX}e000000000063"
    s3.versions = {(where, "marker")}
    stage = versioned_stage(tmp_path, s3, lock=False)
    key = (Region.EPHEMERAL << REGION_SHIFT) + 0x63
    stage.writer.operations("tidy", script(1, op=Op.DELETE, key=key))
    prove_gone(stage, stage.plan.phase("tidy"))
    assert s3.versions == set()
    assert cleaned(stage)[1] == {"left": 0, "strangers": 0, "whole": True}


# ---------------------------------------------------------------- wipe, some other day


@pytest.fixture
def run(tmp_path):
    stage = make_stage(tmp_path)
    written(stage)
    stage.writer.close()
    return RunReader.open(stage.writer.path)


@pytest.fixture
def meets(monkeypatch):
    """Wipe finds this target."""

    def at(target):
        monkeypatch.setattr("maul.conduct.wipe.door_of", lambda plan, permission: target.door)
        monkeypatch.setattr("maul.conduct.wipe.open_endpoints", lambda door, on_step: target)

    return at


def test_wipe_removes_exactly_what_the_ledger_knows(run, meets):
    s3 = FakeS3(OURS | STRANGERS)
    s3.uploads = [{"Key": f"{PREFIX}m000000000001", "UploadId": "1"}, {"Key": "customers/film", "UploadId": "2"}]
    meets(everywhere(s3))
    wiped = wipe(run, lambda says: None)
    assert s3.keys == STRANGERS and set(s3.deleted) == OURS
    assert (wiped.left, wiped.strangers) == (0, 2)
    assert s3.aborted == [f"{PREFIX}m000000000001"] and s3.bucket_deleted == 0
    assert "2 under maul/" in wiped.says
    again = wipe(run, lambda says: None)
    assert (again.found, again.left, again.strangers) == (0, 0, 2)
    assert len(s3.deleted) == 10


def test_wipe_tells_what_it_could_not_remove(run, meets):
    s3 = FakeS3(OURS)
    s3.delete_objects = lambda **given: {"Errors": [{"Key": "x"}]}
    meets(everywhere(s3))
    wiped = wipe(run, lambda says: None)
    assert wiped.left == 10 and "10 left" in wiped.says


@pytest.mark.parametrize(("code", "fine"), [("NoSuchBucket", True), ("AccessDenied", False)])
def test_wipe_where_the_bucket_is_gone_has_nothing_to_do(run, meets, code, fine):
    s3 = FakeS3(OURS)

    def refuse(**given):
        raise aws.ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 404}}, "ListObjectsV2")

    s3.list_objects_v2 = s3.list_multipart_uploads = refuse
    meets(everywhere(s3))
    if fine:
        assert "is gone" in wipe(run, lambda says: None).says
    else:
        with pytest.raises((CampaignError, TargetError)):
            wipe(run, lambda says: None)
    assert s3.deleted == []


def test_wipe_does_not_pull_the_ground_from_under_a_run(tmp_path, meets):
    stage = make_stage(tmp_path)
    written(stage)
    stage.writer.flush()
    s3 = FakeS3(OURS)
    meets(everywhere(s3))
    with pytest.raises(CampaignError, match="still going"):
        wipe(RunReader.open(stage.writer.path), lambda says: None)
    assert s3.deleted == []
    stage.writer.close()
