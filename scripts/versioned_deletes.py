"""Does an acknowledged DELETE hold on a bucket with versions? boto3 alone, against a lab's first gateway.

    maul lab up --name versions
    .venv/bin/python scripts/versioned_deletes.py SITE

Eight clients put an object each, delete it, and look for it, 60 times. Everything is removed at the end. Exit code 1
when a deleted object was served.
"""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from maul.site.loading import load

BUCKET = "maul-versioned-deletes"
CLIENTS, OBJECTS_EACH = 8, 60


def main(site_path: str) -> int:
    """Ask, tell, clean up."""
    s3 = client(site_path)
    s3.create_bucket(Bucket=BUCKET)
    try:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        served: list[str] = []
        threads = [threading.Thread(target=work, args=(client(site_path), one, served)) for one in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(5)
        later = sum(is_served(s3, key) for key in served)
        told = f"{CLIENTS * OBJECTS_EACH} deletes acknowledged, {len(served)} objects still served, {later} after 5 s"
        sys.stdout.write(f"{told}\n")
    finally:
        remove(s3)
    return 1 if served else 0


def client(site_path: str) -> Any:
    """Of the first gateway of the site; no retry."""
    site = load(Path(site_path))
    if site.credentials is None or site.credentials.file is None:
        raise SystemExit("the site names no file of credentials")
    keys = json.loads(Path(site.credentials.file).read_text(encoding="utf-8"))
    door = next(endpoint for endpoint in site.endpoints if endpoint.kind == "gateway")
    return boto3.client(
        "s3",
        endpoint_url=door.url,
        verify=str(door.ca) if door.ca else None,
        region_name=site.region,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def work(s3: Any, number: int, served: list[str]) -> None:
    """One client; what was served after its delete is added to `served`."""
    for index in range(OBJECTS_EACH):
        key = f"{number}/{index}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x" * 1000)
        s3.delete_object(Bucket=BUCKET, Key=key)
        if is_served(s3, key):
            served.append(key)


def is_served(s3: Any, key: str) -> bool:
    """Whether the store shows the object."""
    try:
        s3.head_object(Bucket=BUCKET, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def remove(s3: Any) -> None:
    """Every version and marker, then the bucket."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=BUCKET, Key=entry["Key"], VersionId=entry["VersionId"])
    s3.delete_bucket(Bucket=BUCKET)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: versioned_deletes.py SITE")
    sys.exit(main(sys.argv[1]))
