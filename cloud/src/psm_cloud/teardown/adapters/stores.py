"""Content of buckets and repositories, which Terraform cannot delete while there is any."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import ClientError

from psm_cloud.teardown.adapters import LeftInsideError, code_of, tags_of, unless_gone
from psm_cloud.teardown.decide import Found, Kind
from psm_cloud.teardown.scope import Scope

AT_ONCE: Final = 8
"""Requests of 1,000 objects each; S3 takes 3,500 deletions a second of a prefix, so more only meets SlowDown."""
IMAGES_AT_ONCE: Final = 100
"""ecr:BatchDeleteImage takes no more."""
TOLD: Final = 3
"""Objects that an error names."""


class Buckets:
    """Every version, delete marker and unfinished upload of the environment's buckets."""

    kind = Kind.BUCKET
    page = 1000
    """Versions of a request, the most that S3 lists and deletes."""

    def __init__(self, s3: Any, scope: Scope) -> None:
        """Ask this s3 client."""
        self._s3, self._scope = s3, scope

    def find(self) -> Iterator[Found]:
        """Yield buckets whose name is of the environment, with their tags."""
        for page in self._s3.get_paginator("list_buckets").paginate(Prefix=self._scope.prefix):
            for bucket in page["Buckets"]:
                name = bucket["Name"]
                if name.startswith(self._scope.prefix):
                    yield Found(self.kind, name, name, self._tags(name), empty=self._is_empty(name))

    def _tags(self, bucket: str) -> dict[str, str]:
        try:
            return tags_of(self._s3.get_bucket_tagging(Bucket=bucket)["TagSet"])
        except ClientError as err:
            if code_of(err) in {"NoSuchTagSet", "NoSuchBucket"}:
                return {}
            raise

    def _is_empty(self, bucket: str) -> bool:
        page = self._s3.list_object_versions(Bucket=bucket, MaxKeys=1)
        uploads = self._s3.list_multipart_uploads(Bucket=bucket, MaxUploads=1)
        return not (page.get("Versions") or page.get("DeleteMarkers") or uploads.get("Uploads"))

    def remove(self, found: Found) -> None:
        """Empty it, many pages at a time; the bucket itself is Terraform's."""
        try:
            refused = [*self._drop_versions(found.id), *self._drop_uploads(found.id)]
        except ClientError as err:
            unless_gone(err)
            return
        if refused:
            named = "; ".join(refused[:TOLD])
            message = f"{len(refused)} objects of {found.id} are still there: {named}"
            raise LeftInsideError(message)

    def _drop_versions(self, bucket: str) -> list[str]:
        """Pass over the bucket until nothing, or only what is refused, is there: pages shift while they are emptied."""
        refused: list[str] = []
        before = -1
        while True:
            listed, refused = self._pass(bucket)
            if listed in {0, len(refused), before}:
                return refused
            before = listed

    def _pass(self, bucket: str) -> tuple[int, list[str]]:
        pages = self._s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": self.page}
        )
        count, refused = 0, []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running: list[Future[list[str]]] = []
            for page in pages:
                listed = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                count += len(listed)
                if listed:
                    running.append(pool.submit(self._drop, bucket, listed))
                while len(running) > 2 * AT_ONCE:  # no more pages in memory than this
                    refused += running.pop(0).result()
            for one in running:
                refused += one.result()
        return count, refused

    def _drop(self, bucket: str, listed: list[dict[str, Any]]) -> list[str]:
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in listed]
        answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        return [f"{one['Key']} ({one.get('Code', 'refused')})" for one in answer.get("Errors", ())]

    def _drop_uploads(self, bucket: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
            for one in page.get("Uploads", ()):
                try:
                    self._s3.abort_multipart_upload(Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
                except ClientError as err:
                    if code_of(err) != "NoSuchUpload":
                        yield f"upload of {one['Key']} ({code_of(err)})"


class Repositories:
    """Images of the environment's repositories."""

    kind = Kind.REPOSITORY

    def __init__(self, ecr: Any) -> None:
        """Ask this ecr client."""
        self._ecr = ecr

    def find(self) -> Iterator[Found]:
        """Yield every repository with its tags."""
        for page in self._ecr.get_paginator("describe_repositories").paginate():
            for one in page["repositories"]:
                name = one["repositoryName"]
                tags = tags_of(self._ecr.list_tags_for_resource(resourceArn=one["repositoryArn"])["tags"])
                yield Found(self.kind, name, name, tags, empty=not self._images(name))

    def _images(self, repository: str) -> list[dict[str, str]]:
        pages = self._ecr.get_paginator("list_images").paginate(repositoryName=repository)
        return [image for page in pages for image in page["imageIds"]]

    def remove(self, found: Found) -> None:
        """Delete its images by digest, which takes their tags too; lists of images go before what they list."""
        try:
            refused = self._drop(found.id)
            if refused:  # an image that a list of images names goes once the list is gone
                refused = self._drop(found.id)
        except ClientError as err:
            unless_gone(err)
            return
        if refused:
            message = f"{len(refused)} images of {found.id} are still there: {'; '.join(refused[:TOLD])}"
            raise LeftInsideError(message)

    def _drop(self, repository: str) -> list[str]:
        digests = sorted({image["imageDigest"] for image in self._images(repository) if "imageDigest" in image})
        refused: list[str] = []
        for start in range(0, len(digests), IMAGES_AT_ONCE):
            ids = [{"imageDigest": digest} for digest in digests[start : start + IMAGES_AT_ONCE]]
            answer = self._ecr.batch_delete_image(repositoryName=repository, imageIds=ids)
            refused += [
                f"{one.get('imageId', {}).get('imageDigest')} ({one.get('failureCode')})"
                for one in answer.get("failures", ())
                if one.get("failureCode") != "ImageNotFound"
            ]
        return refused
