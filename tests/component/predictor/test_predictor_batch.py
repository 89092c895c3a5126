"""`psm-predict batch` as users run it: a process that reads a file and writes a file."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from artifacts import ArtifactFile, make_artifact
from batch_files import answers, instances, till_lines, write
from batch_process import TIMEOUT_S, batch, command
from botocore.config import Config
from predictor_process import environment, serving
from waiting import until

from psm_local.aws import AwsEndpoints
from psm_training.gold import Gold
from psm_training.synthetic import generate

CLASSES = ("LA", "MM", "UM")
BASKETS = 120


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactFile:
    return make_artifact(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(scope="module")
def client(artifact: ArtifactFile, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A predictor that serves the same model."""
    with serving(environment(artifact, tmp_path_factory.mktemp("run"))) as (_, client):
        yield client


@pytest.fixture(scope="module")
def gold() -> Gold:
    return generate(baskets=BASKETS, households=40, seed=5).gold


def probabilities(answer: dict[str, Any]) -> list[np.float32]:
    """The answer's probabilities as the model gave them."""
    return [np.float32(answer[f"probability_{name}"]) for name in CLASSES]


def told_by(client: httpx.Client, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What POST /predict says of each body."""
    return [client.post("/predict", json=body).raise_for_status().json() for body in bodies]


def assert_same(answered: list[dict[str, Any]], told: list[dict[str, Any]]) -> None:
    """The same labels, and the same probabilities to the last bit."""
    assert [answer["label"] for answer in answered] == [answer["label"] for answer in told]
    for answer, other in zip(answered, told, strict=True):
        assert probabilities(answer) == [np.float32(value) for value in other["probabilities"].values()]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_ready_features_get_the_answers_of_predict(
    suffix: str, artifact: ArtifactFile, client: httpx.Client, gold: Gold, tmp_path: Path
) -> None:
    """Row by row, to the last bit; other columns come along."""
    bodies = instances(artifact, gold)
    rows = [{"basket": number, "note": f"n{number}", **body} for number, body in enumerate(bodies)]

    run = batch(artifact, write(tmp_path / f"in{suffix}", rows), tmp_path / f"out{suffix}")

    assert run.code == 0, run.told
    answered = answers(run.output)
    assert [answer["row"] for answer in answered] == list(range(BASKETS))
    assert [(answer["basket"], answer["note"]) for answer in answered] == [
        (number, f"n{number}") for number in range(BASKETS)
    ]
    assert_same(answered, told_by(client, bodies))
    assert run.summary["rows"] == run.summary["answered"] == sum(run.summary["labels"].values()) == BASKETS
    assert run.refused == []


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_till_lines_get_the_answers_of_predict(
    suffix: str, artifact: ArtifactFile, client: httpx.Client, gold: Gold, tmp_path: Path
) -> None:
    """One answer per basket, whatever piece of the file its lines are in."""
    source = write(tmp_path / f"in{suffix}", till_lines(gold))

    run = batch(artifact, source, tmp_path / "out.parquet", "--keep", "STORE_FORMAT")

    assert run.code == 0, run.told
    answered = answers(run.output)
    bodies = [{"lines": list(gold.records(number))} for number in range(BASKETS)]
    assert [answer["BASKET_ID"] for answer in answered] == gold.basket.tolist()
    assert [answer["lines"] for answer in answered] == [len(body["lines"]) for body in bodies]
    assert [answer["STORE_FORMAT"] for answer in answered] == [body["lines"][0]["STORE_FORMAT"] for body in bodies]
    assert_same(answered, told_by(client, bodies))


def test_rows_at_fault_are_set_aside_with_the_reasons_that_predict_gives(
    artifact: ArtifactFile, client: httpx.Client, gold: Gold, tmp_path: Path
) -> None:
    """The rest of the file is answered, and the exit code tells."""
    bodies = instances(artifact, gold)
    bodies[3]["spend"] = -1.0
    bodies[7] |= {"shop_hour": 24.0, "shop_weekday": 0.0}
    bodies[8]["items"] = float("inf")
    bodies[9]["line_count"] = None
    source = write(tmp_path / "in.parquet", bodies)

    run = batch(artifact, source, tmp_path / "out.parquet")

    assert run.code == 3
    assert [line["row"] for line in run.refused] == [3, 7, 8, 9]
    for line in run.refused:
        if line["row"] == 8:  # what JSON cannot carry
            continue
        refusal = client.post("/predict", json=bodies[line["row"]])
        assert refusal.status_code == 422
        assert line["reasons"] == refusal.json()["detail"]
    good = [number for number in range(BASKETS) if number not in (3, 7, 8, 9)]
    answered = answers(run.output)
    assert [answer["row"] for answer in answered] == good
    assert_same(answered, told_by(client, [bodies[number] for number in good]))
    assert "4 refused, see" in run.told


def test_a_bad_line_costs_its_basket_and_no_other(
    artifact: ArtifactFile, client: httpx.Client, gold: Gold, tmp_path: Path
) -> None:
    """Half a basket would get a wrong answer."""
    lines = till_lines(gold)
    of_basket = {basket: [line for line in lines if line["BASKET_ID"] == basket] for basket in gold.basket.tolist()}
    first, second = gold.basket.tolist()[4], gold.basket.tolist()[50]
    of_basket[first][-1]["QUANTITY"] = 0
    of_basket[second][0]["PROD_CODE"] = "x" * 65

    run = batch(artifact, write(tmp_path / "in.parquet", lines), tmp_path / "out.parquet")

    assert run.code == 3
    assert [line["basket"] for line in run.refused] == [first, second]
    for line in run.refused:
        refusal = client.post("/predict", json={"lines": of_basket[line["basket"]]})
        assert line["reasons"] == refusal.json()["detail"]
    assert {answer["BASKET_ID"] for answer in answers(run.output)} == set(gold.basket.tolist()) - {first, second}


def test_a_line_that_cannot_be_read_costs_the_baskets_beside_it(
    artifact: ArtifactFile, gold: Gold, tmp_path: Path
) -> None:
    """It may have been theirs; row numbers go on counting."""
    source = write(tmp_path / "in.csv", till_lines(gold))
    text = source.read_text().splitlines()
    ids = [line["BASKET_ID"] for line in till_lines(gold)]
    text[1 + 200] = "1,2"
    text[1 + 300] = text[1 + 300].replace(str(ids[300]), "none")
    source.write_text("\n".join([*text, "the end", ""]))

    run = batch(artifact, source, tmp_path / "out.parquet")

    assert run.code == 3
    beside = {ids[199], ids[201], ids[299], ids[301], ids[-1]}
    assert {line["basket"] for line in run.refused if "basket" in line} == beside
    assert sorted(line["row"] for line in run.refused if "basket" not in line) == [200, 300, len(ids)]
    answered = answers(run.output)
    assert {answer["BASKET_ID"] for answer in answered} == set(ids) - beside
    assert [answer["row"] for answer in answered] == [ids.index(answer["BASKET_ID"]) for answer in answered]


def test_a_basket_in_two_places_ends_the_run(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """Unless the user says that the file is grouped without being sorted."""
    lines = till_lines(gold)
    lines = [*lines[len(lines) // 2 :], *lines[: len(lines) // 2]]
    source = write(tmp_path / "in.parquet", lines)

    run = batch(artifact, source, tmp_path / "out.parquet")

    assert run.code == 1
    assert "BASKET_ID falls from" in run.told
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
    assert batch(artifact, source, tmp_path / "out.parquet", "--grouped").code == 0


def test_a_basket_without_end_is_refused_and_not_kept(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """More lines than a basket may have, over several pieces; its neighbours are answered."""
    lines = till_lines(gold)
    last = lines[-1]
    table = pa.Table.from_pylist([*lines, *[last] * 40_000, {**last, "BASKET_ID": last["BASKET_ID"] + 1}])
    count = 40_000 + sum(line["BASKET_ID"] == last["BASKET_ID"] for line in lines)

    run = batch(artifact, write(tmp_path / "in.parquet", table), tmp_path / "out.parquet")

    assert run.code == 3
    assert [line["basket"] for line in run.refused] == [last["BASKET_ID"]]
    assert f"it has {count}" in run.refused[0]["reasons"][0]["msg"]
    assert run.summary["answered"] == BASKETS


@pytest.mark.parametrize("form", ["features", "lines"])
def test_memory_does_not_grow_with_the_file(form: str, artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """A hundred thousand rows and a million: the process's own peak differs by less than a tenth."""
    block = pa.Table.from_pylist(instances(artifact, gold) if form == "features" else till_lines(gold))
    peak = {}
    for count in (100_000, 1_000_000):
        source = tmp_path / f"{count}.parquet"
        with pq.ParquetWriter(source, block.schema) as writer:
            for first in range(0, count // len(block) + 1, 100):
                blocks = [_shifted(block, repeat) if form == "lines" else block for repeat in range(first, first + 100)]
                writer.write_table(pa.concat_tables(blocks))
        run = batch(artifact, source, tmp_path / "out.parquet")
        assert run.code == 0, run.told
        assert run.summary["rows"] >= count
        peak[count] = run.summary["peak_rss_bytes"]
        source.unlink()

    assert peak[1_000_000] <= 1.1 * peak[100_000], peak


def _shifted(block: pa.Table, repeat: int) -> pa.Table:
    """The same baskets under higher numbers."""
    at = block.schema.get_field_index("BASKET_ID")
    ids = pa.array(block.column(at).to_numpy() + repeat * 1_000)
    return block.set_column(at, "BASKET_ID", ids)


def test_memory_does_not_grow_with_a_row_group(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """Files from elsewhere are often one single row group; what is read at a time is a page of each column."""
    block = pa.Table.from_pylist(instances(artifact, gold))
    noise = np.random.default_rng(0)
    peak = []
    for count in (150_000, 450_000):
        table = pa.concat_tables([block] * (count // len(block)))
        for number in range(30):  # 240 bytes a row that cannot be packed
            table = table.append_column(f"carried_{number}", pa.array(noise.random(len(table))))
        source = write(tmp_path / "in.parquet", table, row_group_size=count)
        peak.append(batch(artifact, source, tmp_path / "out.parquet").summary["peak_rss_bytes"])

    assert peak[1] <= 1.1 * peak[0], peak


def test_a_run_that_ends_early_leaves_what_was_there(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """SIGTERM in the middle: no half-written file, and the output of the last run untouched."""
    block = pa.Table.from_pylist(instances(artifact, gold))
    source = write(tmp_path / "in.parquet", pa.concat_tables([block] * 4_000))
    (tmp_path / "out.parquet").write_text("of the last run")
    process = subprocess.Popen(
        command(artifact, source, tmp_path / "out.parquet"),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        until(lambda: list(tmp_path.glob(".out.parquet.*.incomplete")), "the new output to be begun")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=TIMEOUT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()

    assert (process.returncode, told) == (1, "psm-predict: interrupted; nothing was written\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == "of the last run"


def test_the_refused_rows_of_an_earlier_run_do_not_stay(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """Whoever finds the file finds the last run's."""
    bodies = instances(artifact, gold)
    good = write(tmp_path / "good.parquet", bodies)
    bodies[0]["spend"] = -1.0
    bad = write(tmp_path / "bad.parquet", bodies)

    assert batch(artifact, bad, tmp_path / "out.parquet").refused
    assert not batch(artifact, good, tmp_path / "out.parquet").refused


def test_another_model_than_the_registered_one_answers_nothing(
    artifact: ArtifactFile, gold: Gold, tmp_path: Path
) -> None:
    """The same steps as a serving pod's: digest first."""
    source = write(tmp_path / "in.parquet", instances(artifact, gold))

    run = batch(artifact, source, tmp_path / "out.parquet", "--sha256", "0" * 64)

    assert run.code == 65
    assert "DigestMismatch" in run.told
    assert not run.output.exists()


def test_the_environment_of_a_pod_names_the_model(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """A Job beside the Deployment takes the same variables."""
    source = write(tmp_path / "in.parquet", instances(artifact, gold))
    arguments = command(artifact, source, tmp_path / "out.parquet")
    arguments = arguments[: arguments.index("--model")]

    done = subprocess.run(
        arguments, env=environment(artifact, tmp_path), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )

    assert done.returncode == 0, done.stderr
    about = pq.read_schema(tmp_path / "out.parquet").metadata
    assert about[b"psm.model.sha256"].decode() == artifact.sha256


def test_a_model_in_s3_is_fetched_and_verified(
    artifact: ArtifactFile, gold: Gold, tmp_path: Path, s3: AwsEndpoints
) -> None:
    """As a serving pod does; another digest than the object's answers nothing."""
    bucket = boto3.resource(
        "s3",
        endpoint_url=s3.s3_host_url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name=s3.region,
        config=Config(s3={"addressing_style": "path"}),
    ).Bucket("models-for-batch")
    bucket.create()
    bucket.put_object(Key="model.tar.gz", Body=artifact.path.read_bytes())
    source = write(tmp_path / "in.parquet", instances(artifact, gold))
    environ = {**s3.environment(), "PSM_CACHE_DIR": str(tmp_path / "cache")}
    url = f"s3://{bucket.name}/model.tar.gz"

    run = batch(artifact, source, tmp_path / "out.parquet", "--model", url, **environ)
    other = batch(artifact, source, tmp_path / "other.parquet", "--model", url, "--sha256", "0" * 64, **environ)

    assert (run.code, run.summary["answered"]) == (0, BASKETS), run.told
    assert (other.code, other.output.exists()) == (65, False)
    bucket.objects.delete()
    bucket.delete()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.parquet", b"PAR1 nothing of it", "cannot be read"),
        ("in.csv", b"", "is empty"),
        ("in.csv", b"spend,spend,items,line_count\n1,1,1,1\n", "more than one column spend"),
        (
            "in.csv",
            b"colour,size\nred,1\n",
            "holds neither ready features (no column spend, items, line_count) nor till",
        ),
        ("in.json", b"{}", "ends with none of"),
        ("in.csv", b"spend,items,line_count,label\n1,1,1,LA\n", "columns label have the names of answers"),
    ],
    ids=["damaged", "empty", "repeated column", "other columns", "other format", "a column named as an answer"],
)
def test_a_file_that_cannot_be_answered_says_why(
    name: str, content: bytes, words: str, artifact: ArtifactFile, tmp_path: Path
) -> None:
    """In one line, and nothing is written."""
    source = tmp_path / name
    source.write_bytes(content)

    run = batch(artifact, source, tmp_path / "out.parquet")

    assert run.code == 1
    assert words in run.told
    assert "Traceback" not in run.told
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_is_damaged_further_on_writes_nothing(artifact: ArtifactFile, gold: Gold, tmp_path: Path) -> None:
    """Found out while reading."""
    block = pa.Table.from_pylist(instances(artifact, gold))
    source = write(tmp_path / "in.parquet", pa.concat_tables([block] * 400), compression="zstd", use_dictionary=False)
    raw = bytearray(source.read_bytes())
    raw[len(raw) // 4 : len(raw) // 2] = b"\xff" * (len(raw) // 2 - len(raw) // 4)
    source.write_bytes(raw)

    run = batch(artifact, source, tmp_path / "out.parquet")

    assert run.code == 1
    assert "cannot be read" in run.told
    assert "Traceback" not in run.told
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]
