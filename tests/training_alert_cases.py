"""Cases of the alerts of charts/psm-training, as in `alert_cases`. A minute is a scrape, and the time is the minute's."""

from collections.abc import Mapping

from alert_cases import Case, hold, s

CRON = {"namespace": "mlops", "cronjob": "psm-training"}
JOB = {"namespace": "mlops", "job_name": "psm-training-29"}
STEP = {"namespace": "mlops", "pod": "psm-training-29-x7k2p", "container": "training", "step": "train"}
DAY = 24 * 60
KUBE = {"job": "kube-state-metrics"}

CASES: Mapping[str, Case] = {
    "PsmTrainingMissing": Case(
        fires={
            s("kube_cronjob_status_last_successful_time", CRON, KUBE): hold(0, 9 * DAY + 60),
            s("kube_cronjob_created", CRON, KUBE): hold(0, 9 * DAY + 60),
            s("kube_cronjob_spec_suspend", CRON, KUBE): hold(0, 9 * DAY + 60),
        },
        below={
            s("kube_cronjob_status_last_successful_time", CRON, KUBE): hold(3600, 9 * DAY + 60),
            s("kube_cronjob_created", CRON, cronjob="psm-training-paused"): hold(0, 9 * DAY + 60),
            s("kube_cronjob_spec_suspend", CRON, cronjob="psm-training-paused"): hold(1, 9 * DAY + 60),
            s("kube_cronjob_created", CRON, cronjob="backup"): hold(0, 9 * DAY + 60),
        },
        minute=9 * DAY + 1,
        labels=CRON,
        summary="No model has been trained by mlops/psm-training for 9d 0h 1m 0s.",
    ),
    "PsmTrainingFailed": Case(
        fires={
            s("kube_job_failed", JOB, condition="true"): [*hold(0, 20), *hold(1, 40)],
            s("kube_job_status_start_time", JOB): hold(0, 60),
        },
        below={
            s("kube_job_failed", JOB, condition="true"): hold(0, 60),
            s("kube_job_failed", JOB, condition="false"): hold(1, 60),
            s("kube_job_status_start_time", JOB): hold(0, 60),
            s("kube_job_failed", JOB, job_name="psm-training-28", condition="true"): hold(1, 60),
            s("kube_job_status_start_time", JOB, job_name="psm-training-28"): hold(-2 * 86400, 60),
        },
        minute=20,
        labels=JOB,
        summary="Training run mlops/psm-training-29 failed.",
    ),
    "PsmTrainingSlow": Case(
        fires={
            s("kube_job_status_start_time", JOB): hold(0, 120),
            s("kube_job_status_active", JOB): hold(1, 120),
        },
        below={
            s("kube_job_status_start_time", JOB): hold(0, 200),
            s("kube_job_status_active", JOB): [*hold(1, 90), *hold(0, 110)],
        },
        minute=91,
        labels=JOB,
        summary="Training run mlops/psm-training-29 has been running for 1h 31m 0s.",
    ),
    "PsmTrainingStepSlow": Case(
        fires={
            s("psm_training_step_started_timestamp_seconds", STEP): hold(0, 60),
            s("psm_training_step_objective_seconds", STEP): hold(1800, 60),
        },
        below={
            s("psm_training_step_started_timestamp_seconds", STEP): [*hold(0, 31), "stale"],
            s("psm_training_step_objective_seconds", STEP): hold(1800, 60),
        },
        minute=31,
        labels={name: value for name, value in STEP.items() if name != "container"},
        summary="Step train of mlops/psm-training-29-x7k2p has been running for 31m 0s.",
    ),
    "PsmTrainingStepFailed": Case(
        fires={s("psm_training_step_failed", STEP): [*hold(0, 5), 1, "stale"]},
        below={s("psm_training_step_failed", STEP): hold(0, 60)},
        minute=5,
        labels={"namespace": "mlops", "step": "train"},
        summary="Step train of a training run in mlops failed within the last hour.",
    ),
}
