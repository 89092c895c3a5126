"""Executes a SageMaker Pipeline's definition with real containers (`training_container`) and a folder in S3's place.

It resolves what SageMaker resolves (Get, Std:Join, Std:JsonGet), copies inputs and outputs, and goes the way that the
conditions say. Where a definition asks for what it cannot do, it fails.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training_container import Ended, machine, run

EXECUTION = {"PipelineExecutionId": "e1", "PipelineExecutionArn": "arn:aws:sagemaker:::pipeline/p/execution/e1"}
IN_CONTAINER = "/opt/ml"


class FailedByPipeline(Exception):  # noqa: N818  # the Fail step's message
    """A Fail step was reached."""


@dataclass
class Execution:
    """One execution of a definition.

    Attributes:
        definition: As CreatePipeline takes it.
        folder: Holds S3 (`s3/<bucket>/<key>`) and one machine per step.
        parameters: In place of the defaults.
        environment: Of every container, beside the definition's.
    """

    definition: dict[str, Any]
    folder: Path
    parameters: dict[str, Any]
    environment: dict[str, str]
    ended: dict[str, Ended] = field(default_factory=dict)
    _outputs: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """All steps, in order."""
        for step in self.definition["Steps"]:
            self._step(step)

    def s3(self, uri: str) -> Path:
        """Where an address lies."""
        assert uri.startswith("s3://"), uri
        return self.folder / "s3" / uri.removeprefix("s3://")

    def _step(self, step: dict[str, Any]) -> None:
        match step["Type"]:
            case "Processing":
                self._processing(step)
            case "Training":
                self._training(step)
            case "Condition":
                conditions = [self._holds(condition) for condition in step["Arguments"]["Conditions"]]
                for then in step["Arguments"]["IfSteps" if all(conditions) else "ElseSteps"]:
                    self._step(then)
            case "Fail":
                raise FailedByPipeline(self._value(step["Arguments"]["ErrorMessage"]))

    def _processing(self, step: dict[str, Any]) -> None:
        name, wanted = step["Name"], self._value(step["Arguments"])
        tree = machine(self.folder / name, {})
        for given in wanted["ProcessingInputs"]:
            self._bring(given["S3Input"]["S3Uri"], self._local(tree, given["S3Input"]["LocalPath"]))
        outputs = {one["OutputName"]: one["S3Output"] for one in wanted["ProcessingOutputConfig"]["Outputs"]}
        for output in outputs.values():
            self._local(tree, output["LocalPath"]).mkdir(parents=True)
        application = wanted["AppSpecification"]
        assert application["ContainerEntrypoint"] == ["python", "-m", "psm_training.sagemaker"]
        arguments = [word.replace(IN_CONTAINER, str(tree)) for word in application["ContainerArguments"]]
        self._run(name, tree, arguments, wanted["Environment"])
        for output in outputs.values():
            shutil.copytree(self._local(tree, output["LocalPath"]), self.s3(output["S3Uri"]))
        self._outputs[name] = {"ProcessingOutputConfig": {"Outputs": {n: {"S3Output": o} for n, o in outputs.items()}}}
        files = {one["PropertyFileName"]: one for one in step.get("PropertyFiles", [])}
        self._outputs[name]["PropertyFiles"] = {
            key: self.s3(outputs[one["OutputName"]]["S3Uri"]) / self._value(one["FilePath"])
            for key, one in files.items()
        }

    def _training(self, step: dict[str, Any]) -> None:
        name, wanted = step["Name"], self._value(step["Arguments"])
        tree = machine(self.folder / name, wanted["HyperParameters"])
        for channel in wanted["InputDataConfig"]:
            source = channel["DataSource"]["S3DataSource"]["S3Uri"]
            self._bring(source, tree / "input/data" / channel["ChannelName"])
        ended = self._run(name, tree, ["train"], wanted["Environment"])
        uri = f"{wanted['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
        self.s3(uri).parent.mkdir(parents=True)
        shutil.copyfile(ended.packed(), self.s3(uri))
        self._outputs[name] = {"ModelArtifacts": {"S3ModelArtifacts": uri}}

    def _run(self, name: str, tree: Path, arguments: list[str], environment: dict[str, str]) -> Ended:
        self.ended[name] = ended = run(tree, arguments, **{**environment, **self.environment})
        assert ended.code == 0, ended.log
        return ended

    def _bring(self, uri: str, target: Path) -> None:
        source = self.s3(uri)
        target.mkdir(parents=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target / source.name)

    @staticmethod
    def _local(tree: Path, path: str) -> Path:
        assert path.startswith(f"{IN_CONTAINER}/processing/"), path
        return Path(path.replace(IN_CONTAINER, str(tree), 1))

    def _holds(self, condition: dict[str, Any]) -> bool:
        assert condition["Type"] == "GreaterThanOrEqualTo"
        left, right = self._value(condition["LeftValue"]), self._value(condition["RightValue"])
        assert isinstance(left, float)
        return bool(left >= right)

    def _value(self, value: Any) -> Any:
        """A value with everything in it resolved."""
        match value:
            case {"Get": str(path)}:
                return self._get(path)
            case {"Std:Join": {"On": separator, "Values": values}}:
                return separator.join(str(self._value(one)) for one in values)
            case {"Std:JsonGet": {"PropertyFile": {"Get": str(path)}, "Path": str(within)}}:
                found = json.loads(Path(self._get(path)).read_text())
                for key in within.split("."):
                    found = found[key]
                return found
            case dict():
                return {key: self._value(one) for key, one in value.items()}
            case list():
                return [self._value(one) for one in value]
        return value

    def _get(self, path: str) -> Any:
        kind, name, *rest = path.replace("['", ".").replace("']", "").split(".")
        match kind:
            case "Parameters":
                defaults = {one["Name"]: one["DefaultValue"] for one in self.definition["Parameters"]}
                return {**defaults, **self.parameters}[name]
            case "Execution":
                return EXECUTION[name]
        found = self._outputs[name]
        for key in rest:
            found = found[key]
        return found
