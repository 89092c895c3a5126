"""A folder on this machine or in S3, by one interface: bytes appear whole under their name or not at all.

S3 is found as boto3 finds it, so AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL and the profile's settings hold; credentials are
looked up by Arrow in the same places.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from psm_training.errors import PipelineError
from psm_training.settings import Settings

SCHEME: Final = "s3://"
AWS_DOMAIN: Final = ".amazonaws.com"
CONNECT_TIMEOUT_S: Final = 5
REQUEST_TIMEOUT_S: Final = 30
ATTEMPTS: Final = 4
"""Of one S3 request; Arrow waits a little longer before each."""


@dataclass(frozen=True)
class Storage:
    """A folder.

    Attributes:
        url: As people write it: a path or s3://bucket/prefix.
        root: The same as `files` wants it.
        files: A pyarrow.fs.FileSystem.
    """

    url: str
    root: str
    files: Any

    @property
    def is_local(self) -> bool:
        """Whether other programs can open `path(...)`."""
        return not self.url.startswith(SCHEME)

    def path(self, name: str) -> str:
        """What `files` calls the file."""
        return f"{self.root}/{name}" if name else self.root

    def where(self, name: str) -> str:
        """What people call the file."""
        return f"{self.url}/{name}" if name else self.url

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            FileNotFoundError: There is none.
            PipelineError: The storage does not answer.
        """
        with self.reached("read", name), self.files.open_input_stream(self.path(name)) as stream:
            return bytes(stream.read())

    def write(self, name: str, raw: bytes | memoryview) -> None:
        """Puts a file in place, whole; a reader sees the one before it or this one.

        Raises:
            PipelineError: The storage does not take it; what was there before is still there.
        """
        with self.reached("write", name):
            if not self.is_local:
                with self.files.open_output_stream(self.path(name)) as stream:
                    stream.write(raw)
                return
            path = self.path(name)
            fresh = f"{os.path.dirname(path)}/.{uuid.uuid4().hex}"  # noqa: PTH120  # thousands of files: Path costs more than the disk
            try:
                _write(fresh, raw)
                os.replace(fresh, path)  # noqa: PTH105  # atomic, and replaces
            except BaseException:
                Path(fresh).unlink(missing_ok=True)
                raise

    def exists(self, name: str) -> bool:
        """Whether a file has this name."""
        with self.reached("look at", name):
            if self.is_local:
                return os.path.isfile(self.path(name))  # noqa: PTH113  # as above
            return bool(self.files.get_file_info(self.path(name)).is_file)

    def delete(self, name: str) -> None:
        """Removes a file if it is there."""
        with self.reached("delete", name):
            try:
                self.files.delete_file(self.path(name))
            except FileNotFoundError:
                return

    def list(self, folder: str, *, recursive: bool = False) -> list[Any]:
        """pyarrow.fs.FileInfo of the files in a folder, by path; empty when there is no such folder."""
        from pyarrow import fs  # noqa: PLC0415  # approve and reject start without Arrow

        chosen = fs.FileSelector(self.path(folder), allow_not_found=True, recursive=recursive)
        with self.reached("list", folder):
            found = [info for info in self.files.get_file_info(chosen) if info.is_file]
        return sorted(found, key=lambda info: str(info.path))

    def name_of(self, info: Any) -> str:
        """Name of a listed file inside this folder."""
        return str(info.path).removeprefix(f"{self.root}/")

    @contextmanager
    def reached(self, verb: str, name: str) -> Iterator[None]:
        """Says of a storage that fails what was asked of it and what to do."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as err:
            text = (
                f"cannot {verb} {self.where(name)}: {err}; nothing half-written is visible, run the same command again"
            )
            raise PipelineError(text) from err


def _write(path: str, raw: bytes | memoryview) -> None:
    """Writes a file; makes its folder when it is missing, which it hardly ever is."""
    try:
        Path(path).write_bytes(raw)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(raw)


def open_storage(where: str | Path) -> Storage:
    """The folder at a path or s3:// address; it need not exist.

    Raises:
        PipelineError: The address names no bucket.
    """
    from pyarrow import fs  # noqa: PLC0415  # approve and reject start without Arrow

    text = str(where).rstrip("/")
    if not text.startswith(SCHEME):
        return Storage(url=text, root=str(Path(text).absolute()), files=fs.LocalFileSystem())
    if len(text) <= len(SCHEME):
        raise PipelineError(f"{where} names no bucket; write s3://bucket/folder")
    files = fs.S3FileSystem(
        **_endpoint(),
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )
    return Storage(url=text, root=text.removeprefix(SCHEME), files=files)


def _endpoint() -> dict[str, str]:
    """Where S3 is: Arrow knows AWS, and of the variables that name another place only one."""
    import boto3  # noqa: PLC0415  # only for what is in S3

    session = boto3.Session(region_name=Settings.from_environment().region)
    url = str(session.client("s3").meta.endpoint_url)
    where = {} if AWS_DOMAIN in url else {"endpoint_override": url}
    return where if session.region_name is None else {**where, "region": str(session.region_name)}
