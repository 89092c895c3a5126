"""What AWS's load balancer needs to lose no request while a pod goes: it forgets a target later than Kubernetes does.

The controller tells ELB, ELB tells its nodes, and those go on sending meanwhile; then requests under way are waited for.
A pod that ends before is a 502 or 504. Measured here by nobody: public reports of aws-load-balancer-controller have 5 s
(#1064) and 15 s of pause as too short, 25 s as enough at times, 40 s with rare errors and 60 to 70 s with none (#2106).
"""

import re
from typing import Final

from psm_operator.api.workload import CLASS_ANNOTATION, IngressSpec

PREFIX: Final = "alb.ingress.kubernetes.io/"
ATTRIBUTES: Final = f"{PREFIX}target-group-attributes"
DELAY: Final = "deregistration_delay.timeout_seconds"
DELAY_S: Final = 15
"""For requests under way, which take milliseconds; AWS's own default is 300 s, for which every pod would stay."""
NOTICE_S: Final = 45
"""Until no node of the load balancer sends to a target that was taken out; with DELAY_S the pause of the reports."""
LONGEST_DELAY_S: Final = 3600
"""What ELB takes at most."""
PAUSE_S: Final = 5
"""Before SIGTERM with any other ingress: long enough for endpoints and proxies to notice that the pod is going."""


def is_alb(ingress: IngressSpec) -> bool:
    """Tell whether the AWS Load Balancer Controller serves an Ingress, by its class or by annotations of its own."""
    named = "alb" in (ingress.class_name, ingress.annotations.get(CLASS_ANNOTATION))
    return named or any(key.startswith(PREFIX) for key in ingress.annotations)


def pause_s(ingress: IngressSpec | None) -> int:
    """Return the seconds between a pod's end being wanted and SIGTERM; the annotation of the delay sets them."""
    if ingress is None or not is_alb(ingress):
        return PAUSE_S
    found = _DELAY.search(ingress.annotations.get(ATTRIBUTES, ""))
    return NOTICE_S + (min(int(found[1]), LONGEST_DELAY_S) if found else DELAY_S)


def annotations(ingress: IngressSpec) -> dict[str, str]:
    """Return the annotations of an Ingress, with the delay where nobody set one."""
    if not is_alb(ingress) or _DELAY.search(ingress.annotations.get(ATTRIBUTES, "")):
        return ingress.annotations
    attributes = [one for one in ingress.annotations.get(ATTRIBUTES, "").split(",") if one.strip()]
    return {**ingress.annotations, ATTRIBUTES: ",".join([*attributes, f"{DELAY}={DELAY_S}"])}


_DELAY: Final = re.compile(rf"(?:^|,)\s*{re.escape(DELAY)}\s*=\s*([0-9]{{1,9}})\s*(?:,|$)")
